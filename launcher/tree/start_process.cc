#include "launcher/tree/start_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <array>

#include "launcher/tree/start_text.h"

extern char** environ;

namespace rex {

namespace {

constexpr size_t kMaxLineBytes = 4 << 10;  // then what there is of it is passed on
constexpr int kLastReads = 64;             // more than a pipe holds

struct ChildEnds {
  UniqueFd in;
  UniqueFd out;
  UniqueFd err;
};

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawnp with the three descriptors, a session of its own and no signal blocked or ignored.
Result<pid_t> SpawnSession(const std::vector<std::string>& argv, char* const* environment,
                           const ChildEnds& ends) {
  const std::vector<char*> words = Pointers(argv);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, ends.in.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ends.out.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ends.err.get(), STDERR_FILENO);
#if __GLIBC_PREREQ(2, 34)
  // All of ours are close-on-exec; an agent's own, handed to it by number, may not be, and a copy
  // in ssh would keep its peers from seeing its end.
  ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
#endif
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  const int err = ::posix_spawnp(&pid, words[0], &actions, &attributes, words.data(), environment);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (err != 0) return Error::FromErrno(err, "start '" + argv[0] + "'");
  return pid;
}

// Above the standard ones, so that no dup2 in the child closes an end that is still to be used.
Status MoveUp(UniqueFd* fd) {
  if (fd->get() > STDERR_FILENO) return Ok{};
  const int moved = ::fcntl(fd->get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (moved < 0) return Error::FromErrno(errno, "duplicate a descriptor");
  fd->Reset(moved);
  return Ok{};
}

}  // namespace

StartProcess::StartProcess(EventLoop& loop, ChildTable& children, Kind kind, Handlers handlers)
    : loop_(loop), children_(children), kind_(kind), handlers_(std::move(handlers)) {}

StartProcess::~StartProcess() {
  *alive_ = false;
  Signal(SIGKILL);
}

Result<std::unique_ptr<StartProcess>> StartProcess::Spawn(EventLoop& loop, ChildTable& children,
                                                          const std::vector<std::string>& argv,
                                                          Kind kind, Handlers handlers) {
  std::unique_ptr<StartProcess> process(
      new StartProcess(loop, children, kind, std::move(handlers)));
  const Status started = process->Start(argv, environ);
  if (!started) return started.error();
  return process;
}

Result<std::unique_ptr<StartProcess>> StartProcess::Spawn(
    EventLoop& loop, ChildTable& children, const std::vector<std::string>& argv,
    const std::vector<std::string>& environment, Kind kind, Handlers handlers) {
  std::unique_ptr<StartProcess> process(
      new StartProcess(loop, children, kind, std::move(handlers)));
  const Status started = process->Start(argv, Pointers(environment).data());
  if (!started) return started.error();
  return process;
}

Status StartProcess::Start(const std::vector<std::string>& argv, char* const* environment) {
  ChildEnds ends;
  auto err = MakePipe();
  auto down = kind_ == Kind::kRemoteShell ? MakePipe() : MakeStreamPair();
  if (!err) return err.error();
  if (!down) return down.error();
  if (kind_ == Kind::kRemoteShell) {
    auto up = MakePipe();
    if (!up) return up.error();
    ends.out = std::move(up->second);
    from_child_ = std::move(up->first);
  } else {
    ends.out.Reset(::fcntl(down->first.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    from_child_.Reset(::fcntl(down->second.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!ends.out || !from_child_) return Error::FromErrno(errno, "duplicate a socket");
  }
  ends.in = std::move(down->first);
  to_child_ = std::move(down->second);
  ends.err = std::move(err->second);
  stderr_ = std::move(err->first);
  for (UniqueFd* fd : {&ends.in, &ends.out, &ends.err}) {
    if (const Status moved = MoveUp(fd); !moved) return moved;
  }
  if (const Status set = SetNonBlocking(stderr_.get()); !set) return set;
  const auto pid = SpawnSession(argv, environment, ends);
  if (!pid) return pid.error();
  pid_ = *pid;
  children_.Adopt(pid_, [this, alive = alive_](const ExitStatus& status) {
    if (*alive) OnEnd(status);
  });
  stderr_watcher_ = std::make_unique<ReadWatcher>(loop_, stderr_.get(), [this] { ReadErrors(); });
  return Ok{};
}

void StartProcess::Signal(int signo) const {
  if (pid_ == 0 || end_) return;
  if (kind_ == Kind::kRemoteShell) {
    children_.KillGroup(pid_, signo);
  } else {
    children_.Kill(pid_, signo);
  }
}

bool StartProcess::ReadErrors() {
  std::array<char, 16 << 10> bytes;
  const ssize_t n = ::read(stderr_.get(), bytes.data(), bytes.size());
  if (n < 0) return false;
  if (n == 0) {
    stderr_watcher_->Enable(false);
    PassLines(true);
    return false;
  }
  const std::string_view more(bytes.data(), static_cast<size_t>(n));
  KeepEnd(&errors_, more);
  line_.append(more);
  PassLines(line_.size() > kMaxLineBytes);
  return true;
}

void StartProcess::PassLines(bool all) {
  const size_t end = all ? line_.size() : line_.rfind('\n') + 1;  // npos + 1 is 0
  const std::string whole = line_.substr(0, end);
  line_.erase(0, end);
  for (const std::string& line : PrintableLines(whole)) handlers_.on_line(line);
}

// Something that ssh has left behind (a shared connection's master) may hold stderr open: what is
// there now is all that is waited for.
void StartProcess::OnEnd(const ExitStatus& status) {
  end_ = status;
  for (int turn = 0; turn < kLastReads && ReadErrors(); ++turn) {
  }
  PassLines(true);
  handlers_.on_end();
}

}  // namespace rex
