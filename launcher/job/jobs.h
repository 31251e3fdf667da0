// The jobs of one rexlaunch: its own and those that their ranks spawn. Loop thread only.
// docs/design/dynamic.md tells the story.
//
// Brings parts' events to their job, divides between jobs what rexlaunch takes (output) and gives
// (stdin), and adds up their ends: the first failure ends all, and is what rexlaunch hears of. A
// job knows nothing of others. To rexlaunch its own job is number 1 and those that were spawned
// follow, whatever their numbers in the DVM.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/job/dvm_jobs.h"
#include "launcher/job/job.h"
#include "launcher/job/spawn_request.h"
#include "launcher/job/spawn_state.h"

namespace rex {

class Jobs {
 public:
  // Rexlaunch. All functions are set and callable until `ended`, the last call, which must not
  // destroy this before it returns.
  struct Client {
    std::function<void(const Notice&)> notice;
    std::function<void(const Progress&)> progress;
    std::function<void(const JobStarted&)> started;
    std::function<void(std::string payload)> output;
    std::function<void(uint64_t bytes)> stdin_credit;
    std::function<void(JobEnded)> ended;
  };
  // `dvm` outlives this.
  Jobs(DvmJobs& dvm, Client client, JobBounds bounds = {});
  ~Jobs();
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  // Rexlaunch's job, once.
  void Start(JobSpec spec);
  // Instead of it: a process that is no rank asks for jobs, as long as it is there.
  struct Tool {
    pmix::ProcId proc;  // its name to its host
    NodeId node{0};     // where that is
    int64_t pid = 0;
    std::string command;
    JobSpec base;  // what its jobs are made from; one app
  };
  void StartTool(Tool tool);
  bool IsTool(const pmix::ProcId& proc) const { return tool_ && tool_->proc == proc; }
  // What was attached to it ends, and with the last job all.
  void OnToolGone();
  // Answered when all output of jobs whose ranks have ended is out.
  void OnToolDrain(const pmix::ToolDrain& m);
  // The name space of the job that the client knows by that number; empty: it has gone.
  std::string NameOfShown(JobNumber shown) const;

  // Every node is there; rexlaunch's job runs on these, some of the DVM's.
  void OnNodes(std::vector<JobNode> nodes);

  // From a part. Errors: kProtocol: it can't mean that.
  Status OnPart(JobNumber job, NodeId from, PartEvent event);
  // A rank of one of these jobs asks.
  void OnSpawn(NodeId from, const pmix::Spawn& m);

  // From rexlaunch.
  void OnSignal(int signo);
  void OnEndJob(int signo);
  void OnOutputCredit(uint64_t bytes);
  Status OnStdin(const std::string& bytes) { return stdin_.OnBytes(bytes); }
  void OnStdinEnd() { stdin_.OnEnd(); }

  // From rexctl: one of the jobs is ended (signo 0), or its ranks get a signal. False: it has
  // ended.
  bool Kill(JobNumber number, int signo);
  // Appends what there is to say of each that lives.
  void Describe(std::vector<DvmJob>* jobs) const;

  // What jobs need is gone, or the user is; see Job.
  void OnLost(const Failure& failure, bool quick);
  // What one of them needs can't be had.
  void OnJobLost(JobNumber number, const Failure& failure);
  void Tell(const Notice& notice) { client_.notice(notice); }

  // The head's own phases, before the parts'.
  void AddPhase(Phase phase) { phases_.push_back(std::move(phase)); }

  size_t live() const;
  const Job* Find(JobNumber number) const;
  Job* FindByName(const std::string& name_space);
  // Jobs that end on the way are passed over; none is made or forgotten before this returns.
  template <typename F>
  void ForLive(F visit) {
    for (auto& [number, entry] : jobs_) {
      if (!entry.ended) visit(number, *entry.job);
    }
  }

  // In a timeline; of further ones only the number is told.
  static constexpr size_t kMostShownJobs = 64;

