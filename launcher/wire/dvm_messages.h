// What makes a DVM stay, and what rexctl asks of it, as validated C++ types; see messages.h.
// docs/protocol.md has the order in which they go; dvm.proto the encoding.
#pragma once

#include <string>
#include <vector>

#include "launcher/wire/messages.h"

namespace rex {

inline constexpr size_t kMaxDvmRecordBytes = 32 << 20;
inline constexpr size_t kMaxRanksInMessage = 4096;  // of one DvmRanks
inline constexpr std::chrono::seconds kMaxIdleTimeout{std::chrono::hours(24 * 366)};

// What ranks get from the daemons, whoever asks for the job.
struct Inherited {
  std::string name;  // for people: "the limit of stack"
  std::string value;
  bool operator==(const Inherited&) const = default;
};

struct StartDvm {
  std::string name;
  DvmSpec dvm;
  uint32_t slots = 0;
  std::chrono::seconds idle_timeout{0};  // 0: for ever
  std::string origin;
  std::vector<Inherited> inherited;
  bool verbose = false;
};

struct DvmRecord {
  std::string version;
  std::string name;
  std::string origin;
  DvmSpec dvm;
  uint32_t slots = 0;
  std::vector<Inherited> inherited;
  int64_t agent_pid = 0;
  int64_t keeper_pid = 0;
  int64_t started_s = 0;  // since 1970
  std::string head;
};

struct Declined {
  std::string reason;
};

struct AskDvm {
  bool jobs = false;
  bool ranks = false;
};
struct DvmNode {
  std::string name;
  uint32_t slots = 0;
  uint32_t cores = 0;
  uint32_t used = 0;
  bool lost = false;
};
struct DvmStatus {
  DvmRecord record;
  uint32_t state = 0;  // of dvm_state.h; below 16
  std::vector<DvmNode> nodes;
  std::chrono::milliseconds up{0};
  std::chrono::milliseconds idle{0};
  std::chrono::seconds idle_timeout{0};
  uint32_t jobs = 0;
  uint32_t jobs_ever = 0;
};
struct DvmJob {
  JobNumber number = 0;
  std::string name_space;
  uint32_t state = 0;  // of job_state.h; below 16
  uint32_t ranks = 0;
  uint32_t live = 0;
  std::chrono::milliseconds age{0};
  JobNumber parent_job = 0;
  Rank parent_rank = 0;
  std::vector<std::string> command;
  std::string cwd;
  int64_t client_pid = 0;
  int64_t tool_pid = 0;
  std::string tool_command;
};
struct DvmJobList {
  std::vector<DvmJob> jobs;
};
enum class RankState : uint8_t { kUnborn, kRunning, kConnected, kFinalized, kExited };
inline constexpr uint32_t kLastRankState = static_cast<uint32_t>(RankState::kExited);
struct DvmRank {
  JobNumber job = 0;
  Rank rank = 0;
  std::string node;
  int64_t pid = 0;
  RankState state = RankState::kUnborn;
  int code = 0;
  int signo = 0;
  bool templated = false;
  std::string program;
};
struct DvmRankList {
  std::vector<DvmRank> ranks;
};

struct StopDvm {
  bool wait = false;
};
struct KillJob {
  JobNumber job = 0;
  int signo = 0;  // 0: the job is ended, with grace
};
struct DvmReply {
  bool ok = false;
  std::string text;
};

std::string ToWire(const StartDvm& m);
std::string ToWire(const DvmRecord& m);
std::string ToWire(const Declined& m);
std::string ToWire(const AskDvm& m);
std::string ToWire(const DvmStatus& m);
std::string ToWire(const DvmJobList& m);
std::string ToWire(const DvmRankList& m);
std::string ToWire(const StopDvm& m);
std::string ToWire(const KillJob& m);
std::string ToWire(const DvmReply& m);

template <>
Result<StartDvm> FromWire(const std::string& payload);
template <>
Result<DvmRecord> FromWire(const std::string& payload);
template <>
Result<Declined> FromWire(const std::string& payload);
template <>
Result<AskDvm> FromWire(const std::string& payload);
template <>
Result<DvmStatus> FromWire(const std::string& payload);
template <>
Result<DvmJobList> FromWire(const std::string& payload);
template <>
Result<DvmRankList> FromWire(const std::string& payload);
template <>
Result<StopDvm> FromWire(const std::string& payload);
template <>
Result<KillJob> FromWire(const std::string& payload);
template <>
Result<DvmReply> FromWire(const std::string& payload);

}  // namespace rex
