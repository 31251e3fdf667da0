// Finding and ending everything below this process, by /proc: children, their children, orphans
// that were reparented to us (subreaper). The last line of "nothing stays".
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace rex {

struct ProcessInfo {
  pid_t pid = 0;
  pid_t ppid = 0;
  char state = '?';     // proc(5): R, S, D, T, Z ...
  std::string command;  // comm, at most 15 bytes
};

// One process from /proc/PID/stat; pid 0 when it is gone or unreadable.
ProcessInfo ReadProcess(pid_t pid);

// Live (not zombie) processes below `root`, itself not included, children before grandchildren;
// without those that `leaves_out` picks and all below them, which are not looked at.
std::vector<ProcessInfo> FindDescendants(
    pid_t root, const std::function<bool(pid_t)>& leaves_out = [](pid_t) { return false; });

// Kills (SIGKILL) and reaps everything below this process until /proc shows nothing, at most for
// `bound`. Blocking. Returns what is still there (empty: all gone). Only for a process that has
// no ChildTable, or no longer needs its callbacks: every exit status is thrown away.
std::vector<ProcessInfo> KillDescendants(std::chrono::milliseconds bound);

// Makes orphans below this process its children. Source: prctl(2) PR_SET_CHILD_SUBREAPER.
void BecomeSubreaper();

}  // namespace rex
