// The messages between the Exchanges of two agents, as validated C++ types (exchange.proto has the
// meaning of each field). Bulk is never copied by a decoder: it stays in the payload, behind the
// header, and says where it begins.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/node_id.h"
#include "launcher/base/result.h"
#include "pmix-server/proto/host_types.h"

namespace rex {

using CollectiveKind = pmix::Fence::Kind;

// Ranks first .. first + count - 1 of a namespace; first == pmix::kRankWildcard, count 1: all.
struct ProcRun {
  std::string name_space;
  uint32_t first = 0;
  uint32_t count = 1;
  // NOLINTNEXTLINE(modernize-use-nullptr): false alarm
  auto operator<=>(const ProcRun&) const = default;
};
// Sorted, each process once, neighbours joined: equal sets have equal runs.
std::vector<ProcRun> RunsOfProcs(std::vector<pmix::ProcId> procs);

struct CollectiveHeader {
  CollectiveKind kind = CollectiveKind::kFence;
  std::vector<ProcRun> participants;
  uint64_t sequence = 0;
  std::vector<NodeId> nodes;  // ascending
  int32_t status = 0;
};
struct ModexHeader {
  uint64_t id = 0;
  pmix::ProcId proc;  // kModexAsk
  int32_t status = 0;
};
struct HostState {
  NodeId node{0};
  bool lost = false;
};

// The bytes behind a header.
struct Bulk {
  std::string payload;
  size_t offset = 0;
  std::string_view view() const { return std::string_view(payload).substr(offset); }
};
template <typename Header>
struct WithBulk {
  Header header;
  Bulk bulk;
};

// What the headers of one series' messages have in common, encoded: all but number and status.
std::string EncodeSeries(const CollectiveHeader& header);
// Of a message of that series: what is its own. nullopt: its header does not begin with `series`,
// or has more than that in it; DecodeCollective knows.
struct CollectiveOf {
  uint64_t sequence = 0;
  int32_t status = 0;
  size_t bulk_offset = 0;
};
std::optional<CollectiveOf> DecodeOfSeries(std::string_view payload, std::string_view series);

// A payload with `bulk_bytes` of room behind its header, for the caller to append to.
std::string EncodeCollective(std::string_view series, uint64_t sequence, int32_t status,
                             size_t bulk_bytes);
std::string EncodeCollective(const CollectiveHeader& header, size_t bulk_bytes);
std::string EncodeModex(const ModexHeader& header, std::string_view bulk);
std::string EncodeHostState(const HostState& state);

// Errors: kProtocol, naming what is out of range.
Result<WithBulk<CollectiveHeader>> DecodeCollective(std::string payload);
// An ask has a process and neither status nor bulk; `is_ask` says whether it must be one.
Result<WithBulk<ModexHeader>> DecodeModex(std::string payload, bool is_ask);
Result<HostState> DecodeHostState(const std::string& payload);

}  // namespace rex
