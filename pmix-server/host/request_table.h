// Requests that libpmix waits for and the agent has not answered: number -> what to do with the
// answer. Loop thread only. What is still here when the agent is lost goes with the process.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

// Receives the agent's answer, whose bytes it may take, or an OpDone with an error status when
// there can be none.
using OnAnswer = std::function<void(HostMessage&)>;

class RequestTable {
 public:
  // `generation`: of the host. What the one before asked for is never taken for an answer to this.
  explicit RequestTable(uint32_t generation = 0) : last_(uint64_t{generation} << 32) {}
  // Numbers start at 1: 0 means "no answer wanted" in EventRaised.
  uint64_t Add(OnAnswer on_answer);
  // Runs and forgets the entry. False: no such request (answered already, or nonsense).
  bool Answer(uint64_t request, HostMessage& message);
  size_t size() const { return waiting_.size(); }

 private:
  uint64_t last_;
  std::unordered_map<uint64_t, OnAnswer> waiting_;
};

}  // namespace rex::pmix
