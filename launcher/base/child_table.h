// The one place where a process reaps its children.
//
// A daemon of rex is its descendants' subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): children that
// it never started itself, orphaned by its own children, end up here too and are reaped silently.
// Therefore SIGCHLD is answered with waitid(P_ALL) rather than with a pidfd per child; a child is
// signalled only while it is in the table and unreaped, so a reused pid is never hit (kill(2)).
//
// Births by CLONE_PARENT: a rank can end before its pid has been told to us. Between
// ExpectBirths(true) and ExpectBirths(false) the ends of unknown children are kept, and Adopt()
// of such a pid reports its end at once (through the loop).
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "launcher/base/event_loop.h"

namespace rex {

// How a child ended, as waitid(2) tells it.
struct ExitStatus {
  int code = 0;       // exit code 0..255; meaningful when signal == 0
  int signal = 0;     // the signal that ended it, 0 for an exit
  bool core = false;  // it dumped core
  bool ok() const { return signal == 0 && code == 0; }
  // What a shell would show: the code, or 128 + signal.
  int ShellCode() const { return signal != 0 ? 128 + signal : code; }
};

class ChildTable {
 public:
  using OnExit = std::function<void(const ExitStatus&)>;

  // Watches SIGCHLD on `loop` (borrowed). One table per process.
  explicit ChildTable(EventLoop& loop);

  // Takes charge of `pid`, a direct child. `on_exit` runs once, on the loop, after it was reaped.
  void Adopt(pid_t pid, OnExit on_exit);
  // `pid` is somebody else's from now on, who adopts it: its end is told to nobody before. `ended`:
  // it has been reaped already. Only while births are expected.
  void GiveAway(pid_t pid, std::optional<ExitStatus> ended);
  // Signals one child; false when it is not in the table (already reaped) or the kernel refused.
  bool Kill(pid_t pid, int signo) const;
  // Signals the child's whole process group, which must be led by the child itself.
  bool KillGroup(pid_t pid, int signo) const;
  bool Contains(pid_t pid) const { return children_.contains(pid); }
  size_t size() const { return children_.size(); }

  // Calls nest: each true has its false.
  void ExpectBirths(bool expected);

  // Reaps everything that has ended by now; also called on SIGCHLD.
  void Reap();

 private:
  EventLoop& loop_;
  std::map<pid_t, OnExit> children_;
  std::map<pid_t, ExitStatus> early_;  // ended before Adopt(), only while births are expected
  int births_expected_ = 0;            // calls with true that have had no false yet
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  SignalWatcher sigchld_;
};

}  // namespace rex
