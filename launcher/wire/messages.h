// The messages between rexlaunch and the head, as validated C++ types. docs/protocol.md has the
// order in which they go; launch.proto the encoding. FromWire is the only place where what a peer
// sent is believed, and checks every count and range.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "launcher/base/frame_channel.h"
#include "launcher/base/phase.h"
#include "launcher/base/result.h"
#include "sched/policy/load_request.h"
#include "sched/policy/policy.h"

namespace rex {

inline constexpr uint32_t kMaxRanks = 1 << 20;           // per job
inline constexpr uint32_t kMaxApps = 1024;               // per job
inline constexpr uint32_t kMaxJobNodes = (1 << 16) - 1;  // named by one job
inline constexpr size_t kMaxLaunchMessageBytes = 32 << 20;
inline constexpr size_t kMaxStdioPayloadBytes =
    60 << 10;  // one Output or Stdin message, header included
inline constexpr std::string_view kProtocolVersion = REX_VERSION;

using Rank = uint32_t;
using JobNumber = uint32_t;                // of a job within its DVM
inline constexpr JobNumber kFirstJob = 1;  // what rexlaunch asked for; others were spawned

enum class LaunchMessage : uint8_t {  // the `kind` of a frame
  kHello = 1,
  kLaunchJob = 2,
  kSignal = 3,
  kEndJob = 4,
  kStdinCredit = 5,   // head -> rexlaunch
  kOutputCredit = 6,  // rexlaunch -> head
  kNotice = 7,
  kJobStarted = 8,
  kJobEnded = 9,
  kProgress = 10,
  kCheckReport = 11,  // head -> rexlaunch; check_report.h
  kOutput = 16,       // raw: see OutputHeader; class kStdio
  kStdin = 17,        // raw bytes; class kStdio
  kStdinEnd = 18,     // empty; class kStdio
  // A DVM that stays: dvm_messages.h.
  kStartDvm = 20,    // rexctl start -> head
  kDvmStarted = 21,  // head -> rexctl start: DvmRecord
  kDeclined = 22,    // head -> rexlaunch
  kAskDvm = 23,
  kDvmStatus = 24,
  kDvmJobs = 25,
  kDvmRanks = 26,
  kStopDvm = 27,
  kKillJob = 28,
  kDvmReply = 29,
};

struct Hello {
  std::string version;
};

struct AppSpec {
  std::vector<std::string> argv;  // at least one word
  uint32_t ranks = 1;             // 0, with nodes: as many as there are slots
  std::string wdir;               // absolute, or empty: JobSpec::cwd
  std::vector<std::string> env;   // NAME=VALUE
  std::string search_path;        // directories searched before PATH, as PATH is written
  uint32_t per_node = 0;          // at most so many on each node, -N; 0: no such limit
  std::vector<uint32_t> nodes;  // the only ones for this app, indices into DvmSpec::nodes; or empty
  PlacePolicy place;
  uint32_t gpus_per_rank = 0;  // GPUs that each rank has for itself; 0: no rank is given any
  // seq and rank files: each rank's node, an index into DvmSpec::nodes (0 without any); `ranks` is
  // their number. And rank files: each rank's cpus, as "0:1-2". Else empty.
  std::vector<uint32_t> fixed;
  std::vector<std::string> slot_lists;
};

// A node of --nodes-json.
struct DescribedNode {
  std::string name;
  uint32_t slots = 0;     // 0: its cores
  uint32_t topology = 0;  // an index into JobSpec::topologies
  uint32_t load = 0;      // hundredths
};
inline constexpr uint32_t kMaxGpusPerRank = 1024;
inline constexpr uint32_t kMaxDescribedNodes = 1 << 16;

// One node that the user named.
struct NodeRequest {
  std::string name;        // as typed: alias, IP, FQDN
  bool here = false;       // this machine, by whatever name: nothing is started there
  uint32_t slots = 0;      // 0: its usable cores
  std::string user;        // for ssh; may be empty
  uint32_t port = 0;       // for ssh; 0: its own default
  uint32_t max_slots = 0;  // never more ranks than these, even oversubscribed; 0: no such limit
};
enum class Bootstrap : uint8_t { kSsh, kVirtual, kSlurm };
enum class TreeRequest : uint8_t { kAuto, kFlat, kTwoLevel };
enum class ShipRequest : uint8_t { kAuto, kAlways, kNever };

// Where a job runs and how its nodes are reached. Without nodes: on this machine alone.
struct DvmSpec {
  std::vector<NodeRequest> nodes;  // in the user's order; each once
  Bootstrap bootstrap = Bootstrap::kSsh;
  TreeRequest tree = TreeRequest::kAuto;
  std::vector<std::string> ssh;  // the words of --ssh; empty: ssh
  std::string rexd;              // absolute path of rexd on the nodes; empty: this machine's own
  ShipRequest ship = ShipRequest::kAuto;  // nodes are sent rex when it is missing, always or never
  std::chrono::seconds start_timeout{30};
  std::chrono::seconds node_timeout{120};
  uint64_t max_modex_bytes = uint64_t{1} << 30;
  bool allow_missing = false;  // nodes that do not start are left out
  // Nobody named these nodes: those that do not start or come late are left out, and those that get
  // no ranks are let go.
  bool pool = false;
  uint32_t max_slots = 0;  // without nodes: of this machine, as NodeRequest's
};

// Whether, and how, programs are sent to nodes that lack them. docs/design/image.md.
enum class StageRequest : uint8_t { kAuto, kAlways, kNever };
enum class CreationRequest : uint8_t { kGroup, kMultiple, kSingle };
enum class TransportRequest : uint8_t { kAuto, kTree, kMulticast };
enum class StoreRequest : uint8_t { kMemory, kDisk, kDirectory };
inline constexpr size_t kMaxPreloadFiles = 4096;
struct StageSpec {
  StageRequest mode = StageRequest::kAuto;
  CreationRequest creation = CreationRequest::kGroup;
  TransportRequest transport = TransportRequest::kAuto;
  StoreRequest store = StoreRequest::kMemory;
  std::string store_dir;     // kDirectory: absolute; else empty
  uint64_t store_bytes = 0;  // the most that the store holds; 0: half of its file system
  std::chrono::milliseconds hold{10'000};  // pieces that come before their launch are kept
  std::vector<std::string> preload_files;  // absolute
  bool operator==(const StageSpec&) const = default;
};

inline constexpr int32_t kStdinAll = -1;
inline constexpr int32_t kStdinNone = -2;

struct JobSpec {
  std::vector<AppSpec> apps;
  DvmSpec dvm;
  std::vector<std::string> env;
  // With nodes, --export=mpirun|none: ranks get, below `env`, what their node's agent has itself.
  bool node_env = false;
  std::string cwd;
  int32_t stdin_rank = 0;  // or kStdinAll, kStdinNone
  bool stdout_pipe = false;
  std::chrono::milliseconds grace{2000};
  std::chrono::milliseconds timeout{0};  // 0: none
  bool report_state = false;
  std::chrono::milliseconds report_after{0};  // who is waited for is told then; 0: never
  bool progress = false;                      // Progress is wanted
  bool oversubscribe = false;
  bool verbose = false;
  uint32_t umask = 022;
  uint64_t open_files = 1024;       // RLIMIT_NOFILE of the ranks: soft
  uint64_t open_files_hard = 4096;  // and hard
  std::chrono::microseconds timer_slack{0};
  uint32_t slots = 0;                 // of this node, named by the user; 0: its cores
  bool refuse_oversubscribe = false;  // more ranks than slots are refused, whoever named the slots
  bool local_memory = false;          // bound ranks get memory of their NUMA nodes only
  std::string leases;  // where nodes lease cores: empty (their own choice), "none" or a directory
  std::vector<DescribedNode> described;  // with do_not_launch: the nodes, instead of real ones
  std::vector<std::string> topologies;   // of these: hwloc's XML, or its synthetic description
  bool show_map = false;
  bool show_allocation = false;
  bool show_json = false;  // the allocation
  LoadRequest load;
  bool show_bindings = false;
  bool show_topology = false;
  bool do_not_launch = false;
  bool check = false;           // no job: look at the nodes, answer with a CheckReport
  bool stack_traces = false;    // on timeout
  bool cwd_in_session = false;  // ranks start in the job's own directory
  bool no_template = false;     // every rank by exec
  StageSpec stage;
  // In a DVM that stays: rexlaunch can run the job elsewhere, Declined is an answer.
  bool may_decline = false;

