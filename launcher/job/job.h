// A job on this machine, from LaunchJob to JobEnded: the state machine of job_state.h with its
// actions. Loop thread only. docs/design/one-machine.md tells the story.
//
// The job owns its ranks' records and stdio; it borrows the agent's loop, child table, spawner and
// host. Every wait has a deadline; what runs out becomes a failure that names the phase.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "launcher/base/child_table.h"
#include "launcher/base/descendants.h"
#include "launcher/base/event_loop.h"
#include "launcher/job/exit_rules.h"
#include "launcher/job/job_plan.h"
#include "launcher/job/job_state.h"
#include "launcher/job/output_collector.h"
#include "launcher/job/pmix_services.h"
#include "launcher/job/rank_table.h"
#include "launcher/job/stack_traces.h"
#include "launcher/job/start_up_times.h"
#include "launcher/job/stdin_feeder.h"
#include "launcher/template/rank_maker.h"
#include "launcher/template/template_key.h"
#include "launcher/template/template_maker.h"

namespace rex {

// Whoever asked for the job (rexlaunch). All functions are set and callable until `ended`.
struct JobClient {
  std::function<void(const Notice&)> notice;
  std::function<void(const JobStarted&)> started;
  std::function<void(std::string payload)> output;
  std::function<void(uint64_t bytes)> stdin_credit;
  std::function<void(const JobEnded&)> ended;  // last call; the job may be destroyed after it
};

// What the agent lends to a job; outlives it.
struct JobServices {
  EventLoop& loop;
  ChildTable& children;
  RankMaker& maker;
  std::function<void(const pmix::HostMessage&)> to_host;
  // Ends what the job's ranks left behind (not ranks, not the agent's own helpers).
  std::function<std::vector<ProcessInfo>()> kill_leftovers;
};

class Job {
 public:
  Job(JobServices services, NodeFacts node, JobSpec spec, JobClient client);

  // Plans; then waits for OnHostReady. May end the job at once.
  void Start();

  // From the host.
  void OnHostReady();
  void OnHostMessage(pmix::HostMessage message);

  // From rexlaunch.
  void OnSignal(int signo);
  void OnEndJob(int signo);
  void OnOutputCredit(uint64_t bytes) { output_.AddCredit(bytes); }
  Status OnStdin(std::string bytes) { return stdin_.OnBytes(std::move(bytes)); }
  void OnStdinEnd() {
    stdin_.OnEnd();
    output_.NoMorePrompts();
  }

  // A process that the job needs is gone, or the user is: ends the job with this failure.
  // `quick`: nobody reads the output any more; at most kQuickGrace between TERM and KILL.
  void OnLost(const Failure& failure, bool quick);
  // The PMIx host is gone. Ranks may have lost it, and ended by that, before we know.
  void OnHostLost(const Failure& failure);

  JobState state() const { return state_; }
  StartUpTimes& times() { return times_; }

  static constexpr std::chrono::milliseconds kSettle{100};  // between first failure and TERM
  static constexpr std::chrono::milliseconds kQuickGrace{1000};
  static constexpr std::chrono::seconds kHostBound{60};
  // From the host's answer, or the end of the job, to its last word about ranks that ended: what
  // libpmix's thread there has not yet passed on.
  static constexpr std::chrono::milliseconds kNewsBound{250};
  static constexpr std::chrono::seconds kTraceBound{30};    // for all ranks' stack traces
  static constexpr std::chrono::seconds kKillBound{10};     // from KILL to reaped
  static constexpr std::chrono::seconds kTemplateBound{5};  // a batch with a template

 private:
  // State machine.
  void ShowPlan();
  void On(JobEvent event);
  void Enter(JobState state);
  void EnterRegistering();
  void EnterForking();
  void EnterRunning();
  void EnterStopping();
  void EnterDraining();
  void EnterDone();
  void OnDeadline();

  // Births.
  void StartTemplates();
  void StartTemplate(size_t app);
  void EndTemplates();
  std::string BirthsNote() const;
  void SubmitNextBatch();
  Result<BirthBatch> MakeBatch(Rank first, uint32_t count);
  uint32_t BatchSize(Rank first) const;
  void OnPids(Rank first, uint32_t asked, const std::vector<pid_t>& pids, int error, Birth birth);
  void ReleaseAll();
  void OnBirthFailure(Rank rank, const BirthFailure& failure);
  void OnBatchBorn();

  // Ends.
  void OnRankEnd(Rank rank, const ExitStatus& end);
  void JudgeEnd(const RankRecord& record);
  void AskHost();
  void JudgeUnsure();
  void JudgeAbsent();
  void CheckReaped();
  void BlameAndStop(Failure failure);
  void SignalRanks(int signo);
  Failure AboutRank(const RankRecord& record, Failure failure) const;
  void OnTimeout();
  std::vector<std::string> ReportState() const;
  void TraceThenStop();

  // PMIx.
  void OnRegistered(pmix::JobRegistered registered);
  void OnClientEvent(const pmix::ClientEvent& event);
  void OnPong(const pmix::Pong& pong);
  void OnAbort(const pmix::Abort& abort);

  JobServices services_;
  const NodeFacts node_;
  const JobSpec spec_;
  JobClient client_;
  JobPlan plan_;
  JobState state_ = JobState::kPlanned;
  RankTable ranks_{0};
  ExitRules rules_;
  StartUpTimes times_;
  pmix::JobRegistered registered_;
  OutputCollector output_;
  StdinFeeder stdin_;
  PmixServices pmix_;
  TemplateCache<std::shared_ptr<TemplateMaker>> templates_;
  std::vector<std::shared_ptr<TemplateMaker>> app_templates_;  // by app; null: the spawner
  std::vector<int> held_signals_;                              // came before the ranks ran
  std::vector<Rank> unfinalized_;  // exited with 0; waiting for the host's word on MPI_Finalize
  std::vector<std::string> state_report_;
  uint64_t pings_ = 0;          // sent to the host
  bool any_connected_ = false;  // a rank has called MPI_Init
  bool any_absent_ = false;     // a rank has exited with 0 and, as far as we know, without it
  std::unique_ptr<StackTracer> tracer_;  // after a timeout, with --get-stack-traces
  Rank next_birth_ = 0;                  // first rank not yet submitted
  std::set<Rank> unanswered_;            // first ranks of the batches whose pids have not come
  uint32_t batches_unborn_ = 0;
  bool host_ready_ = false;
  bool planned_ = false;
  bool kill_sent_ = false;
  std::chrono::milliseconds grace_;
  Timer deadline_;      // of the present state
  Timer settle_;        // after a first failure
  Timer timeout_;       // --timeout
  Timer unsure_timer_;  // for the host's word on ranks' ends
};

}  // namespace rex
