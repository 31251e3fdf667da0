#include "sched/load/proc_look.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

namespace rex {

namespace {

struct DirClose {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// Numbers among the names in a directory.
std::optional<std::vector<pid_t>> NumbersIn(int parent, const char* name) {
  UniqueFd fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  const std::unique_ptr<DIR, DirClose> dir(::fdopendir(fd.get()));
  if (!dir) return std::nullopt;
  fd.Release();  // the directory's now
  std::vector<pid_t> numbers;
  while (const dirent* entry = ::readdir(dir.get())) {
    pid_t number = 0;
    const char* end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, number).ptr == end) numbers.push_back(number);
  }
  return numbers;
}

constexpr size_t kMostBytes = 8192;  // more than a status has
using Buffer = std::array<char, kMostBytes>;

// Empty: it is gone, or not for us to read.
std::string_view Read(int parent, const std::string& name, Buffer* buffer) {
  const UniqueFd fd(::openat(parent, name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  const ssize_t n = ::read(fd.get(), buffer->data(), buffer->size());
  return n > 0 ? std::string_view(buffer->data(), static_cast<size_t>(n)) : std::string_view();
}

}  // namespace

Result<ProcLook> ProcLook::Begin(const LookPlace& place) {
  ProcLook look(place);
  look.proc_.Reset(::open(place.proc.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!look.proc_) return Error::FromErrno(errno, "read '" + place.proc + "'");
  auto pids = NumbersIn(look.proc_.get(), ".");
  if (!pids) return Error::FromErrno(errno, "list '" + place.proc + "'");
  look.pids_ = *std::move(pids);
  Buffer buffer;
  look.hidden_ = Read(look.proc_.get(), "1/stat", &buffer).empty();
  return look;
}

bool ProcLook::Step() {
  reads_ = 0;
  while (reads_ < kReadsPerStep) {
    if (next_pid_ < pids_.size()) {
      ReadProcess(pids_[next_pid_++]);
    } else if (!picked_) {
      PickForeign();
    } else if (next_suspect_ < suspects_.size()) {
      CountProcess(suspects_[next_suspect_++]);
    } else {
      return false;
    }
  }
  return true;
}

void ProcLook::ReadProcess(pid_t pid) {
  ++reads_;
  Buffer buffer;
  const auto stat = ParseProcStat(Read(proc_.get(), std::to_string(pid) + "/stat", &buffer));
  if (stat && !stat->kernel) processes_.push_back(*stat);
}

void ProcLook::PickForeign() {
  picked_ = true;
  const std::vector<bool> own = OwnProcesses(processes_, place_->keeper);
  for (size_t i = 0; i < processes_.size(); ++i) {
    const ProcStat& process = processes_[i];
    if (own[i]) {
      own_runnable_ += process.state == 'R' ? 1 : 0;
    } else if (process.state == 'R' || process.threads > 1) {
      suspects_.push_back(process);
    }
  }
}

void ProcLook::CountProcess(const ProcStat& process) {
  const std::string directory = std::to_string(process.pid);
  if (process.threads <= 1) return CountThread(directory);
  const std::string tasks = directory + "/task";
  const auto threads = NumbersIn(proc_.get(), tasks.c_str());
  if (!threads) return;  // gone
  for (const pid_t thread : *threads) {
    ++reads_;
    Buffer buffer;
    const std::string task = tasks + "/" + std::to_string(thread);
    const auto stat = ParseProcStat(Read(proc_.get(), task + "/stat", &buffer));
    if (stat && stat->state == 'R') CountThread(task);
  }
}

// One that is runnable.
void ProcLook::CountThread(const std::string& directory) {
  ++reads_;
  Buffer buffer;
  const auto allowed = ParseCpusAllowed(Read(proc_.get(), directory + "/status", &buffer));
  if (allowed && Meets(*allowed, place_->cpus)) ++seen_;
}

uint32_t ProcLook::foreign() const {
  if (!hidden_ || !place_->all_of_machine) return seen_;
  Buffer buffer;
  const auto all = ParseRunnable(Read(proc_.get(), "loadavg", &buffer));
  if (!all) return seen_;
  // Those that are known to be rex's own: this process is one, and runs.
  const uint32_t own = std::max(own_runnable_, 1U);
  return std::max(seen_, *all > own ? *all - own : 0);
}

}  // namespace rex
