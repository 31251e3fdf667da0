// A node's part of a job, from LaunchPart to PartEnded: the state machine of part_state.h with its
// actions. Loop thread only. docs/design/tree.md tells the story.
//
// The part owns its ranks' records and stdio; it borrows the agent's loop, child table, spawner and
// host. It obeys the head's commands and tells events, and can't know whether the head is in this
// process. Every wait has a deadline; what runs out becomes a failure that names the phase.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launcher/base/child_table.h"
#include "launcher/base/descendants.h"
#include "launcher/base/event_loop.h"
#include "launcher/lease/core_leases.h"
#include "launcher/part/part_messages.h"
#include "launcher/ranks/output_collector.h"
#include "launcher/ranks/part_plan.h"
#include "launcher/ranks/part_state.h"
#include "launcher/ranks/rank_stdio.h"
#include "launcher/ranks/rank_table.h"
#include "launcher/ranks/stack_traces.h"
#include "launcher/ranks/start_up_times.h"
#include "launcher/ranks/stdin_feeder.h"
#include "launcher/template/rank_maker.h"
#include "launcher/template/template_store.h"
#include "pmix-server/proto/host_types.h"

namespace rex {

// How the programs of a part come to this node. Called from the loop, never from inside a call of
// the part's; at most once each.
struct StageHandlers {
  std::function<void(std::vector<StagedProgram>)> on_planned;  // where they will be
  std::function<void(std::string note)> on_placed;             // they are there
  std::function<void(Failure)> on_failed;
};

// What the agent lends to a part; outlives it.
struct PartServices {
  EventLoop& loop;
  ChildTable& children;
  RankMaker& maker;
  TemplateStore& templates;
  std::function<void(const pmix::HostMessage&)> to_host;
  // To the head. Never acts on the part before it returns.
  std::function<void(PartEvent)> tell;
  // Ends what the job's ranks left behind (not ranks, not the agent's own helpers).
  std::function<std::vector<ProcessInfo>()> kill_leftovers;
  // Has these leases kept beyond the agent's own end; none: the job has ended.
  std::function<void(const std::vector<int>&)> keep_leases;
  // Begins to bring what LaunchPart.image names. Not set: it names nothing for this node.
  std::function<void(StageHandlers)> stage = {};
  JobNumber job = kFirstJob;
};

class Part {
 public:
  Part(PartServices services, NodeFacts node, LaunchPart launch);

  // Plans and tells PartPlanned or PartFailed; then waits for OnHostReady.
  void Start();

  // The head's word; LaunchPart is not one for a part that is there. kProtocol: nonsense.
  Status On(PartCommand command);

  // From the host.
  void OnHostReady();
  void OnHostMessage(const pmix::HostMessage& message);
  // The PMIx host is gone. Ranks may have lost it, and ended by that, before we know.
  void OnHostLost(const Failure& failure);

  // Nobody is there to tell any more: ends by itself, in at most kQuickGrace and what KILL takes.
  // `ended` is called when nothing is left.
  void Abandon(std::function<void()> ended);

  PartState state() const { return state_; }
  const std::string& name_space() const { return plan_.name_space; }
  // Ranks that are there or may come.
  uint32_t live() const;
  // A rank of each app that runs, the lowest. `own_dir`: AppPlan's, or the rank's own copy.
  struct Sample {
    uint32_t app = 0;
    pid_t pid = 0;
    std::string own_dir;
  };
  std::vector<Sample> Samples() const;
  // Takes out of a request of one of its ranks what rex gave that rank for itself.
  void TakeOutOwn(pmix::Spawn* spawn) const;

  static constexpr std::chrono::milliseconds kQuickGrace{1000};
  static constexpr std::chrono::milliseconds kDrainStep{100};
  static constexpr std::chrono::seconds kHostBound{60};
  // From the host's answer, or the order to stop, to its last word about ranks that ended: what
  // libpmix's thread there has not yet passed on.
  static constexpr std::chrono::milliseconds kNewsBound{250};
  static constexpr std::chrono::seconds kTraceBound{30};  // for all ranks' stack traces
  static constexpr std::chrono::seconds kKillBound{10};   // from KILL to reaped

 private:
  // `f`, which does nothing once the part is gone: for what may call back late.
  template <typename F>
  auto WhileAlive(F f) {
    return [f = std::move(f), alive = std::weak_ptr(alive_)](auto&&... args) mutable {
      if (!alive.expired()) f(std::forward<decltype(args)>(args)...);
    };
  }

  // Programs.
  void StagePrograms();
  void Plan(const std::vector<StagedProgram>& staged);
  void OnPlaced(std::string note);
  void BeginBirthsWhenReady();
  Status LinkPreloadFiles();

