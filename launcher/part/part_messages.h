// What the head and a node's part of a job say to each other, as validated C++ types. The same
// types are passed within the head's process and, encoded, over the tree: a part can't tell where
// its head is. part.proto has the meaning of each field, docs/design/tree.md the order.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "launcher/base/frame_channel.h"
#include "launcher/base/node_id.h"
#include "launcher/wire/messages.h"
#include "sched/placement/job_map.h"

namespace rex {

// ---- head -> part

struct SpawnedBy {
  std::string name_space;
  Rank rank = 0;
};
struct LaunchPart {
  std::string name_space;
  std::shared_ptr<const JobSpec> spec;  // apps with their numbers of ranks; no nodes
  std::shared_ptr<const JobMap> map;
  uint32_t slots = 0;
  std::vector<std::string> node_names;  // of map->nodes()
  bool unbuffered = false;
  bool virtual_nodes = false;
  std::string image;  // an encoded Image (image.proto); empty: each node finds the programs itself
  std::optional<SpawnedBy> parent;  // none: rexlaunch asked for the job
  bool keep_templates = false;      // there may be later jobs of the same programs
};
struct OpenGates {};
struct SignalPart {
  int signo = 0;
  std::vector<Rank> ranks;  // empty: all
  bool ends_them = false;
};
struct StopPart {
  std::chrono::milliseconds grace{0};
  bool discard_output = false;
};
struct PartCredit {  // the part may send that many more bytes of output
  uint64_t bytes = 0;
};
struct PartStdin {
  std::string bytes;
};
struct PartStdinEnd {};
struct AskNews {
  uint64_t number = 0;
};
inline constexpr uint64_t kTimeoutReport = 0;  // other numbers are of --report-after
struct AskReport {
  bool stack_traces = false;
  uint64_t number = kTimeoutReport;
};
struct EndPart {};

using PartCommand = std::variant<LaunchPart, OpenGates, SignalPart, StopPart, PartCredit, PartStdin,
                                 PartStdinEnd, AskNews, AskReport, EndPart>;

// ---- part -> head

struct PartPlanned {
  uint64_t map_digest = 0;
  std::string map_text;
  std::string topology_text;
  uint64_t plan_digest = 0;
  uint32_t cores_held = 0;
  std::string lease_trouble;
  bool trouble_is_new = false;
};
struct PartBorn {      // these ranks exist, and may have begun if the gates are open
  uint32_t first = 0;  // position among the part's ranks, which ascend
  std::vector<int64_t> pids;
  std::vector<bool> templated;  // as long as pids
};
struct PartRunning {};
struct PartFailed {
  Failure failure;
  bool root_cause = false;
};
struct RankEnd {
  Rank rank = 0;
  int code = 0;
  int signo = 0;  // 0: it exited with `code`
  bool core_dumped = false;
  bool connected = false;
  bool finalized = false;
  bool consequence = false;
};
struct RankEnds {
  std::vector<RankEnd> ends;
};
struct PartProgress {
  std::vector<Rank> connected;
  std::vector<Rank> finalized;
};
struct PartOutput {
  std::string payload;  // EncodeOutput's
};
struct PartStdinCredit {  // that many more bytes of stdin may be sent to the part
  uint64_t bytes = 0;
};
struct PartStdinDone {};  // no rank of the part takes stdin any more
struct PartNotice {
  Notice notice;
};
struct PartNews {
  uint64_t number = 0;
};
struct PartReport {
  std::vector<std::string> lines;
  uint64_t number = kTimeoutReport;
};
struct PartReady {};    // the host here knows the namespace: ranks anywhere may begin
struct PartDrained {};  // no rank is left, the output is complete
struct PartPlugIns {    // libraries that a rank has mapped and the distribution does not have
  uint32_t app = 0;
  std::vector<std::string> paths;  // absolute, at most kMaxPlugIns
};
inline constexpr size_t kMaxPlugIns = 512;
struct PartEnded {
  std::vector<Phase> phases;
  std::vector<std::string> leftovers;
};

using PartEvent =
    std::variant<PartPlanned, PartBorn, PartRunning, PartFailed, RankEnds, PartProgress, PartOutput,
                 PartStdinCredit, PartStdinDone, PartNotice, PartNews, PartReport, PartDrained,
                 PartEnded, PartReady, PartPlugIns>;

// ---- over the tree

inline constexpr uint8_t kFirstPartKind = 96;  // a command's kind is this and its index
inline constexpr uint8_t kFirstEventKind = 112;
inline constexpr uint8_t kLastPartKind = 127;
inline constexpr size_t kMaxPartMessageBytes = kMaxLaunchMessageBytes + (4 << 20);

struct PartFrame {
  uint8_t kind = 0;
  FrameClass frame_class = FrameClass::kControl;
  std::string payload;  // u32 little-endian job number, then the body
};
PartFrame EncodePart(JobNumber job, const PartCommand& command);
PartFrame EncodePart(JobNumber job, const PartEvent& event);

template <typename T>  // PartCommand or PartEvent
struct PartMessage {
  JobNumber job = 0;
  T body;
};
// `nodes`: how many the DVM has, for LaunchPart's map. kProtocol names the field that is wrong.
Result<PartMessage<PartCommand>> DecodeCommand(uint8_t kind, const std::string& payload,
                                               uint32_t nodes);
Result<PartMessage<PartEvent>> DecodeEvent(uint8_t kind, const std::string& payload);

}  // namespace rex
