#include "tests/integration/spawner/maker_fixture.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "launcher/base/descendants.h"
#include "tests/support/paths.h"

namespace rex::testing {

bool BatchRecord::AllEnded() const {
  return std::all_of(ends.begin(), ends.end(), [](const auto& end) { return end.has_value(); });
}

void MakerTest::SetUp() {
  BecomeSubreaper();
  open_fds_ = OpenDescriptors();
  children_ = std::make_unique<ChildTable>(loop_);
}

// Nothing stays: no process below us, no descriptor in us.
void MakerTest::TearDown() {
  maker_.reset();
  EXPECT_TRUE(
      RunUntil([] { return FindDescendants(::getpid()).empty(); }, std::chrono::seconds(5)));
  children_.reset();
  KillDescendants(std::chrono::seconds(5));
  EXPECT_LE(OpenDescriptors(), open_fds_ + 2) << "libevent's signal pair may stay, no more";
}

void MakerTest::StartMaker(std::chrono::milliseconds bound) {
  auto maker = RankMaker::MakeSpawner(loop_, *children_, bound);
  ASSERT_TRUE(maker.has_value()) << maker.error().text;
  maker_ = std::move(*maker);
  EXPECT_EQ(maker_->pid(), 0);
  maker_->StartAhead();
}

BirthBatch MakerTest::Simple(size_t count, const std::string& path) {
  BirthBatch batch;
  batch.path = path;
  batch.argv = {path};
  batch.wdir = "/";
  batch.ranks.resize(count);
  return batch;
}

BatchEvents MakerTest::Recorder(const std::shared_ptr<BatchRecord>& record,
                                std::function<void()> release) {
  BatchEvents events;
  events.on_pids = [this, record, release](const std::vector<pid_t>& pids, int error, Birth birth) {
    record->birth = birth;
    record->events += 'p';
    record->told = true;
    record->pids = pids;
    record->error = error;
    record->ends.resize(pids.size());
    for (size_t i = 0; i < pids.size(); ++i) {
      children_->Adopt(pids[i], [record, i](const ExitStatus& end) { record->ends[i] = end; });
    }
    if (release) release();
  };
  events.on_failure = [record](const BirthFailure& failure) {
    record->events += 'f';
    record->failures.push_back(failure);
  };
  events.on_born = [record] {
    record->events += 'b';
    record->born = true;
  };
  events.on_lost = [record](const Error& error) {
    record->events += 'l';
    record->lost = error;
  };
  return events;
}

std::shared_ptr<BatchRecord> MakerTest::Submit(BirthBatch batch, bool release) {
  auto record = std::make_shared<BatchRecord>();
  const auto open = [this] { maker_->Release(); };
  maker_->Submit(std::move(batch),
                 Recorder(record, release ? std::function<void()>(open) : nullptr));
  return record;
}

bool MakerTest::RunUntil(const std::function<bool()>& done, std::chrono::milliseconds bound) {
  const auto end = loop_.clock().Now() + bound;
  Timer tick(loop_, [] {});
  while (!done()) {
    if (loop_.clock().Now() > end) return false;
    tick.Set(std::chrono::milliseconds(2));  // `done` may wait for what wakes no loop
    loop_.RunOnce();
  }
  return true;
}

bool MakerTest::RunUntilOver(const std::shared_ptr<BatchRecord>& record) {
  return RunUntil([&] { return record->Over() && record->AllEnded(); });
}

size_t OpenDescriptors() {
  DIR* dir = ::opendir("/proc/self/fd");
  size_t count = 0;
  while (::readdir(dir) != nullptr) ++count;
  ::closedir(dir);
  return count;
}

std::string ReadToEnd(int fd) {
  std::string text;
  std::array<char, 4096> chunk;
  ssize_t n = 0;
  while ((n = ::read(fd, chunk.data(), chunk.size())) > 0) {
    text.append(chunk.data(), static_cast<size_t>(n));
  }
  return text;
}

std::string ProbePath() { return BuildDir() + "/tests/spawner_rank_probe"; }

}  // namespace rex::testing
