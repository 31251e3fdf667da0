// --get-stack-traces: what each rank was doing, by gdb, one rank after the other. Loop thread only.
//
// gdb is the user's own, found in PATH; where it is missing, or may not attach (ptrace_scope,
// prctl(2) PR_SET_PTRACER), its own words or a line that says so stand in the ranks' place.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/child_table.h"
#include "launcher/base/event_loop.h"
#include "launcher/wire/messages.h"

namespace rex {

class StackTracer {
 public:
  struct Subject {
    Rank rank = 0;
    pid_t pid = 0;
  };
  using OnDone = std::function<void(std::vector<std::string> lines)>;

  // Both are borrowed and outlive this.
  StackTracer(EventLoop& loop, ChildTable& children);
  ~StackTracer();

  // Calls `on_done` once, after every rank was looked at or `bound` is over. May destroy this.
  void Start(std::vector<Subject> subjects, std::chrono::milliseconds bound, OnDone on_done);

 private:
  void Next();
  Status Spawn(const Subject& subject);
  void OnReadable();
  void Finish();

  EventLoop& loop_;
  ChildTable& children_;
  std::vector<Subject> subjects_;
  size_t next_ = 0;
  std::vector<std::string> lines_;
  OnDone on_done_;
  pid_t gdb_ = 0;  // 0: none runs
  UniqueFd output_;
  std::string text_;
  std::unique_ptr<ReadWatcher> watcher_;
  Timer bound_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rex
