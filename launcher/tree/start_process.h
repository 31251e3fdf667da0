// The process that starts an agent: ssh, or rexd itself for a virtual node. From its spawn until it
// is reaped.
//
// It leads a session of its own, so that a terminal's signals do not reach it. Its stderr is read
// all the time: the end of it is kept, and lines can be passed on. Loop thread only. Handlers may
// not destroy it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/child_table.h"
#include "launcher/base/event_loop.h"
#include "launcher/base/fd.h"

namespace rex {

class StartProcess {
 public:
  struct Handlers {
    std::function<void(const std::string& line)> on_line;  // of stderr, printable, not empty
    std::function<void()> on_end;                          // reaped; stderr has been read
  };
  enum class Kind : uint8_t {
    kRemoteShell,  // talks over two pipes; its whole process group is signalled
    kRexd,         // over one socket; only itself: it ends what is below it
  };

  // Runs `argv` (posix_spawnp(3)) with the channel as its stdin and stdout. `children` is borrowed.
  // Errors: kNotFound, kPermission, kResource.
  static Result<std::unique_ptr<StartProcess>> Spawn(EventLoop& loop, ChildTable& children,
                                                     const std::vector<std::string>& argv,
                                                     Kind kind, Handlers handlers);
  // The same with another environment than ours ("NAME=value").
  static Result<std::unique_ptr<StartProcess>> Spawn(EventLoop& loop, ChildTable& children,
                                                     const std::vector<std::string>& argv,
                                                     const std::vector<std::string>& environment,
                                                     Kind kind, Handlers handlers);
  // Kills it when it still runs; the children's table reaps it.
  ~StartProcess();
  StartProcess(const StartProcess&) = delete;
  StartProcess& operator=(const StartProcess&) = delete;

  pid_t pid() const { return pid_; }
  UniqueFd TakeInput() { return std::move(from_child_); }  // its stdout
  UniqueFd TakeOutput() { return std::move(to_child_); }   // its stdin
  const std::string& errors() const { return errors_; }    // the end of its stderr
  const std::optional<ExitStatus>& end() const { return end_; }
  // Signals it, while it runs.
  void Signal(int signo) const;

 private:
  StartProcess(EventLoop& loop, ChildTable& children, Kind kind, Handlers handlers);
  Status Start(const std::vector<std::string>& argv, char* const* environment);
  bool ReadErrors();  // false: nothing there now
  void PassLines(bool all);
  void OnEnd(const ExitStatus& status);

  EventLoop& loop_;
  ChildTable& children_;
  const Kind kind_;
  Handlers handlers_;
  pid_t pid_ = 0;
  UniqueFd from_child_;
  UniqueFd to_child_;
  UniqueFd stderr_;
  std::string errors_;
  std::string line_;  // of stderr, unfinished
  std::optional<ExitStatus> end_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<ReadWatcher> stderr_watcher_;
};

}  // namespace rex
