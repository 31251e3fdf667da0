// Messages between an agent and its PMIx host. Input: the payload.
#include "pmix-server/proto/host_types.h"
#include "pmix-server/proto/job_checks.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex::pmix {
namespace {

template <typename T>
void CheckBounds(const T&) {}

// What libpmix is told about a job must add up: every rank is on one node and in one app.
void CheckBounds(const RegisterJob& job) {
  REX_CHECK(CheckRegisterJob(job).has_value());
  REX_CHECK(job.local_node < job.nodes.size() && job.slots >= 1);
  uint64_t placed = 0;
  for (const auto& node : job.nodes) {
    for (const RankRun& run : node.runs) placed += run.count;
  }
  REX_CHECK(placed == JobRanks(job) && placed <= kMaxJobRanks);
}
void CheckBounds(const JobRegistered& m) {
  for (size_t i = 1; i < m.ranks.size(); ++i) REX_CHECK(m.ranks[i - 1].rank < m.ranks[i].rank);
}
void CheckBounds(const HostReady& m) { REX_CHECK(m.init_begin <= m.init_end); }
void CheckBounds(const JobControl& m) { REX_CHECK(m.signo >= 1 && m.signo <= 64); }
void CheckBounds(const Lookup& m) { REX_CHECK(m.wait_count <= m.keys.size()); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string payload(reinterpret_cast<const char*>(data), size);
  const Result<HostMessage> first = DecodeHostMessage(payload);
  if (!first) {
    REX_CHECK(first.error().code == Errc::kProtocol && !first.error().text.empty());
    return 0;
  }
  std::visit([](const auto& m) { CheckBounds(m); }, *first);
  const std::string wire = EncodeHostMessage(*first);
  const Result<HostMessage> second = DecodeHostMessage(wire);
  REX_CHECK(second.has_value());
  REX_CHECK(second->index() == first->index());
  REX_CHECK(EncodeHostMessage(*second) == wire);
  return 0;
}

}  // namespace rex::pmix
