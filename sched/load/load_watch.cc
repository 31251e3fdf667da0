#include "sched/load/load_watch.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "launcher/base/fd.h"
#include "launcher/base/log.h"

namespace rex {

namespace {

constexpr uint32_t kHundredths = 100;
constexpr size_t kMostBytes = 16 << 20;

std::chrono::microseconds ThreadCpuTime() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace

LoadWatch::LoadWatch(EventLoop& loop, LoadWatchOptions options,
                     std::function<void(const FoundLoad&)> on_found)
    : loop_(loop),
      options_(std::move(options)),
      on_found_(std::move(on_found)),
      timer_(loop, [this] { look_ ? Step() : BeginLook(); }) {
  SetTrigger();
  timer_.Set(std::chrono::microseconds(0));
}

void LoadWatch::SetTrigger() {
  if (options_.pressure_file.empty()) return;
  auto trigger = PressureTrigger::Open(loop_, options_.pressure_file,
                                       {[this] { OnPressure(); },
                                        [this] {
                                          trigger_.reset();
                                          if (!look_) timer_.Set(options_.pauses.usual);
                                        }});
  if (trigger) {
    trigger_ = *std::move(trigger);
  } else {
    Log(LogLevel::kInfo,
        "load: no pressure trigger, looks once a second why=" + trigger.error().text);
  }
}

void LoadWatch::OnPressure() {
  if (look_ || !series_.tells()) return;  // one is coming anyway
  timer_.Set(look_again_ - loop_.clock().Now());
}

void LoadWatch::BeginLook() {
  cpu_time_ = std::chrono::microseconds(0);
  auto look = ProcLook::Begin(options_.place);
  if (!look) {
    Log(LogLevel::kInfo, "load: can't look why=" + look.error().text);
    timer_.Set(options_.pauses.usual);
    return Tell();
  }
  look_.emplace(*std::move(look));
  Step();
}

void LoadWatch::Step() {
  const auto begin = ThreadCpuTime();
  const bool more = look_->Step();
  cpu_time_ += ThreadCpuTime() - begin;
  if (more) return timer_.Set(std::chrono::microseconds(0));
  EndLook();
}

void LoadWatch::EndLook() {
  series_.Add(look_->foreign());
  look_.reset();
  ++looks_;
  const auto now = loop_.clock().Now();
  look_again_ = now + std::max(cpu_time_ * options_.pauses.cost_factor, options_.pauses.first);
  timer_.Set(PauseAfterLook(options_.pauses, series_, trigger_ != nullptr, cpu_time_));
  if (series_.tells()) Tell();
}

void LoadWatch::Tell() {
  const FoundLoad found{series_.median() * kHundredths, Capacity()};
  if (told_ == found) return;
  told_ = found;
  on_found_(found);  // may destroy this
}

uint32_t LoadWatch::Capacity() const {
  const uint32_t cores = options_.cores * kHundredths;
  return std::min(cores, ReadQuota(options_.quotas).value_or(cores));
}

LoadWatchOptions WatchThisNode(CpuMask cpus, uint32_t cores, pid_t keeper) {
  LoadWatchOptions options;
  long usable = 0;
  for (const uint64_t word : cpus) usable += std::popcount(word);
  options.place.all_of_machine = usable >= ::sysconf(_SC_NPROCESSORS_ONLN);
  options.place.cpus = std::move(cpus);
  options.place.keeper = keeper;
  options.cores = std::max(cores, 1U);
  const auto cgroup = ReadFile("/proc/self/cgroup", kMostBytes);
  const auto mounts = ReadFile("/proc/self/mountinfo", kMostBytes);
  if (cgroup && mounts) options.quotas = QuotaGroups(*cgroup, *mounts);
  return options;
}

}  // namespace rex
