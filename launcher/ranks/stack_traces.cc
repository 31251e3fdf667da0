#include "launcher/ranks/stack_traces.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <array>

extern char** environ;

namespace rex {

namespace {

constexpr size_t kMostBytes = 1 << 20;  // of one rank's traces

// "gdb -p PID ... thread apply all bt" with its output in `out`. Errors: kNotFound, kResource.
Result<pid_t> SpawnGdb(pid_t pid, int out) {
  const std::string target = std::to_string(pid);
  const std::array<const char*, 12> argv = {"gdb",   "-nx",
                                            "-q",    "-batch",
                                            "-ex",   "set pagination off",
                                            "-ex",   "thread apply all backtrace",
                                            "-p",    target.c_str(),
                                            nullptr, nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out, 1);
  ::posix_spawn_file_actions_adddup2(&actions, out, 2);
  pid_t gdb = 0;
  const int err = ::posix_spawnp(&gdb, "gdb", &actions, nullptr,
                                 const_cast<char* const*>(argv.data()), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (err == ENOENT) {
    return Error{Errc::kNotFound, "gdb is not installed here (apt-get install gdb)", err};
  }
  if (err != 0) return Error::FromErrno(err, "start gdb");
  return gdb;
}

// The lines of a trace: threads and frames, without gdb's talk about symbols.
void AddTrace(const std::string& text, std::vector<std::string>* lines) {
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    const std::string line = text.substr(from, end - from);
    from = end + 1;
    const bool told = line.starts_with("#") || line.starts_with("Thread ") ||
                      line.find("ptrace") != std::string::npos;
    if (told) lines->push_back("  " + line);
  }
}

}  // namespace

StackTracer::StackTracer(EventLoop& loop, ChildTable& children)
    : loop_(loop), children_(children), bound_(loop, [this] {
        lines_.push_back("(no time was left for the other ranks' stack traces)");
        Finish();
      }) {}

StackTracer::~StackTracer() {
  *alive_ = false;
  if (gdb_ != 0) children_.Kill(gdb_, SIGKILL);
}

void StackTracer::Start(std::vector<Subject> subjects, std::chrono::milliseconds bound,
                        OnDone on_done) {
  subjects_ = std::move(subjects);
  on_done_ = std::move(on_done);
  bound_.Set(bound);
  Next();
}

void StackTracer::Next() {
  if (next_ == subjects_.size()) return Finish();
  const Subject subject = subjects_[next_++];
  lines_.push_back("stack traces of rank " + std::to_string(subject.rank) + " (pid " +
                   std::to_string(subject.pid) + "):");
  if (const Status spawned = Spawn(subject); !spawned) {
    lines_.push_back("  " + spawned.error().text);
    Finish();  // what is missing for one is missing for all
  }
}

Status StackTracer::Spawn(const Subject& subject) {
  auto pipe = MakePipe();
  if (!pipe) return pipe.error();
  const auto gdb = SpawnGdb(subject.pid, pipe->second.get());
  if (!gdb) return gdb.error();
  gdb_ = *gdb;
  children_.Adopt(gdb_, [this, alive = std::weak_ptr<bool>(alive_)](const ExitStatus&) {
    const auto still = alive.lock();
    if (still && *still) gdb_ = 0;
  });
  output_ = std::move(pipe->first);
  watcher_ = std::make_unique<ReadWatcher>(loop_, output_.get(), [this] { OnReadable(); });
  return Ok{};
}

void StackTracer::OnReadable() {
  std::array<char, 16384> chunk;
  const ssize_t n = ::read(output_.get(), chunk.data(), chunk.size());
  if (n < 0 && errno == EINTR) return;
  if (n > 0) {
    if (text_.size() < kMostBytes) text_.append(chunk.data(), static_cast<size_t>(n));
    return;
  }
  AddTrace(text_, &lines_);
  text_.clear();
  watcher_.reset();
  output_.Reset();
  Next();
}

void StackTracer::Finish() {
  bound_.Cancel();
  watcher_.reset();
  output_.Reset();
  if (gdb_ != 0) children_.Kill(gdb_, SIGKILL);
  const OnDone on_done = std::move(on_done_);
  if (on_done) on_done(std::move(lines_));
}

}  // namespace rex
