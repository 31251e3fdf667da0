#include "launcher/keeper/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <set>

#include "launcher/base/descendants.h"
#include "launcher/base/dvm_place.h"
#include "launcher/base/programs.h"

namespace rex {

namespace {
using std::chrono::milliseconds;

// After rexlaunch's death everything is gone in 5 s: this for the agent, the rest for killing.
constexpr milliseconds kAgentAlone{3500};
constexpr milliseconds kAgentEnding{5000};  // from the end of its liveness socket to its exit
constexpr milliseconds kKillBound{5000};
constexpr milliseconds kKnownBound{50};
constexpr milliseconds kKeepersBelow{4000};  // kAgentAlone, and a little for killing
constexpr size_t kMostLogTold = 4096;
constexpr char kKeeperName[] = "rexd";  // proc(5) comm

sigset_t KeeperSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signo : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signo);
  return set;
}

void Complain(const std::string& text) {
  const std::string line = "rexd: " + text + "\n";
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
}

// Without children there is nothing below a subreaper.
bool HaveChildren() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

std::string HowItEnded(const std::string& who, pid_t pid, int code, int status) {
  const char* how = code == CLD_EXITED ? " exit " : " signal ";
  return who + how + std::to_string(status) + " pid " + std::to_string(pid);
}

// srun has a helper in its group, which would have the whole step killed before agents elsewhere
// could clean up: both at once.
void KillWithGroup(pid_t pid) { ::kill(::getpgid(pid) == pid ? -pid : pid, SIGKILL); }

std::string FdOption(const std::string& name, int fd) {
  return "--" + name + "=" + std::to_string(fd);
}
}  // namespace

void BlockKeeperSignals() {
  const sigset_t set = KeeperSignals();
  ::sigprocmask(SIG_SETMASK, &set, nullptr);
  // An ignored SIGCHLD, inherited from whoever started rexlaunch, would take our exit statuses.
  ::signal(SIGCHLD, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
}

Keeper::Time Keeper::Now() const {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_nsec / 1000);
}

Status Keeper::Start() {
  const sigset_t set = KeeperSignals();
  signals_.Reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return Error::FromErrno(errno, "watch signals");
  Status started = MakeDirs();
  if (started && !options_.dvm_link.empty()) started = OpenLog();
  if (!started) {
    RemoveDirs();
    return started;
  }
  auto pair = MakeStreamPair();  // agent - host
  if (!pair) {
    started = pair.error();
  } else {
    started = StartHost(pair->second.get(), 0);  // first: it takes longest to be ready
    if (started) started = StartAgent(pair->first.get());
  }
  if (!started) {
    EndAll();
    RemoveDirs();
    return started;
  }
  options_.launch.Reset();
  own_stderr_.Reset();
  // Of the channel only what tells its hang-up is kept. A copy of the other half would keep the
  // parent from seeing the end of a dead agent.
  channel_ = std::move(options_.channel_in);
  options_.channel_out.Reset();
  StartRemover();
  return Ok{};
}

Status Keeper::MakeDirs() {
  temp_parent_ = TempParent();
  auto temp = PrivateDir::Create(temp_parent_);
  if (!temp && temp_parent_ != "/tmp") {
    Complain(temp.error().text + " (TMPDIR); using /tmp");
    temp_parent_ = "/tmp";
    temp = PrivateDir::Create(temp_parent_);
  }
  if (!temp) {
    return Error{temp.error().code,
                 temp.error().text + "; set TMPDIR to a directory you can write to"};
  }
  temp_dir_ = std::move(*temp);
  // Without /dev/shm ranks share memory through files of the temp directory: slower, but it runs.
  auto shm = PrivateDir::Create(kShmParent);
  if (shm) {
    shm_dir_ = std::move(*shm);
  } else if (options_.verbose) {
    Complain(shm.error().text + "; using " + temp_dir_->path());
  }
  return Ok{};
}

