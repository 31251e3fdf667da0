#include "tests/support/command.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "launcher/base/check.h"

extern char** environ;

namespace rex::testing {
namespace {

using Clock = std::chrono::steady_clock;

bool Removed(const std::string& name, const std::vector<std::string>& patterns) {
  for (const auto& pattern : patterns) {
    if (pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1))
                               : name == pattern) {
      return true;
    }
  }
  return false;
}

std::vector<std::string> MakeEnvironment(const CommandOptions& options) {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = text.substr(0, equals);
    if (!Removed(name, options.unset_env)) all[name] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : options.set_env) all[name] = value;
  std::vector<std::string> env;
  for (const auto& [name, value] : all) env.push_back(name + "=" + value);
  return env;
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void ChildFailed(const char* what) {
  std::fprintf(stderr, "test support: %s: %s\n", what, std::strerror(errno));
  std::fflush(stderr);
  ::_exit(127);
}

void ResetSignals() {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signo = 1; signo < NSIG; ++signo) ::signal(signo, SIG_DFL);
}

// In the child: descriptors 0-2, terminal, limits, directory.
void SetUpChild(const CommandOptions& options, int in, int out, int err) {
  ResetSignals();
  if (options.on_pty) {
    ::setsid();
    ::ioctl(in, TIOCSCTTY, 0);
  } else {
    // Not a session of its own: in an orphaned process group SIGTSTP would have no effect.
    ::setpgid(0, 0);
  }
  // Moved up first, so that no dup2 overwrites an end that is still to be used.
  in = ::fcntl(in, F_DUPFD_CLOEXEC, 10);
  out = ::fcntl(out, F_DUPFD_CLOEXEC, 10);
  err = ::fcntl(err, F_DUPFD_CLOEXEC, 10);
  if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ChildFailed("dup2");
  if (options.close_stdin) ::close(0);
  if (!options.cwd.empty() && ::chdir(options.cwd.c_str()) != 0) ChildFailed("chdir");
  for (const auto& [resource, limit] : options.limits) {
    if (::setrlimit(resource, &limit) != 0) ChildFailed("setrlimit");
  }
}

std::string Join(const std::vector<std::string>& argv) {
  std::string line;
  for (const auto& word : argv) line += (line.empty() ? "" : " ") + word;
  return line;
}

std::string Cut(const std::string& text) {
  constexpr size_t kKeep = 6000;
  if (text.size() <= 2 * kKeep) return text;
  return text.substr(0, kKeep) + "\n[... " + std::to_string(text.size() - 2 * kKeep) +
         " bytes left out ...]\n" + text.substr(text.size() - kKeep);
}

template <typename T>
T Take(Result<T> result) {
  REX_CHECK(result.has_value());
  return std::move(result).value();
}

}  // namespace

std::string Describe(const CommandResult& r) {
  std::string how = r.timed_out ? "still running at its time limit, killed"
                    : r.signo   ? "ended by signal " + std::to_string(r.signo)
                                : "exit code " + std::to_string(r.exit_code);
  if (r.output_left_open) how += "; something still holds its output open";
  return "command: " + r.command + "\n" + how + " after " + std::to_string(r.wall.count()) +
         " ms\n--- stdout (" + std::to_string(r.out.size()) + " bytes)\n" + Cut(r.out) +
         "\n--- stderr (" + std::to_string(r.err.size()) + " bytes)\n" + Cut(r.err) + "\n---\n";
}

std::ostream& operator<<(std::ostream& os, const CommandResult& result) {
  return os << Describe(result);
}

RunningCommand::RunningCommand(const std::vector<std::string>& argv, CommandOptions options)
    : options_(std::move(options)), started_(Clock::now()) {
  ::signal(SIGPIPE, SIG_IGN);  // a program that closes its stdin must not end the test
  result_.command = Join(argv);
  Start(argv, options_.on_pty ? OpenTerminal() : OpenPipes());
  to_write_ = options_.stdin_bytes;
  close_in_when_written_ = options_.stdin_kind == StdinKind::kBytes;
  if (in_) REX_CHECK(SetNonBlocking(in_.get()).has_value());
}

