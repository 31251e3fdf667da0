#include "launcher/base/child_table.h"

#include <signal.h>
#include <sys/wait.h>

namespace rex {

namespace {
ExitStatus FromSiginfo(const siginfo_t& info) {
  ExitStatus status;
  if (info.si_code == CLD_EXITED) {
    status.code = info.si_status;
  } else {
    status.signal = info.si_status;
    status.core = info.si_code == CLD_DUMPED;
  }
  return status;
}
}  // namespace

ChildTable::ChildTable(EventLoop& loop)
    : loop_(loop), sigchld_(loop, SIGCHLD, [this] { Reap(); }) {}

void ChildTable::Adopt(pid_t pid, OnExit on_exit) {
  REX_CHECK(pid > 0 && !children_.contains(pid));
  const auto early = early_.find(pid);
  if (early == early_.end()) {
    children_.emplace(pid, std::move(on_exit));
    return;
  }
  const ExitStatus status = early->second;
  early_.erase(early);
  loop_.Post([alive = std::weak_ptr<bool>(alive_), on_exit = std::move(on_exit), status] {
    if (!alive.expired()) on_exit(status);
  });
}

void ChildTable::GiveAway(pid_t pid, std::optional<ExitStatus> ended) {
  REX_CHECK(births_expected_ > 0);
  children_.erase(pid);
  if (ended) early_[pid] = *ended;
}

bool ChildTable::Kill(pid_t pid, int signo) const {
  return children_.contains(pid) && ::kill(pid, signo) == 0;
}

bool ChildTable::KillGroup(pid_t pid, int signo) const {
  return children_.contains(pid) && ::kill(-pid, signo) == 0;
}

void ChildTable::ExpectBirths(bool expected) {
  births_expected_ += expected ? 1 : -1;
  REX_CHECK(births_expected_ >= 0);
  if (births_expected_ == 0) early_.clear();
}

void ChildTable::Reap() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return;
    const ExitStatus status = FromSiginfo(info);
    const auto child = children_.find(info.si_pid);
    if (child == children_.end()) {
      if (births_expected_ > 0) early_[info.si_pid] = status;
      continue;  // an orphan of one of our children
    }
    const OnExit on_exit = std::move(child->second);
    children_.erase(child);
    on_exit(status);
  }
}

}  // namespace rex
