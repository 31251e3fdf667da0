// What the keeper tells rexlaunch about rex's own processes, and what is made of it when the
// connection to the head is lost. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/child_table.h"

namespace rex {

struct DaemonEnd {
  std::string name;  // agent, host, spawner, keeper
  ExitStatus status;
  int64_t pid = 0;
};

// One line of the lifeline: "NAME signal N pid P" or "NAME exit N pid P".
std::optional<DaemonEnd> ParseDaemonEnd(std::string_view line);

// "rex's agent (pid 123) was ended by signal 9 (Killed)"
std::string DaemonEndText(const DaemonEnd& end);

// The lines for a job whose head was lost, as in FailureLines(). `ends` in the order they were
// reported: the first is taken as the cause. `reason`: why the connection closed.
std::vector<std::string> LostHeadLines(const std::vector<DaemonEnd>& ends,
                                       const std::string& reason);

}  // namespace rex