  // State machine.
  void Take(PartStep step);
  void Enter(PartState state);
  void EnterRegistering();
  void EnterForking();
  void EnterRunning();
  void EnterStopping();
  void EnterDraining();
  void EnterDrained();
  void EnterEnded();
  void TidyUp();
  void OnDeadline();
  void OnGraceOver();
  void OnDrainTimeOver();
  void KillLeftovers();
  Status MakeDirs();
  void Fail(Failure failure, bool root_cause = false);

  // Commands.
  Status OnCommand(LaunchPart& m);
  Status OnCommand(OpenGates& m);
  Status OnCommand(SignalPart& m);
  Status OnCommand(StopPart& m);
  Status OnCommand(PartCredit& m);
  Status OnCommand(PartStdin& m);
  Status OnCommand(PartStdinEnd& m);
  Status OnCommand(AskNews& m);
  Status OnCommand(AskReport& m);
  Status OnCommand(EndPart& m);

  // Births (part_births.cc).
  void StartTemplates();
  void StartTemplate(size_t app);
  TemplateMaker::OnFallback TellExec(size_t app);
  void EndTemplates();
  std::string BirthsNote() const;
  void SubmitNextBatch();
  BatchEvents EventsOf(size_t first, size_t count);
  void OnBatchLost(size_t first, const Error& error);
  Result<BirthBatch> MakeBatch(size_t first, size_t count);
  size_t BatchSize(size_t first) const;
  bool IsTemplatesLast(size_t local) const;
  void OnPids(size_t first, size_t asked, const std::vector<pid_t>& pids, int error, Birth birth);
  void ReleaseAll();
  void CheckRunning();
  void TakeBorn(size_t first, const std::vector<pid_t>& pids, Birth birth);
  void FailBirth(size_t local, int error);
  void OnBirthFailure(size_t local, const BirthFailure& failure);
  void OnBatchBorn();
  bool GetsStdin(Rank rank) const;
  void OpenStdioAhead();
  size_t RoomAhead() const;
  Status TakeStdio(size_t local, RankStdio* io);

  // Ends (part_ends.cc).
  void OnRankEnd(size_t local, const ExitStatus& end);
  void TellEnd(const RankRecord& record);
  void PostFlush();
  void FlushNews();
  void AskHost();
  void TellUnsure();
  void CheckReaped();
  void SignalAll(int signo);
  std::vector<std::string> ReportState() const;
  void OnClientEvent(const pmix::ClientEvent& event);
  void OnPong(const pmix::Pong& pong);
  void OnRegistered(pmix::JobRegistered registered);
  void OnLog(const pmix::LogText& log);

  PartServices services_;
  const NodeFacts node_;
  const LaunchPart launch_;
  const JobSpec& spec_;  // launch_'s
  CoreLeases leases_;    // of the cores that ranks are bound to, until none is left
  PartPlan plan_;
  PartState state_ = PartState::kPlanned;
  RankTable ranks_;
  StartUpTimes times_;
  pmix::JobRegistered registered_;
  OutputCollector output_;
  StdinFeeder stdin_;
  std::deque<RankStdio> stdio_;  // opened ahead, of the ranks that are born next
  std::vector<TemplateStore::Shared> app_templates_;  // by app; null: the spawner
  std::vector<SignalPart> held_signals_;              // came before the ranks ran
  std::vector<size_t> unfinalized_;  // exited with 0; waiting for the host's word on MPI_Finalize
  std::vector<uint64_t> questions_;  // AskNews that wait for the host's word
  PartProgress progress_;            // not yet told
  RankEnds ends_;                    // not yet told
  std::vector<std::string> leftovers_;  // "command (pid N)", ended by us
  bool flush_posted_ = false;
  uint64_t pings_ = 0;                   // sent to the host
  std::unique_ptr<StackTracer> tracer_;  // for AskReport
  size_t next_birth_ = 0;                // first rank not yet submitted
  std::set<size_t> unanswered_;          // first ranks of the batches whose pids have not come
  size_t batches_unborn_ = 0;
  bool host_ready_ = false;
  bool planned_ = false;
  bool placed_ = false;      // the programs are where they are to be run
  bool known_here_ = false;  // the host knows the namespace
  bool gates_open_ = false;
  bool kill_sent_ = false;
  uint64_t drain_read_ = 0;             // output's bytes() when the drain's time was last up
  std::optional<uint64_t> drain_most_;  // and what it can become; none: nothing killed yet
  bool host_knows_ = false;             // of the namespace, or may
  std::function<void()> abandoned_;
  std::chrono::milliseconds grace_;
  Timer deadline_;                                          // of the present state
  Timer unsure_timer_;                                      // for the host's word on ranks' ends
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // what is posted may come too late
};

}  // namespace rex