  uint32_t TotalRanks() const;
  // Nodes must say how loaded they are before ranks have places.
  bool WantsLoads() const;
};

struct SignalRanks {
  int signo = 0;
};
struct EndJob {
  int signo = 0;
};
struct Credit {
  uint64_t bytes = 0;
};

struct Notice {
  enum class Level : uint8_t { kInfo, kWarning, kDetail, kPlain };
  Level level = Level::kInfo;
  std::string text;
};

// How far a job had come when something happened to it.
enum class JobPhase : uint8_t {
  kNodes,    // its nodes are being started
  kPrepare,  // programs are looked up and loaded, hosts told: no rank has run anything yet
  kBirths,   // ranks are being born, and begin
  kInit,     // some ranks wait in MPI_Init for others that have not called it
  kRun,
};
inline constexpr uint8_t kLastJobPhase = static_cast<uint8_t>(JobPhase::kRun);

// How far the job is, for a terminal. In JobPhase::kRun nothing is waited for.
struct Progress {
  JobPhase phase = JobPhase::kRun;
  uint32_t done = 0;  // nodes up, ranks born, ranks in MPI_Init
  uint32_t total = 0;
};

struct RankInfo {
  Rank rank = 0;
  std::string node;
  int64_t pid = 0;
  std::string birth;
};
struct JobStarted {
  std::string name_space;
  std::vector<RankInfo> ranks;
  uint32_t total = 0;
  JobNumber job = kFirstJob;
};

enum class FailureKind : uint8_t {
  kNone,
  kRankExit,
  kRankSignal,
  kAbort,
  kNoFinalize,
  kTimeout,
  kUserSignal,
  kProgramNotFound,
  kProgramNotRunnable,
  kWdirMissing,
  kNoResources,
  kInternal,
  kRefused,
  kNoInit,
  kNodeStart,
  kNodeLost,
  kNodeFailed,
  kDvmStopped,
  kJobKilled,
};
inline constexpr uint8_t kLastFailureKind = static_cast<uint8_t>(FailureKind::kJobKilled);

struct Failure {
  FailureKind kind = FailureKind::kNone;
  JobPhase phase = JobPhase::kRun;
  Rank rank = 0;
  std::string node;
  int64_t pid = 0;
  int signo = 0;
  bool core_dumped = false;
  int code = 0;
  std::string program;
  std::string detail;
  std::string remedy;
  uint32_t others = 0;
  JobNumber job = kFirstJob;  // the rank's
};

// A process of rex ended or misbehaved.
Failure InternalFailure(std::string detail, std::string remedy);

struct JobEnded {
  int exit_code = 0;  // 0..255
  Failure failure;
  std::vector<Phase> phases;
  std::vector<std::string> state_report;
};

std::string ToWire(const Hello& m);
std::string ToWire(const JobSpec& m);
std::string ToWire(const SignalRanks& m);
std::string ToWire(const EndJob& m);
std::string ToWire(const Credit& m);
std::string ToWire(const Notice& m);
std::string ToWire(const Progress& m);
std::string ToWire(const JobStarted& m);
std::string ToWire(const JobEnded& m);

// FromWire<T>(payload): kProtocol names the field that is out of range.
template <typename T>
Result<T> FromWire(const std::string& payload);

// Raw stdio payloads: a fixed little-endian header, then the bytes.
enum class OutputStream : uint8_t { kStdout = 1, kStderr = 2 };
struct OutputHeader {
  Rank rank = 0;
  OutputStream stream = OutputStream::kStdout;
  bool end = false;  // the stream is at its end; bytes may come with it
  JobNumber job = kFirstJob;
};
// u32 rank, u8 stream, u8 end, u16 zero, u32 job
inline constexpr size_t kOutputHeaderBytes = 12;
inline constexpr size_t kOutputJobOffset = 8;
std::string EncodeOutput(const OutputHeader& header, std::string_view bytes);
// Parts know no numbers of jobs: the head writes it into what they have encoded.
void SetOutputJob(JobNumber job, std::string* payload);
Result<OutputHeader> DecodeOutput(std::string_view payload, std::string_view* bytes);

// Sends a message with its kind; control class.
template <typename T>
void SendControl(FrameChannel& channel, LaunchMessage kind, const T& message) {
  channel.Send(static_cast<uint8_t>(kind), FrameClass::kControl, ToWire(message));
}

}  // namespace rex