 private:
  struct SpawnRecord {
    NodeId node{0};  // whose host asked
    uint64_t request = 0;
    pmix::ProcId parent;
    SpawnState state = SpawnState::kAsked;
    Clock::Time asked{0};
    uint32_t ranks = 0;
    bool tells_ends = false;  // as in SpawnPlan
    bool independent = false;
    bool attached = false;
  };
  struct Entry {
    std::unique_ptr<Job> job;
    std::optional<SpawnRecord> spawn;
    JobNumber shown = kFirstJob;                // its number to rexlaunch
    int64_t granted = 0;                        // credit for output that it has not used
    bool preparing = false;                     // its nodes wait for what it needs
    std::optional<std::vector<JobNode>> nodes;  // which these are
    bool ended = false;
  };

  JobNumber Make(JobSpec spec, std::optional<SpawnRecord> spawn);
  void Prepare(JobNumber number, bool elsewhere);
  void OnPrepared(JobNumber number);
  void Place(JobNumber number, std::vector<JobNode> nodes);
  JobServices ServicesOf(JobNumber number);
  JobClient ClientOf(JobNumber number, bool verbose);

  // Spawns (jobs_spawn.cc).
  // What a request of `asker` is made from. None: it is not there.
  struct Asker {
    const JobSpec& spec;
    const AppSpec& app;
  };
  std::optional<Asker> FindAsker(const pmix::ProcId& asker);
  std::optional<NodeId> NodeOfAsker(const pmix::ProcId& asker);
  void Refuse(const SpawnRecord& record, const SpawnRefusal& refusal);
  void OnRunning(JobNumber number, const JobStarted& started);
  void OnRankEnded(JobNumber number, const RankEnd& end);
  void TellParent(const SpawnRecord& spawn, const pmix::ProcId& child, const RankEnd& end);
  void EndAttached(const pmix::ProcId& parent);
  void AnswerSpawn(Entry& entry, const Failure& failure);

  // Output and stdin.
  void OnOutput(JobNumber number, std::string payload);
  void OnOutputWanted(JobNumber number, uint64_t bytes);
  void Grant();

  // Ends.
  void OnStopping(JobNumber number);
  void FailAll(JobNumber number);
  void EndTogether();
  void OnEnded(JobNumber number, const JobEnded& ended);
  void KeepPhases(const Entry& entry, const std::vector<Phase>& phases);
  bool IsOver() const { return live() == 0 && !tool_present_; }
  void LetToolGo();
  void AnswerDrains();
  void Finish();

  DvmJobs& dvm_;
  const DvmJobs::Services& services_;
  Client client_;
  const JobBounds bounds_;
  std::map<JobNumber, Entry> jobs_;
  JobNumber first_ = 0;  // rexlaunch's own
  std::optional<Tool> tool_;
  bool tool_present_ = false;
  bool finished_ = false;
  std::vector<std::pair<NodeId, uint64_t>> drains_;  // requests that wait
  JobNumber shown_ = 0;                              // the last number that rexlaunch was told
  Clock::Time deadline_{0};                          // --timeout, for all; 0: none
  StdinRouterOf<JobNumber> stdin_;
  int64_t pool_ = 0;                      // credit for output that no job has
  std::map<JobNumber, uint64_t> wanted_;  // of it
  std::deque<JobNumber> queue_;           // who wants, in order
  std::optional<JobNumber> failed_;       // the first job that did
  bool ending_ = false;                   // nothing is spawned any more
  std::optional<JobEnded> first_ended_;
  std::optional<JobEnded> failed_ended_;
  std::vector<std::string> reports_;
  std::vector<Phase> phases_;
  size_t shown_jobs_ = 0;
  size_t hidden_jobs_ = 0;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // what is posted may come too late
};

template <typename F>
void DvmJobs::ForLive(F visit) const {
  for (Jobs* session : sessions_) session->ForLive(visit);
}

}  // namespace rex
