// What must hold of a RegisterJob beyond its encoding: its nodes and its apps each share out the
// ranks 0..n-1, every rank once. Pure.
#pragma once

#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

inline constexpr uint32_t kMaxJobRanks = 1 << 20;
inline constexpr uint32_t kMaxJobNodes = 1 << 16;
inline constexpr uint32_t kMaxJobApps = 1024;

// Errors: kProtocol, naming what does not fit.
rex::Status CheckRegisterJob(const RegisterJob& job);

// Sum over the apps; at most kMaxJobRanks once checked.
uint32_t JobRanks(const RegisterJob& job);
// The ranks of one node, ascending.
std::vector<uint32_t> RanksOfNode(const RegisterJob::Node& node);

}  // namespace rex::pmix