// Whoever holds our stderr would wait for as long as the DVM stays.
Status Keeper::OpenLog() {
  const std::string path = temp_dir_->path() + "/" + kDvmLogName;
  own_stderr_.Reset(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  const UniqueFd log(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (log && ::dup2(log.get(), STDERR_FILENO) >= 0) return Ok{};
  return Error::FromErrno(errno, "write the log '" + path + "'");
}

int Keeper::complain_fd() const { return own_stderr_ ? own_stderr_.get() : STDERR_FILENO; }

// Its end, to a rexctl that still waits for the DVM to be up.
void Keeper::TellLog() {
  if (options_.dvm_link.empty() || !options_.lifeline) return;
  const auto log = ReadFile(temp_dir_->path() + "/" + kDvmLogName);
  if (!log) return;
  std::string text = log->substr(log->size() - std::min(log->size(), kMostLogTold));
  if (text.size() < log->size()) text.erase(0, text.find('\n') + 1);
  while (text.ends_with('\n')) text.pop_back();
  if (!text.empty()) Tell(text);
}

const std::string& Keeper::MemoryDir() const {
  return shm_dir_ ? shm_dir_->path() : temp_dir_->path();
}

Status Keeper::StartHost(int host_socket, uint32_t generation) {
  const auto program = FindLibexecProgram("rexd-pmix");
  if (!program) return program.error();
  std::vector<std::string> argv = {
      *program, FdOption("agent-fd", host_socket), "--session-dir=" + MemoryDir(),
      "--keeper-pid=" + std::to_string(::getpid()), "--one-job-ranks=" + options_.one_job_ranks};
  if (!options_.dvm_link.empty()) {
    argv.push_back("--takes-tools=1");
  }
  argv.push_back("--generation=" + std::to_string(generation));
  const auto pid = SpawnProgram(argv, {host_socket});
  if (!pid) return pid.error();
  hosts_.insert(*pid);
  return Ok{};
}

// The agent lets the old one go when this one is ready. One that can't be started it sees to be
// gone, and keeps the old.
void Keeper::ReplaceHost(const KeptLeases::HostWanted& wanted) {
  const Status started = StartHost(wanted.socket.get(), wanted.generation);
  if (!started) Complain("another host does not start: " + started.error().text);
}

Status Keeper::StartAgent(int agent_host_socket) {
  const auto program = FindLibexecProgram("rexd-agent");
  if (!program) return program.error();
  auto pair = MakeSeqpacketPair();  // keeper - agent
  if (!pair) return pair.error();
  const int keeper_fd = pair->second.get();
  std::vector<std::string> argv = AgentArguments(keeper_fd, agent_host_socket);
  argv.insert(argv.begin(), *program);
  std::vector<int> keep = {keeper_fd, agent_host_socket};
  for (const UniqueFd* fd : {&options_.launch, &options_.channel_in, &options_.channel_out}) {
    if (*fd) keep.push_back(fd->get());
  }
  const auto pid = SpawnProgram(argv, keep);
  if (!pid) return pid.error();
  agent_ = *pid;
  liveness_ = std::move(pair->first);
  return Ok{};
}

std::vector<std::string> Keeper::AgentArguments(int keeper_fd, int host_fd) const {
  std::vector<std::string> argv;
  if (joins_) {
    argv = {FdOption("channel-in", options_.channel_in.get()),
            FdOption("channel-out", options_.channel_out.get()),
            "--node-name=" + options_.node_name};
    if (options_.slurm_node) argv.push_back("--slurm-node=" + options_.node_name);
    if (options_.virtual_node) argv.emplace_back("--virtual");
  } else {
    argv = {FdOption("launch-fd", options_.launch.get())};
    if (!options_.dvm_link.empty()) argv.push_back("--dvm-link=" + options_.dvm_link);
  }
  argv.insert(argv.end(), {FdOption("keeper-fd", keeper_fd), FdOption("host-fd", host_fd),
                           "--session-dir=" + temp_dir_->path(), "--shm-dir=" + MemoryDir(),
                           "--keeper-begin-us=" + std::to_string(options_.begin.count())});
  if (options_.verbose) argv.emplace_back("--verbose");
  return argv;
}

// What dead keepers of this user left may be large: a child looks for it and removes it. When the
// job ends first the child is killed, and the next launch goes on where it stopped.
void Keeper::StartRemover() {
  remover_ = ::fork();
  if (remover_ != 0) {
    if (remover_ < 0) remover_ = 0;  // for want of processes; the next launch will do it
    return;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Above all the locks: copies of them here would keep our own directories in use for too long.
  ::syscall(SYS_close_range, 3u, ~0u, 0);
  RemoveStaleDirs(temp_parent_);
  if (temp_parent_ != kShmParent) RemoveStaleDirs(kShmParent);
  const std::string sent_to = options_.ship_dir.substr(0, options_.ship_dir.rfind('/'));
  if (!sent_to.empty() && sent_to != temp_parent_ && sent_to != kShmParent)
    RemoveStaleDirs(sent_to);
  ::_exit(0);
}

bool Keeper::Run() {
  while (!agent_ended_ && !(deadline_ && Now() >= *deadline_)) Wait();
  EndAll();
  RemoveDirs();
  return agent_ok_;
}

int Keeper::PollTimeout() const {
  if (!deadline_) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*deadline_ - Now());
  return left.count() > 0 ? static_cast<int>(left.count()) : 0;
}

// Unbounded only while both the agent and who started us live: that is the job's own time.
void Keeper::Wait() {
  std::array<pollfd, 4> fds = {pollfd{signals_.get(), POLLIN, 0},
                               pollfd{options_.lifeline.get(), POLLIN, 0},
                               pollfd{liveness_.get(), POLLIN, 0},
                               // What can be read there is the agent's: only the end counts.
                               pollfd{channel_.get(), POLLRDHUP, 0}};  // negative ones are skipped
  if (::poll(fds.data(), fds.size(), PollTimeout()) <= 0) return;
  if (fds[0].revents != 0) OnSignals();
  if (fds[1].revents != 0) OnLifeline();
  if (fds[2].revents != 0) OnLiveness();
  if (fds[3].revents != 0) OnChannel();
}

void Keeper::OnSignals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGCHLD) continue;
    // A login's end. The channel's is what counts, and a DVM stays.
    if (info.ssi_signo == SIGHUP && (joins_ || !options_.dvm_link.empty())) continue;
    // Whoever signals us wants the job gone: once, the agent's way; twice, at once.
    if (agent_ != 0) ::kill(agent_, SIGTERM);
    if (++stop_requests_ > 1) deadline_ = Now();
  }
  Reap();
}

