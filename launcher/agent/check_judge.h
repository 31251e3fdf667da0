// What `rexlaunch --check` finds wrong with the nodes. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/agent/check_facts.h"
#include "launcher/tree/tree_messages.h"
#include "launcher/wire/check_report.h"

namespace rex {

// What is known of one node when all have answered or failed.
struct CheckSubject {
  std::string name;  // as typed
  bool here = false;
  uint32_t named_slots = 0;  // 0: none were named
  std::optional<CheckFacts> facts;
  std::optional<StartFailure> failure;  // without facts
  std::optional<ClockOffset> clock;     // of its CLOCK_MONOTONIC; none: not known
};

// `is_virtual`: all nodes are one machine, and meant to be.
CheckReport JudgeNodes(const std::vector<CheckSubject>& nodes, const CheckFacts& here,
                       bool is_virtual);

}  // namespace rex
