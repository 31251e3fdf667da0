// Looks on a clock of milliseconds: conditions are awaited, times are not measured.
#include "sched/load/load_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/unit/load/fake_proc.h"

namespace rex {
namespace {

using testing::FakeProc;

class LoadWatches : public ::testing::Test {
 protected:
  LoadWatchOptions Options() {
    LoadWatchOptions options;
    options.place.proc = proc_.root();
    options.place.cpus = {3};
    options.place.keeper = 50;
    options.cores = 2;
    options.pressure_file = "";
    const std::chrono::microseconds soon(100);
    options.pauses = {.first = soon, .second = soon, .usual = soon, .calm = soon, .cost_factor = 0};
    return options;
  }
  void Start(LoadWatchOptions options) {
    watch_ = std::make_unique<LoadWatch>(loop_, std::move(options),
                                         [this](const FoundLoad& load) { found_.push_back(load); });
  }
  template <typename F>
  void RunUntil(F condition) {
    bool over = false;
    Timer bound(loop_, [&over] { over = true; });
    bound.Set(std::chrono::seconds(20));
    while (!condition() && !over) loop_.RunOnce();
    EXPECT_FALSE(over) << "20 s were not enough";
  }
  void AwaitLooks(uint64_t more) {
    const uint64_t wanted = watch_->looks() + more;
    RunUntil([this, wanted] { return watch_->looks() >= wanted; });
  }
  EventLoop loop_;
  FakeProc proc_;
  std::vector<FoundLoad> found_;
  std::unique_ptr<LoadWatch> watch_;
};

TEST_F(LoadWatches, TellsAfterThreeLooksAndThenChangesOnly) {
  proc_.AddProcess(100, 1, 'R');
  Start(Options());
  RunUntil([this] { return !found_.empty(); });
  EXPECT_EQ(watch_->looks(), 3u);
  EXPECT_EQ(found_[0], (FoundLoad{100, 200}));
  AwaitLooks(5);
  EXPECT_EQ(found_.size(), 1u);
  proc_.AddProcess(101, 1, 'R');
  RunUntil([this] { return found_.size() == 2; });
  EXPECT_EQ(found_[1], (FoundLoad{200, 200}));
  proc_.Remove("100");
  proc_.Remove("101");
  RunUntil([this] { return found_.back().foreign == 0; });
}

TEST_F(LoadWatches, QuotasAreReadEachTime) {
  proc_.Write("group/cpu.max", "150000 100000\n");
  LoadWatchOptions options = Options();
  options.quotas = {{proc_.root() + "/group", true}};
  Start(std::move(options));
  RunUntil([this] { return !found_.empty(); });
  EXPECT_EQ(found_[0], (FoundLoad{0, 150}));
  proc_.Write("group/cpu.max", "max 100000\n");
  RunUntil([this] { return found_.size() == 2; });
  EXPECT_EQ(found_[1], (FoundLoad{0, 200}));
}

TEST_F(LoadWatches, WithoutProcItSaysNothingIsForeign) {
  LoadWatchOptions options = Options();
  options.place.proc = proc_.root() + "/nothing";
  Start(std::move(options));
  RunUntil([this] { return !found_.empty(); });
  EXPECT_EQ(found_[0], (FoundLoad{0, 200}));
}

TEST_F(LoadWatches, MayEndInItsOwnCallback) {
  LoadWatchOptions options = Options();
  bool told = false;
  watch_ = std::make_unique<LoadWatch>(loop_, std::move(options), [&](const FoundLoad&) {
    told = true;
    watch_.reset();
  });
  RunUntil([&told] { return told; });
  EXPECT_EQ(watch_, nullptr);
}

// This kernel's own triggers, or the looks that stand in for them: both find the same.
TEST_F(LoadWatches, FindTheSameWithAndWithoutTriggers) {
  proc_.AddThreads(100, 1, "RRS");
  LoadWatchOptions options = Options();
  options.pressure_file = PressureTrigger::kFile;
  Start(std::move(options));
  RunUntil([this] { return !found_.empty(); });
  const FoundLoad with = found_[0];
  found_.clear();
  options = Options();
  options.pressure_file = "/proc/pressure/nothing";
  Start(std::move(options));
  EXPECT_FALSE(watch_->has_trigger());
  RunUntil([this] { return !found_.empty(); });
  EXPECT_EQ(found_[0], with);
  EXPECT_EQ(with, (FoundLoad{200, 200}));
}

TEST_F(LoadWatches, ThisNodeHasCores) {
  const LoadWatchOptions options = WatchThisNode({~0ULL, ~0ULL}, 0, ::getpid());
  EXPECT_EQ(options.cores, 1u);
  EXPECT_TRUE(options.place.all_of_machine);
}

}  // namespace
}  // namespace rex