RunningCommand::~RunningCommand() {
  if (ended_) return;
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

RunningCommand::ChildEnds RunningCommand::OpenPipes() {
  ChildEnds ends;
  auto out = Take(MakePipe());
  auto err = Take(MakePipe());
  out_ = std::move(out.first);
  err_ = std::move(err.first);
  ends.out = std::move(out.second);
  ends.err = std::move(err.second);
  if (options_.stdin_kind == StdinKind::kBytes || options_.stdin_kind == StdinKind::kPipe) {
    auto in = Take(MakePipe());
    ends.in = std::move(in.first);
    in_ = std::move(in.second);
  } else {
    const bool file = options_.stdin_kind == StdinKind::kFile;
    ends.in.Reset(::open(file ? options_.stdin_file.c_str() : "/dev/null", O_RDONLY | O_CLOEXEC));
    REX_CHECK(static_cast<bool>(ends.in));
  }
  return ends;
}

RunningCommand::ChildEnds RunningCommand::OpenTerminal() {
  int master = -1;
  int slave = -1;
  REX_CHECK(::openpty(&master, &slave, nullptr, nullptr, nullptr) == 0);
  out_.Reset(master);
  in_.Reset(::fcntl(master, F_DUPFD_CLOEXEC, 3));
  ::fcntl(master, F_SETFD, FD_CLOEXEC);
  ChildEnds ends;
  ends.in.Reset(::fcntl(slave, F_DUPFD_CLOEXEC, 3));
  ends.out.Reset(::fcntl(slave, F_DUPFD_CLOEXEC, 3));
  ends.err.Reset(::fcntl(slave, F_DUPFD_CLOEXEC, 3));
  ::close(slave);
  return ends;
}

void RunningCommand::Start(const std::vector<std::string>& argv, ChildEnds ends) {
  std::vector<std::string> words = argv;
  std::vector<std::string> env = MakeEnvironment(options_);
  std::vector<char*> argv_pointers = Pointers(words);
  std::vector<char*> env_pointers = Pointers(env);
  pid_ = ::fork();
  REX_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    SetUpChild(options_, ends.in.get(), ends.out.get(), ends.err.get());
    ::execvpe(argv_pointers[0], argv_pointers.data(), env_pointers.data());
    ChildFailed(argv_pointers[0]);
  }
  if (!options_.on_pty) ::setpgid(pid_, pid_);  // here too, whoever comes first
}

void RunningCommand::Signal(int signo) {
  if (!ended_) ::kill(pid_, signo);
}

void RunningCommand::Write(const std::string& bytes) {
  to_write_ += bytes;
  WriteSome();
}

void RunningCommand::CloseStdin() {
  close_in_when_written_ = true;
  WriteSome();
}

void RunningCommand::CloseStdout() { out_.Reset(); }

void RunningCommand::WriteSome() {
  while (in_ && !to_write_.empty()) {
    const ssize_t n = ::write(in_.get(), to_write_.data(), to_write_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {  // the reader is gone: no more stdin
      to_write_.clear();
      in_.Reset();
      return;
    }
    to_write_.erase(0, static_cast<size_t>(n));
  }
  if (close_in_when_written_ && to_write_.empty()) in_.Reset();
}

void RunningCommand::ReadSome(UniqueFd& fd, std::string& into) {
  std::array<char, 65536> buffer;
  const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
  if (n > 0) {
    into.append(buffer.data(), static_cast<size_t>(n));
  } else if (n == 0 || errno != EINTR) {
    fd.Reset();  // a terminal whose last user is gone gives EIO
  }
}

void RunningCommand::TryReap() {
  if (ended_) return;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return;
  ended_ = true;
  result_.wall = std::chrono::duration_cast<milliseconds>(Clock::now() - started_);
  if (WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result_.signo = WTERMSIG(status);
}

bool RunningCommand::AllEndsClosed() const { return !out_ && !err_; }

void RunningCommand::PumpOnce(milliseconds wait) {
  WriteSome();
  std::vector<pollfd> fds;
  if (out_) fds.push_back({out_.get(), POLLIN, 0});
  if (err_) fds.push_back({err_.get(), POLLIN, 0});
  if (in_ && !to_write_.empty()) fds.push_back({in_.get(), POLLOUT, 0});
  ::poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
  for (const auto& entry : fds) {
    if (entry.revents == 0) continue;
    if (out_ && entry.fd == out_.get()) {
      ReadSome(out_, result_.out);
    } else if (err_ && entry.fd == err_.get()) {
      ReadSome(err_, result_.err);
    }
  }
  TryReap();
}

bool RunningCommand::WaitUntil(const std::function<bool()>& condition, milliseconds bound) {
  const auto deadline = Clock::now() + bound;
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    if (ended_ && AllEndsClosed()) return condition();
    PumpOnce(milliseconds(10));
  }
  return true;
}

bool RunningCommand::WaitForText(const std::string& text, milliseconds bound) {
  return WaitUntil(
      [this, &text] {
        return result_.out.find(text) != std::string::npos ||
               result_.err.find(text) != std::string::npos;
      },
      bound);
}

bool RunningCommand::WaitEndWithoutReading(milliseconds bound) {
  const auto deadline = Clock::now() + bound;
  while (!ended_ && Clock::now() < deadline) {
    ::poll(nullptr, 0, 5);
    TryReap();
  }
  return ended_;
}

CommandResult RunningCommand::Wait(std::optional<milliseconds> bound) {
  if (!WaitUntil([this] { return ended_; }, bound.value_or(options_.timeout))) {
    result_.timed_out = true;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    WaitEndWithoutReading(seconds(10));
    result_.exit_code = -1;
  }
  // What is still in the pipes; something left behind could hold them open for ever.
  WaitUntil([this] { return AllEndsClosed(); }, seconds(3));
  result_.output_left_open = !AllEndsClosed() && !options_.on_pty;
  return result_;
}

CommandResult RunningCommand::Snapshot() const {
  CommandResult now = result_;
  if (!ended_) {
    now.command += " [still running]";
    now.wall = std::chrono::duration_cast<milliseconds>(Clock::now() - started_);
  }
  return now;
}

CommandResult RunCommand(const std::vector<std::string>& argv, CommandOptions options) {
  RunningCommand command(argv, std::move(options));
  return command.Wait();
}

std::string ShellWord(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? "'\\''" : std::string(1, c);
  return word + "'";
}

std::string Fnv(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash));
  return text.data();
}

}  // namespace rex::testing
