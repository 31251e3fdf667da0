// The messages between an agent and its PMIx host, as validated C++ types (host.proto has the
// meaning of each field). Status numbers are libpmix's pmix_status_t; the few that the agent's side
// must name are repeated here, because only the host includes libpmix's headers.
// pmix-server/host/host_process.cc asserts that they agree with pmix_common.h.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "launcher/base/frame_channel.h"
#include "launcher/base/result.h"

namespace rex::pmix {

// The data of one collective, or of one rank: what --max-modex can be at most.
inline constexpr size_t kMaxModexBytes = size_t{1} << 30;
inline constexpr size_t kMaxHostMessageBytes = kMaxModexBytes + (64 << 20);

inline constexpr uint32_t kRankWildcard = 0xfffffffe;
enum Status : int32_t {
  kSuccess = 0,
  kError = -1,
  kErrTimeout = -24,
  kErrBadParam = -27,
  kErrNoPermissions = -23,
  kErrUnreach = -25,
  kErrOutOfResource = -29,
  kErrNotFound = -46,
  kErrNotSupported = -47,
  kErrPartialSuccess = -52,
  kErrDuplicateKey = -53,
  kErrLostConnection = -61,
  kErrJobExeNotRunnable = -177,
  kErrJobExeNotFound = -190,
  kErrProcTermWoSync = -200,
  kEventProcTerminated = -201,
  kErrJobWdirNotFound = -233,
  // Rex's own events, below PMIX_EXTERNAL_ERR_BASE: to a tool.
  kEventOutput = -3141,
  kEventNotice = -3142,
};

// The most output of a tool's jobs that is on its way to it; what it has written it says.
inline constexpr uint64_t kToolWindowBytes = 256 << 10;

struct ProcId {
  std::string name_space;
  uint32_t rank = 0;
  auto operator<=>(const ProcId&) const = default;  // NOLINT(modernize-use-nullptr): false alarm
};

// Ranks first, first + stride, ... (`count` of them).
struct RankRun {
  uint32_t first = 0;
  uint32_t count = 0;
  uint32_t stride = 1;
};
struct RegisterJob {
  struct Node {
    std::string name;
    std::vector<RankRun> runs;
  };
  struct App {
    uint32_t first_rank = 0;
    uint32_t ranks = 0;
    std::vector<std::string> argv;
    std::string wdir;
  };
  std::string name_space;
  std::vector<Node> nodes;
  uint32_t local_node = 0;
  std::vector<App> apps;
  std::string job_dir;
  uint32_t slots = 0;
  std::vector<std::string> cpusets;
  std::optional<ProcId> parent;  // none: rexlaunch started it
};
struct JobRegistered {
  struct RankEnv {
    uint32_t rank = 0;
    std::vector<std::string> env;
  };
  std::string name_space;
  int32_t status = 0;
  std::string error;
  std::vector<std::string> common_env;
  std::vector<RankEnv> ranks;
};
struct DeregisterJob {
  std::string name_space;
};
struct JobDeregistered {
  std::string name_space;
};
struct HostReady {
  std::string pmix_version;
  std::chrono::microseconds init_begin{0};
  std::chrono::microseconds init_end{0};
  std::string rendezvous = {};
};
struct ClientEvent {
  enum class What : uint8_t { kConnected, kFinalized };
  ProcId proc;
  What what = What::kConnected;
  std::chrono::microseconds at{0};
};
struct Abort {
  uint64_t request = 0;
  ProcId proc;
  int32_t code = 0;
  std::string text;
  std::vector<ProcId> targets;
};
struct Fence {
  enum class Kind : uint8_t { kFence, kConnect, kDisconnect };
  uint64_t request = 0;
  std::vector<ProcId> participants;
  bool collect = false;
  std::string data;
  std::chrono::microseconds at{0};
  Kind kind = Kind::kFence;
  std::chrono::seconds timeout{0};
};
struct FenceDone {
  uint64_t request = 0;
  int32_t status = 0;
  std::string data;
};
struct FenceReleased {
  std::vector<ProcId> participants;
  std::chrono::microseconds at{0};
};
struct DirectModex {
  uint64_t request = 0;
  ProcId proc;
  std::chrono::seconds timeout{0};
};
struct ModexRequest {
  uint64_t request = 0;
  ProcId proc;
};
struct ModexDone {
  uint64_t request = 0;
  int32_t status = 0;
  std::string data;
};
struct Published {
  std::string key;
  std::string value;
  ProcId owner;
};
struct Publish {
  uint64_t request = 0;
  ProcId proc;
  std::vector<Published> items;
  uint32_t range = 0;
  uint32_t persistence = 0;
  std::chrono::seconds timeout{0};
};
struct Lookup {
  uint64_t request = 0;
  ProcId proc;
  std::vector<std::string> keys;
  bool wait = false;
  uint32_t wait_count = 0;  // 0: all keys
  std::chrono::seconds timeout{0};
  uint32_t range = 0;
};
struct LookupDone {
  uint64_t request = 0;
  int32_t status = 0;
  std::vector<Published> items;
};
struct Unpublish {
  uint64_t request = 0;
  ProcId proc;
  std::vector<std::string> keys;
  uint32_t range = 0;
};
struct ProcExit {
  int code = 0;
  int signo = 0;  // 0: it exited with `code`
};
struct EventText {
  std::string bytes;
  bool to_stderr = false;
};
struct EventRaised {
  uint64_t request = 0;
  int32_t code = 0;
  ProcId source;
  uint32_t range = 0;
  std::string info;
  uint32_t info_count = 0;
  std::vector<ProcId> targets;
  std::optional<ProcExit> exit = {};   // to a host: how `source` ended
  std::optional<EventText> text = {};  // to a host, for a tool: what `source` has written
};
struct JobControl {
  uint64_t request = 0;
  ProcId proc;
  std::vector<ProcId> targets;
  int32_t signo = 0;
};
struct LogText {
  uint64_t request = 0;
  ProcId proc;
  bool to_stdout = false;
  std::string text;
};
struct Query {
  uint64_t request = 0;
  ProcId proc;
  std::vector<std::string> keys;
  std::string name_space;
};
struct ProcState {
  ProcId proc;
  std::string node;
  std::string program;
  int64_t pid = 0;
  int32_t exit_code = 0;
  uint32_t state = 0;
  uint32_t app = 0;
};
struct QueryDone {
  uint64_t request = 0;
  int32_t status = 0;
  std::vector<std::string> name_spaces;
  std::vector<ProcState> procs;
};
struct SpawnInfo {
  enum class Type : uint8_t { kOther, kText, kNumber, kEnvar };
  std::string key;
  Type type = Type::kOther;
  std::string text;  // of an environment variable: its name
  int64_t number = 0;
  std::string value;
  std::string separator;
  bool required = false;
  bool optional = false;
};
struct SpawnApp {
  std::string program;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string cwd;
  uint32_t ranks = 0;
  std::vector<SpawnInfo> infos;
};
struct Spawn {
  uint64_t request = 0;
  ProcId proc;
  std::vector<SpawnInfo> infos;
  std::vector<SpawnApp> apps;
};
struct SpawnDone {
  uint64_t request = 0;
  int32_t status = 0;
  std::string name_space;
};
struct Group {
  enum class Operation : uint8_t { kConstruct, kDestruct };
  uint64_t request = 0;
  Operation operation = Operation::kConstruct;
  std::string id;
  std::vector<ProcId> members;
  bool want_context = false;
  std::string data;
  std::chrono::seconds timeout{0};
};
struct GroupDone {
  uint64_t request = 0;
  int32_t status = 0;
  uint64_t context = 0;  // 0: none
  std::string data;
};
struct ToolConnected {
  uint64_t request = 0;
  ProcId proc;
  int64_t pid = 0;
  std::string version;
  std::string command;
  uint32_t umask = 0;
  uint64_t open_files = 0;
  uint64_t open_files_hard = 0;
};
struct ToolGone {
  ProcId proc;
};
struct ToolRead {
  ProcId proc;
  uint64_t bytes = 0;
};
struct ToolDrain {
  uint64_t request = 0;
  ProcId proc;
};
// Uplinks: docs/design/uplinks.md.
struct UseUplink {
  uint32_t self = 0;
  uint32_t peer = 0;
  std::string peer_name;
  std::array<unsigned char, 32> key_down{};  // of this stream alone
  std::array<unsigned char, 32> key_up{};
  std::chrono::seconds node_timeout{0};
  uint64_t max_message_bytes = 0;
};
// Control: it is there before the FenceDone that it is sent with, and before a DeregisterJob.
struct SeriesGiven {
  uint32_t self = 0;
  uint32_t parent = 0;
  uint64_t max_modex_bytes = 0;
  std::string header;
};
struct FromAbove {
  std::string payload;
};
struct UplinkLost {
  std::string why;
};
struct OpDone {
  uint64_t request = 0;
  int32_t status = 0;
};
// A host that answers has sent all that it knew before.
struct Ping {
  uint64_t number = 0;
};
struct Pong {
  uint64_t number = 0;
};

using HostMessage =
    std::variant<RegisterJob, JobRegistered, DeregisterJob, JobDeregistered, HostReady, ClientEvent,
                 Abort, Fence, FenceDone, FenceReleased, DirectModex, ModexRequest, ModexDone,
                 Publish, Lookup, LookupDone, Unpublish, EventRaised, JobControl, LogText, Query,
                 QueryDone, OpDone, Ping, Pong, Spawn, SpawnDone, Group, GroupDone, ToolConnected,
                 ToolGone, ToolRead, ToolDrain, UseUplink, SeriesGiven, FromAbove, UplinkLost>;

// kData for what carries the data of collectives and modexes: it may be megabytes, and what else
// there is to say goes in between. So there is no order between it and other messages.
FrameClass ClassOf(const HostMessage& message);

std::string EncodeHostMessage(const HostMessage& message);
// kProtocol names what is out of range.
Result<HostMessage> DecodeHostMessage(const std::string& payload);

}  // namespace rex::pmix
