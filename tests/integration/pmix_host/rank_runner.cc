#include "tests/integration/pmix_host/rank_runner.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

extern char** environ;

namespace rex::pmix {

namespace {

bool IsOfAnotherJob(const std::string& entry) {
  return entry.starts_with("PMIX_") || entry.starts_with("OMPI_") || entry.starts_with("PMI_");
}

// Reads what is there; false at the end of the stream.
bool Drain(int fd, std::string* text) {
  char chunk[4096];
  const ssize_t n = ::read(fd, chunk, sizeof chunk);
  if (n > 0) text->append(chunk, static_cast<size_t>(n));
  return n > 0 || (n < 0 && errno == EINTR);
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (auto& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> RankEnvironment(const JobRegistered& job, size_t index,
                                         const std::vector<std::string>& extra) {
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!IsOfAnotherJob(*entry)) env.emplace_back(*entry);
  }
  env.insert(env.end(), job.common_env.begin(), job.common_env.end());
  env.insert(env.end(), job.ranks[index].env.begin(), job.ranks[index].env.end());
  env.insert(env.end(), extra.begin(), extra.end());
  // These machines have no fabric to probe.
  for (const char* entry : {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_MCA_mpi_yield_when_idle=1",
                            "OMPI_MCA_pml=ob1", "OMPI_MCA_btl=self,vader"}) {
    const std::string name = std::string(entry).substr(0, std::string(entry).find('=') + 1);
    const bool given = std::any_of(extra.begin(), extra.end(),
                                   [&](const std::string& e) { return e.starts_with(name); });
    if (!given) env.emplace_back(entry);
  }
  return env;
}

}  // namespace

struct RankRunner::Running {
  RankResult result;
  pid_t pid = -1;
  UniqueFd out;
  UniqueFd err;
  std::unique_ptr<ReadWatcher> out_watcher;
  std::unique_ptr<ReadWatcher> err_watcher;
  int open_streams = 2;
};

RankRunner::RankRunner(EventLoop& loop) : loop_(loop) {}
RankRunner::~RankRunner() { Collect(); }

void RankRunner::Watch(Running& running) {
  Running* const r = &running;
  r->out_watcher = std::make_unique<ReadWatcher>(loop_, r->out.get(), [r] {
    if (Drain(r->out.get(), &r->result.out)) return;
    r->out_watcher->Enable(false);
    --r->open_streams;
  });
  r->err_watcher = std::make_unique<ReadWatcher>(loop_, r->err.get(), [r] {
    if (Drain(r->err.get(), &r->result.err)) return;
    r->err_watcher->Enable(false);
    --r->open_streams;
  });
}

bool RankRunner::StartOne(uint32_t rank, std::vector<std::string> argv,
                          std::vector<std::string> env) {
  auto running = std::make_unique<Running>();
  running->result.rank = rank;
  auto out = MakePipe();
  auto err = MakePipe();
  if (!out || !err) return false;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, out->second.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err->second.get(), STDERR_FILENO);
  const int spawned = ::posix_spawn(&running->pid, argv[0].c_str(), &actions, nullptr,
                                    Pointers(argv).data(), Pointers(env).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (spawned != 0) return false;
  pids_[rank] = running->pid;
  running->out = std::move(out->first);
  running->err = std::move(err->first);
  Watch(*running);
  running_.push_back(std::move(running));
  return true;
}

bool RankRunner::Start(const JobRegistered& job, const std::vector<std::string>& argv,
                       const std::vector<std::string>& extra) {
  for (size_t i = 0; i < job.ranks.size(); ++i) {
    if (!StartOne(job.ranks[i].rank, argv, RankEnvironment(job, i, extra))) return false;
  }
  return true;
}

bool RankRunner::quiet() const {
  return std::all_of(running_.begin(), running_.end(),
                     [](const auto& r) { return r->open_streams == 0; });
}

std::string RankRunner::OutOf(uint32_t rank) const {
  for (const auto& running : running_) {
    if (running->result.rank == rank) return running->result.out;
  }
  return "";
}

std::vector<RankResult> RankRunner::Collect() {
  std::vector<RankResult> results;
  for (auto& running : running_) {
    if (running->open_streams > 0) ::kill(running->pid, SIGKILL);
    ::waitpid(running->pid, &running->result.wait_status, 0);
    results.push_back(running->result);
  }
  running_.clear();
  return results;
}

std::map<std::string, std::string> Lines(const std::string& out) {
  std::map<std::string, std::string> lines;
  std::istringstream stream(out);
  for (std::string line; std::getline(stream, line);) {
    const size_t at = line.find('=');
    if (at != std::string::npos) lines[line.substr(0, at)] = line.substr(at + 1);
  }
  return lines;
}

}  // namespace rex::pmix