void Keeper::Reap() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return;
    if (info.si_pid == agent_) {
      OnAgentEnd(info.si_code, info.si_status);
    } else if (hosts_.erase(info.si_pid) > 0) {
      const bool bad = info.si_code != CLD_EXITED || info.si_status != 0;
      if (bad && !agent_ended_ && !ending_)
        Tell(HowItEnded("host", info.si_pid, info.si_code, info.si_status));
    } else if (info.si_pid == remover_) {
      remover_ = 0;
    }
  }
}

void Keeper::OnAgentEnd(int code, int status) {
  agent_ended_ = true;
  agent_ok_ = code == CLD_EXITED && status == 0;
  if (!agent_ok_) Tell(HowItEnded("agent", agent_, code, status));
  agent_ = 0;
  HangUpChannel();
}

void Keeper::OnChannel() {
  channel_.Reset();
  SetDeadline(kAgentAlone);  // the agent has seen the same
}

// Our copy of a socket would keep it open; a pipe's read end keeps nobody from anything.
void Keeper::HangUpChannel() {
  if (channel_) ::shutdown(channel_.get(), SHUT_RDWR);
  channel_.Reset();
}

void Keeper::OnLifeline() {
  std::array<char, 256> ignored;
  const ssize_t n = ::recv(options_.lifeline.get(), ignored.data(), ignored.size(), MSG_DONTWAIT);
  if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return;
  options_.lifeline.Reset();
  if (!options_.dvm_link.empty()) return;
  SetDeadline(kAgentAlone);  // the agent has seen the same on its own connection
}

