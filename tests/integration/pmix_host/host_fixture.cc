#include "tests/integration/pmix_host/host_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "launcher/base/private_dir.h"
#include "launcher/base/programs.h"

extern char** environ;

namespace rex::pmix {

namespace {

constexpr auto kBound = std::chrono::seconds(30);

std::string HostName() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

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

std::vector<std::string> RankEnvironment(const JobRegistered& job, size_t index) {
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!IsOfAnotherJob(*entry)) env.emplace_back(*entry);
  }
  env.insert(env.end(), job.common_env.begin(), job.common_env.end());
  env.insert(env.end(), job.ranks[index].env.begin(), job.ranks[index].env.end());
  if (::getuid() == 0) env.emplace_back("OMPI_ALLOW_RUN_AS_ROOT=1");
  env.emplace_back("OMPI_MCA_mpi_yield_when_idle=1");
  env.emplace_back("OMPI_MCA_pml=ob1");  // these machines have no fabric to probe
  env.emplace_back("OMPI_MCA_btl=self,vader");
  return env;
}

}  // namespace

struct HostFixture::Running {
  RankResult result;
  pid_t pid = -1;
  UniqueFd out;
  UniqueFd err;
  std::unique_ptr<ReadWatcher> out_watcher;
  std::unique_ptr<ReadWatcher> err_watcher;
  int open_streams = 2;
};

HostFixture::HostFixture() = default;
HostFixture::~HostFixture() = default;

void HostFixture::SetUp() {
  session_dir_ = "/tmp/rex-host-test-" + RandomHex(16);
  ASSERT_EQ(::mkdir(session_dir_.c_str(), 0700), 0);
  temp_before_ = TempEntries();
}

void HostFixture::TearDown() {
  for (const auto& running : running_) {
    if (running->pid > 0) {
      ::kill(running->pid, SIGKILL);
      ::waitpid(running->pid, nullptr, 0);
    }
  }
  if (host_running()) {
    EXPECT_EQ(StopHost(), 0);
  }
  EXPECT_EQ(TempEntries(), temp_before_) << "the host left something outside its directory";
  RemoveTree(session_dir_);
}

std::vector<std::string> HostFixture::TempEntries() {
  std::vector<std::string> out;
  for (const char* dir : {"/tmp", "/dev/shm"}) {
    DIR* stream = ::opendir(dir);
    if (stream == nullptr) continue;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string name = entry->d_name;
      // Other programs use these directories too: only names of PMIx and Open MPI count.
      for (const char* mark : {"pmix", "ompi", "prte", "dstr", "gds", "hwloc", "vader"}) {
        if (name.find(mark) != std::string::npos) out.push_back(std::string(dir) + "/" + name);
      }
    }
    ::closedir(stream);
  }
  std::sort(out.begin(), out.end());
  return out;
}

void HostFixture::StartHost() {
  auto pair = MakeStreamPair();
  ASSERT_TRUE(pair);
  const int fd = pair->second.get();
  const auto pid =
      SpawnProgram({REX_TEST_HOST, "--agent-fd=" + std::to_string(fd),
                    "--session-dir=" + session_dir_, "--keeper-pid=" + std::to_string(::getpid())},
                   {fd});
  ASSERT_TRUE(pid) << pid.error().text;
  host_pid_ = *pid;
  pair->second.Reset();
  closed_ = false;
  client_ = std::make_unique<HostClient>(
      loop_, std::move(pair->first), [this](HostMessage message) { OnMessage(message); },
      [this](const Error&) { closed_ = true; });
  Until([this] { return !Seen<HostReady>().empty() || closed_; }, "HostReady");
  ASSERT_FALSE(closed_) << "the host ended while it started";
  ready_ = Seen<HostReady>().front();
}

int HostFixture::StopHost() {
  client_.reset();
  int status = -1;
  for (int i = 0; i < 500 && ::waitpid(host_pid_, &status, WNOHANG) == 0; ++i) ::usleep(10000);
  if (status == -1) {
    ADD_FAILURE() << "the host does not end at its agent's end";
    ::kill(host_pid_, SIGKILL);
    ::waitpid(host_pid_, &status, 0);
  }
  host_pid_ = -1;
  return status;
}

void HostFixture::Until(const std::function<bool()>& done, const char* what) {
  const auto deadline = loop_.clock().Now() + kBound;
  Timer tick(loop_, [] {});
  while (!done()) {
    if (loop_.clock().Now() > deadline) {
      ADD_FAILURE() << "waited in vain for: " << what;
      return;
    }
    tick.Set(std::chrono::milliseconds(20));
    loop_.RunOnce();
  }
}

RegisterJob HostFixture::MakeJob(const std::string& name_space, const std::vector<uint32_t>& apps) {
  RegisterJob job;
  job.name_space = name_space;
  uint32_t ranks = 0;
  for (size_t a = 0; a < apps.size(); ++a) {
    job.apps.push_back({ranks, apps[a], {"prog" + std::to_string(a), "one", "two"}, "/"});
    ranks += apps[a];
  }
  job.nodes.push_back({HostName(), {{0, ranks}}});
  job.job_dir = session_dir_ + "/" + name_space;
  job.slots = ranks + 2;
  EXPECT_EQ(::mkdir(job.job_dir.c_str(), 0700), 0);
  return job;
}

JobRegistered HostFixture::Register(const RegisterJob& job) {
  const size_t before = Seen<JobRegistered>().size();
  Send(job);
  Until([&] { return Seen<JobRegistered>().size() > before || closed_; }, "JobRegistered");
  const auto all = Seen<JobRegistered>();
  return all.size() > before ? all.back() : JobRegistered{};
}

