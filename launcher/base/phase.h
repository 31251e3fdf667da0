// A named, timed stretch of a launch: what --timeline shows.
#pragma once

#include <chrono>
#include <string>

namespace rex {

struct Phase {
  std::string name;
  std::chrono::microseconds begin{0};  // CLOCK_MONOTONIC of this node
  std::chrono::microseconds end{0};
  std::string node;
  std::string process;  // rexlaunch, keeper, agent, host, "rank N"
  std::string note;     // for people; may be empty
};

}  // namespace rex