void Keeper::OnLiveness() {
  if (leases_.Receive(liveness_.get())) {
    if (const auto host = leases_.TakeHost()) ReplaceHost(*host);
    return;
  }
  liveness_.Reset();
  SetDeadline(kAgentEnding);
}

void Keeper::SetDeadline(milliseconds delay) {
  const Time when = Now() + delay;
  if (!deadline_ || when < *deadline_) deadline_ = when;
}

// To rexlaunch on the lifeline; to a parent on stderr, which ssh carries to it.
void Keeper::Tell(const std::string& line) {
  if (joins_) return Complain(line);
  if (!options_.lifeline) return;
  const std::string text = line + "\n";
  // Never waits: a rexlaunch that does not read is told no more.
  [[maybe_unused]] const ssize_t n =
      ::send(options_.lifeline.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

// In the usual case only the host is left. It and the remover are ended first, by pid, which is
// cheaper than looking through /proc.
void Keeper::EndAll() {
  ending_ = true;
  if (!agent_ended_ && agent_ != 0) Tell("agent overdue pid " + std::to_string(agent_));
  for (const pid_t pid : {agent_, remover_}) {
    if (pid != 0) ::kill(pid, SIGKILL);
  }
  for (const pid_t pid : hosts_) ::kill(pid, SIGKILL);
  liveness_.Reset();
  AwaitKnown();
  AwaitKeepersBelow();
  const Time end = Now() + kKillBound;
  std::vector<ProcessInfo> left;
  // /proc is no snapshot and may hide one that is being made; the kernel's own word on children is.
  while (HaveChildren() && Now() < end) {
    left = KillDescendants(std::chrono::ceil<milliseconds>(end - Now()));
  }
  for (const auto& process : left) {
    if (!joins_) Tell("left pid " + std::to_string(process.pid) + " " + process.command);
    Complain("could not end process " + std::to_string(process.pid) + " (" + process.command +
             ", state " + process.state + ")");
  }
}

void Keeper::AwaitKnown() {
  const Time end = Now() + kKnownBound;
  Reap();
  while ((agent_ != 0 || !hosts_.empty() || remover_ != 0) && Now() < end) {
    pollfd fd{signals_.get(), POLLIN, 0};
    ::poll(&fd, 1, 1);
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) > 0) {
    }
    Reap();
  }
}

// Below an agent with virtual nodes there are keepers: they end what they keep themselves, as they
// have lost their channel, and nobody else removes their directories. All but them and theirs is
// killed at once.
void Keeper::AwaitKeepersBelow() {
  const Time end = Now() + kKeepersBelow;
  while (HaveChildren() && Now() < end) {
    std::set<pid_t> spared;
    for (const ProcessInfo& process : FindDescendants(::getpid())) {  // parents come first
      if (process.command == kKeeperName || spared.contains(process.ppid)) {
        spared.insert(process.pid);
      } else {
        KillWithGroup(process.pid);
      }
    }
    if (spared.empty()) return;
    pollfd fd{signals_.get(), POLLIN, 0};
    ::poll(&fd, 1, 10);
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) > 0) {
    }
    Reap();
  }
}

void Keeper::RemoveDirs() {
  if (!options_.dvm_link.empty() && temp_dir_) {
    TellLog();
    UnlinkDvm(options_.dvm_link, temp_dir_->path());
  }
  if (shm_dir_) shm_dir_->Remove();
  if (temp_dir_) temp_dir_->Remove();
  if (!options_.ship_dir.empty()) RemoveTree(options_.ship_dir);
}

}  // namespace rex