void HostFixture::Deregister(const std::string& name_space) {
  const size_t before = Seen<JobDeregistered>().size();
  Send(DeregisterJob{name_space});
  Until([&] { return Seen<JobDeregistered>().size() > before || closed_; }, "JobDeregistered");
}

void HostFixture::StartRanks(const JobRegistered& job, const std::vector<std::string>& argv) {
  for (size_t i = 0; i < job.ranks.size(); ++i) {
    auto running = std::make_unique<Running>();
    running->result.rank = job.ranks[i].rank;
    auto out = MakePipe();
    auto err = MakePipe();
    ASSERT_TRUE(out && err);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, out->second.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, err->second.get(), STDERR_FILENO);
    auto words = argv;
    auto env = RankEnvironment(job, i);
    const int spawned = ::posix_spawn(&running->pid, argv[0].c_str(), &actions, nullptr,
                                      Pointers(words).data(), Pointers(env).data());
    ::posix_spawn_file_actions_destroy(&actions);
    ASSERT_EQ(spawned, 0);
    rank_pids_[running->result.rank] = running->pid;
    Running* const r = running.get();
    r->out = std::move(out->first);
    r->err = std::move(err->first);
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
    running_.push_back(std::move(running));
  }
}

std::vector<RankResult> HostFixture::WaitRanks() {
  const auto all_quiet = [this] {
    return std::all_of(running_.begin(), running_.end(),
                       [](const auto& r) { return r->open_streams == 0; });
  };
  Until(all_quiet, "the ranks' end");
  std::vector<RankResult> results;
  for (auto& running : running_) {
    if (running->open_streams > 0) ::kill(running->pid, SIGKILL);
    ::waitpid(running->pid, &running->result.wait_status, 0);
    results.push_back(running->result);
  }
  running_.clear();
  return results;
}

std::vector<RankResult> HostFixture::RunRanks(const JobRegistered& job,
                                              const std::vector<std::string>& argv) {
  StartRanks(job, argv);
  return WaitRanks();
}

void HostFixture::OnMessage(const HostMessage& message) {
  seen_.push_back(message);
  if (intercept_ && intercept_(message)) return;
  if (const auto* m = std::get_if<Fence>(&message)) Send(FenceDone{m->request, kSuccess, m->data});
  if (const auto* m = std::get_if<Abort>(&message)) Send(OpDone{m->request, kSuccess});
  if (const auto* m = std::get_if<LogText>(&message)) Send(OpDone{m->request, kSuccess});
  if (const auto* m = std::get_if<JobControl>(&message)) Send(OpDone{m->request, kSuccess});
  if (const auto* m = std::get_if<EventRaised>(&message)) Send(OpDone{m->request, kSuccess});
  if (const auto* m = std::get_if<DirectModex>(&message))
    Send(ModexDone{m->request, kErrNotFound, ""});
  if (const auto* m = std::get_if<Publish>(&message)) AnswerPublish(*m);
  if (const auto* m = std::get_if<Lookup>(&message)) AnswerLookup(*m);
  if (const auto* m = std::get_if<Unpublish>(&message)) AnswerUnpublish(*m);
  if (const auto* m = std::get_if<Query>(&message)) AnswerQuery(*m);
}

std::vector<Published> HostFixture::Find(const Lookup& lookup) const {
  std::vector<Published> found;
  for (const auto& key : lookup.keys) {
    if (const auto it = published_.find(key); it != published_.end()) found.push_back(it->second);
  }
  return found;
}

void HostFixture::AnswerPublish(const Publish& publish) {
  for (const auto& item : publish.items) published_[item.key] = item;
  Send(OpDone{publish.request, kSuccess});
  auto waiting = std::move(waiting_);
  waiting_.clear();
  for (const auto& lookup : waiting) AnswerLookup(lookup);
}

void HostFixture::AnswerLookup(const Lookup& lookup) {
  auto found = Find(lookup);
  if (lookup.wait && found.size() < lookup.keys.size()) {
    waiting_.push_back(lookup);
    return;
  }
  const int32_t status = found.empty() ? kErrNotFound : kSuccess;
  Send(LookupDone{lookup.request, status, std::move(found)});
}

void HostFixture::AnswerUnpublish(const Unpublish& unpublish) {
  for (const auto& key : unpublish.keys) published_.erase(key);
  Send(OpDone{unpublish.request, kSuccess});
}

void HostFixture::AnswerQuery(const Query& query) {
  QueryDone done;
  done.request = query.request;
  if (query.keys.front() == "pmix.qry.ns") {
    done.name_spaces = {"job-a", "job-b"};
  } else {
    ProcState& state = done.procs.emplace_back();
    state.proc = {query.name_space, 0};
    state.node = "node-x";
    state.program = "/bin/prog";
    state.pid = 4242;
    state.state = 3;
  }
  Send(done);
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

std::string EnvValue(const JobRegistered& job, uint32_t rank, const std::string& name) {
  const std::string prefix = name + "=";
  const auto find = [&](const std::vector<std::string>& env) -> const std::string* {
    for (const auto& entry : env) {
      if (entry.starts_with(prefix)) return &entry;
    }
    return nullptr;
  };
  for (const auto& r : job.ranks) {
    if (r.rank != rank) continue;
    if (const auto* entry = find(r.env)) return entry->substr(prefix.size());
  }
  const auto* entry = find(job.common_env);
  return entry == nullptr ? "(none)" : entry->substr(prefix.size());
}

}  // namespace rex::pmix
