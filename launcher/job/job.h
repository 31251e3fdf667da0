// A job at its head, from LaunchJob to JobEnded: the state machine of job_state.h with its actions.
// Loop thread only. docs/design/tree.md tells the story.
//
// The job commands the parts of its nodes (launcher/ranks) and judges what they tell; it does no
// I/O of its own and can't know which part is in this process. What one node does by itself within
// a bound (planning, births, grace times) has its deadline there; here are the bounds of what
// nodes owe each other. A node that says nothing is the tree's to notice.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/job/exit_rules.h"
#include "launcher/job/job_placement.h"
#include "launcher/job/job_state.h"
#include "launcher/job/lease_notices.h"
#include "launcher/job/output_relay.h"
#include "launcher/job/stdin_router.h"
#include "launcher/part/part_messages.h"
#include "launcher/wire/dvm_messages.h"
#include "pmix-server/proto/host_types.h"

namespace rex {

// Whoever asked for the job (rexlaunch). All functions are set and callable until `ended`.
struct JobClient {
  std::function<void(const Notice&)> notice;
  std::function<void(const Progress&)> progress;
  std::function<void(const JobStarted&)> started;
  std::function<void(std::string payload)> output;
  std::function<void(uint64_t bytes)> stdin_credit;
  std::function<void(const JobEnded&)> ended;  // last call; must not destroy the job before it
                                               // returns
  // The others may be empty.
  std::function<void(uint64_t bytes)> output_wanted;  // so much waits for credit
  std::function<void()> stdin_done;                   // nobody takes stdin any more
  std::function<void()> stopping;                     // its end has begun, not by its ranks alone
};

// What the head's agent lends to a job; outlives it. None of these acts on the job before it
// returns.
struct JobServices {
  EventLoop& loop;
  std::function<void(NodeId, PartCommand)> command;
  std::function<void(PartCommand)> command_all;  // every node of the DVM, also those without ranks
  // Nodes that have not answered yet.
  std::function<std::vector<std::string>()> missing_nodes;
  // Other nodes that have, of how many.
  std::function<std::pair<uint32_t, uint32_t>()> answered;
  // What to add to the node's times to have them on this node's clock.
  std::function<std::chrono::microseconds(NodeId)> clock_offset;
  std::function<void(const pmix::ProcId&)> proc_gone;  // may be empty
  // Fills in what is known of the nodes now: slots that other jobs use, loads. Not called when
  // empty.
  std::function<void(std::vector<JobNode>*)> fill_loads = {};
  // Threads of the job's ranks that a node was given, or gave back (negative). Likewise.
  std::function<void(NodeId, int64_t threads)> add_threads = {};
  std::function<void(const RankEnd&)> rank_ended = {};  // may be empty
};

// Which job of its DVM it is. Without a name space it makes one.
struct JobOrigin {
  JobNumber number = kFirstJob;
  std::string name_space;
  std::optional<pmix::ProcId> parent;  // who spawned it; none: rexlaunch asked for it
  bool keep_templates = false;         // there may be later jobs of the same programs
  bool independent = false;            // how a rank ends is no failure, and concerns no other
};

inline constexpr std::chrono::milliseconds kProgressAfter{1000};  // of a wait, before it is shown

// How long a job waits for what. A part answers AskReport with stack traces in 30 s, and has ended
// its ranks 10 s after KILL.
struct JobBounds {
  std::chrono::milliseconds settle{100};        // between a first failure and Stop
  std::chrono::milliseconds quick_grace{1000};  // when nobody reads the output any more
  std::chrono::milliseconds reports{40'000};
  std::chrono::milliseconds stopping{20'000};  // beyond the grace time, until no rank is left
  std::chrono::milliseconds ending{10'000};
};

class Job {
 public:
  Job(JobServices services, JobSpec spec, JobClient client, JobBounds bounds = {},
      JobOrigin origin = {});

  // Begins to count --timeout.
  void Start();
  // Every node is there: places the ranks and launches. `nodes`: in the user's order.
  void OnNodes(std::vector<JobNode> nodes, uint32_t dvm_nodes);
  // Some node's load has changed: a job that waits for that tries again.
  void OnLoads();

  // From a part. Errors: kProtocol: it can't mean that.
  Status OnPart(NodeId from, PartEvent event);
  // What ranks ask; the caller answers. Targets that are not this job's are passed over; false:
  // none is. No targets: all of the job.
  bool OnJobControl(const pmix::JobControl& m);
  bool OnAbort(const pmix::Abort& m);
  // Of all ranks, or of one node's.
  void AddStates(std::optional<NodeId> node, std::vector<pmix::ProcState>* states) const;

  // From rexlaunch.
  void OnSignal(int signo);
  void OnEndJob(int signo);
  void OnOutputCredit(uint64_t bytes);
  Status OnStdin(const std::string& bytes) { return stdin_.OnBytes(bytes); }
  void OnStdinEnd() { stdin_.OnEnd(); }

  // What the job needs is gone, or the user is: ends the job with this failure. `quick`: nobody
  // reads the output any more; at most kQuickGrace between TERM and KILL.
  void OnLost(const Failure& failure, bool quick);
  // Nodes that will say nothing more: their ranks are gone. `failure` names them.
  void OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure);
  // Another job has failed: this one ends, and is not to blame.
  void OnOthersFailed();

  JobState state() const { return state_; }
  const std::string& name_space() const { return name_space_; }
  const JobSpec& spec() const { return spec_; }
  Failure Verdict() const { return rules_.Verdict(); }
  // Ranks on the node that have not ended, once they are placed.
  uint32_t LiveOn(NodeId node) const;
  uint32_t total() const { return static_cast<uint32_t>(ranks_.size()); }
  // `rank` is below total().
  const AppSpec& AppOf(Rank rank) const { return placed_.spec->apps[AppIndexOf(rank)]; }
  bool AnyEnded() const { return ranks_ended_ > 0; }
  bool AllEnded() const { return !ranks_.empty() && ranks_ended_ == ranks_.size(); }
  std::vector<NodeId> Nodes() const;
  // For rexctl, under the job's number in the DVM.
  DvmJob Describe(JobNumber number) const;
  void AddRanks(JobNumber number, std::vector<DvmRank>* ranks) const;
  // Somebody ends it by rexctl.
  void OnKilled();
  std::optional<NodeId> NodeOfLive(Rank rank) const;
  // This process's own phases, before the parts'.
  void AddPhase(Phase phase) { phases_.push_back(std::move(phase)); }

 private:
  struct RankRecord {
    int64_t pid = 0;
    bool templated = false;
    bool connected = false;
    bool finalized = false;
    bool excused = false;  // it aborted: its own end follows from that
    std::optional<RankEnd> end;
  };
  // How far a part has come.
  struct PartRecord {
    bool planned = false;
    bool ready = false;
    size_t born = 0;  // so many of its ranks
    bool running = false;
    bool drained = false;
    bool ended = false;
    bool lost = false;
    std::optional<std::vector<std::string>> report;
    LeaseNews leases;  // once planned
  };

  // State machine (job.cc).
  void On(JobEvent event);
  void Enter(JobState state);
  void EnterLaunching();
  void TellLeases();
  void EnterRunning();
  void EnterStopping();
  void EnterDraining();
  void EnterEnding();
  void EnterDone();
  void OnDeadline();
  void OnTimeout();
  void LetOutputPass();
  void WantCredit(uint64_t bytes);

  // Placing, and waiting for nodes that are less loaded (job_loads.cc).
  void TryToPlace();
  void OnPlaced(PlacedJob placed);
  void WaitForLoads(Failure failure);
  void GiveUpWaiting();
  bool MayUse(const std::vector<NodeId>& some) const;
  bool LeavesOut(const std::vector<NodeId>& lost);
  std::string AwaitedLoad() const;
  int64_t ThreadsOf(Rank rank) const;
  void CountThreadsOf(Rank rank, int sign);

  // How far it is, and who is waited for (job_absences.cc).
  void OnProgressTimer();
  Progress ProgressNow() const;
  void EndProgress();
  void OnAbsenceTimer();
  void TellAbsence(const std::string& text);
  std::vector<std::string> UnbornParts() const;
  bool InitIsAwaited() const;
  std::vector<Rank> AbsentFromInit() const;
  void OnAbsenceReport(NodeId from, std::vector<std::string> lines);
  void EndHarder();
  void Discard();
  void CancelTimers();
  void BlameAndStop(Failure failure);
  JobPhase PhaseNow() const;
  Failure InPhase(Failure failure) const;
  std::string WhatIsMissing() const;
  void ShowPlan();
  // Takes `event` when every part that is not lost has `done`.
  void Check(bool PartRecord::*done, JobEvent event);
  void MarkLost(NodeId node, PartRecord& part);
  void CheckReports();

  // From parts (job_parts.cc).
  Status Take(NodeId from, PartPlanned& m);
  Status Take(NodeId from, PartBorn& m);
  Status Take(NodeId from, PartReady& m);
  Status Take(NodeId from, PartRunning& m);
  Status Take(NodeId from, PartFailed& m);
  Status Take(NodeId from, RankEnds& m);
  Status Take(NodeId from, PartProgress& m);
  Status Take(NodeId from, PartOutput& m);
  Status Take(NodeId from, PartStdinCredit& m);
  Status Take(NodeId from, PartStdinDone& m);
  Status Take(NodeId from, PartNotice& m);
  Status Take(NodeId from, PartNews& m);
  Status Take(NodeId from, PartReport& m);
  Status Take(NodeId from, PartDrained& m);
  Status Take(NodeId from, PartEnded& m);
  static Status Take(NodeId /*from*/, PartPlugIns& /*m*/) { return Ok{}; }  // the image's affair
  uint32_t CoresOf(NodeId node) const;
  std::optional<uint64_t> PlanDigestOf(NodeId node) const;
  bool Owns(NodeId node, Rank rank) const;
  void OnRankEnd(const RankEnd& end);
  void Judge(const RankEnd& end);
  void JudgeAbsent();
  void AskAboutAbsent();
  bool IsAbsent(const RankRecord& record) const;
  bool SomebodyWaitsInInit() const;
  Failure AboutRank(Rank rank, Failure failure) const;
  bool IsReaped(NodeId node, const PartRecord& part) const;
  void CheckReaped();

  // What ranks ask (job_requests.cc).
  std::vector<Rank> Resolve(const std::vector<pmix::ProcId>& targets) const;
  pmix::ProcState StateOf(Rank rank) const;
  uint32_t AppIndexOf(Rank rank) const;

  const std::string& NameOf(NodeId node) const;

  JobServices services_;
  const JobSpec spec_;  // as rexlaunch sent it
  JobClient client_;
  const JobBounds bounds_;
  const JobOrigin origin_;
  Clock::Time begin_{0};
  std::string name_space_;
  std::vector<JobNode> nodes_;
  uint32_t dvm_nodes_ = 0;
  PlacedJob placed_;
  std::optional<Failure> busy_;  // waits for nodes that are less loaded, because of this
  JobState state_ = JobState::kPlanned;
  std::vector<RankRecord> ranks_;
  std::map<NodeId, PartRecord> parts_;
  std::map<NodeId, std::string> map_texts_;
  std::map<NodeId, std::string> topology_texts_;
  ExitRules rules_;
  OutputRelay output_;
  StdinRouter stdin_;
  std::vector<Phase> phases_;
  uint64_t held_credit_ = 0;       // came before rexlaunch was told that the job runs
  uint64_t held_want_ = 0;         // likewise: credit that is wanted
  std::vector<int> held_signals_;  // came before the parts were told
  std::set<NodeId> asked_news_;    // parts whose host's word is waited for
  std::vector<Rank> asked_about_;  // ranks that had gone without MPI_Init when it was asked for
  uint64_t news_number_ = 0;
  bool any_connected_ = false;
  bool any_absent_ = false;
  bool reporting_ = false;
  uint64_t absence_number_ = kTimeoutReport;  // of the last AskReport for --report-after
  std::map<NodeId, std::vector<std::string>> absence_lines_;
  std::chrono::milliseconds absence_after_;  // when, from the start, it is told next
  bool end_asked_ = false;                   // by rexlaunch, once
  std::chrono::milliseconds grace_;
  bool discard_ = false;
  size_t ranks_ended_ = 0;
  Timer deadline_;       // of the present state
  Timer settle_;         // after a first failure
  Timer timeout_;        // --timeout
  Timer absence_timer_;  // --report-after
  Timer progress_timer_;
  bool progress_told_ = false;
  Timer wait_;    // for nodes that are less loaded
  Timer report_;  // for the parts' reports after it
};

}  // namespace rex
