// What `rexlaunch --check` gets from the head: facts of every node, and what is wrong.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launcher/wire/messages.h"

namespace rex {

inline constexpr int kExitCheck = 116;  // problems were found; docs/rules.md

struct CheckedNode {
  std::string name;  // as typed
  bool here = false;
  uint32_t slots = 0;
  bool answered = false;  // what follows is known; texts are empty where nothing was found
  std::string hostname;
  uint32_t cores = 0;
  std::string rex;  // versions
  std::string glibc;
  std::string openmpi;  // libmpi.so's file name, with its version
  std::string libpmix;
  std::string way_back;  // "INTERFACE ADDRESS to ADDRESS"; empty: over ssh only
  // Its CLOCK_REALTIME minus that of rexlaunch's machine, and how sure that is.
  std::optional<std::chrono::microseconds> clock;
  std::chrono::microseconds clock_error{0};
  std::string temp;  // directory
  uint64_t temp_free = 0;
  uint64_t shm_free = 0;
};

struct CheckProblem {
  std::string node;
  std::string about;  // a word: start, way back, name, version, slots, clock, disk, shm
  std::string text;
  std::string remedy;
  bool note = false;  // a job would run all the same
  bool operator==(const CheckProblem&) const = default;
};

struct CheckReport {
  std::vector<CheckedNode> nodes;  // in the user's order
  std::vector<CheckProblem> problems;
};

std::string ToWire(const CheckReport& m);
template <>
Result<CheckReport> FromWire(const std::string& payload);

}  // namespace rex
