// All jobs of a DVM at its head: rexlaunch's own and those that their ranks spawn. Loop thread
// only. docs/design/dynamic.md tells the story.
//
// Numbers jobs, brings parts' events to their job and ranks' requests to the job that they name,
// divides between jobs what rexlaunch takes (output) and gives (stdin), and adds up their ends: the
// first failure ends all, and is what rexlaunch hears of. A job knows nothing of others.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launcher/job/group_store.h"
#include "launcher/job/job.h"
#include "launcher/job/name_desk.h"
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
  // What the head's agent lends; outlives this. None of these acts on a job before it returns.
  struct Services {
    EventLoop& loop;
    std::function<void(JobNumber, NodeId, PartCommand)> command;
    std::function<void(JobNumber, PartCommand)> command_all;
    std::function<void(NodeId, const pmix::HostMessage&)> answer;  // to a node's host
    std::function<std::vector<std::string>()> missing_nodes;
    std::function<std::pair<uint32_t, uint32_t>()> answered;  // other nodes that have, of how many
    std::function<std::chrono::microseconds(NodeId)> clock_offset;
    std::function<Result<std::string>(const std::string& path)> read_file;
    std::function<void(std::vector<JobNode>*)> fill_loads = {};  // see JobServices
    std::function<void(NodeId, int64_t threads)> add_threads = {};
  };
  Jobs(Services services, Client client, JobBounds bounds = {});
  ~Jobs();

  // Rexlaunch's job, once.
  void Start(JobSpec spec);
  // Every node is there.
  void OnNodes(std::vector<JobNode> nodes, uint32_t dvm_nodes);

  // From a part. Errors: kProtocol: it can't mean that.
  Status OnPart(JobNumber job, NodeId from, PartEvent event);
  // From a node's host: what Exchange::Deps::to_head names.
  void OnHostRequest(NodeId from, pmix::HostMessage message);

  // From rexlaunch.
  void OnSignal(int signo);
  void OnEndJob(int signo);
  void OnOutputCredit(uint64_t bytes);
  Status OnStdin(const std::string& bytes) { return stdin_.OnBytes(bytes); }
  void OnStdinEnd() { stdin_.OnEnd(); }

  // What jobs need is gone, or the user is; see Job.
  void OnLost(const Failure& failure, bool quick);
  void OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure);

  // Nodes that no job gets any more.
  void OnNodesReleased(const std::vector<NodeId>& nodes) {
    lost_.insert(nodes.begin(), nodes.end());
  }
  // Something is known of the nodes' loads that was not.
  void OnLoads();

  // The head's own phases, before the parts'.
  void AddPhase(Phase phase) { phases_.push_back(std::move(phase)); }

  size_t live() const;
  const Job* Find(JobNumber number) const;
  size_t name_count() const { return names_.store().item_count(); }

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
  };
  struct Entry {
    std::unique_ptr<Job> job;
    std::optional<SpawnRecord> spawn;
    int64_t granted = 0;  // credit for output that it has not used
    bool ended = false;
  };

  Job& Make(JobNumber number, JobSpec spec, std::optional<SpawnRecord> spawn);
  JobServices ServicesOf(JobNumber number);
  JobClient ClientOf(JobNumber number);
  std::string NewName() const;
  Job* FindByName(const std::string& name_space);
  template <typename F>
  void ForLive(F visit);

  // Spawns (jobs_spawn.cc).
  void OnRequest(NodeId from, const pmix::Spawn& m);
  void Refuse(const SpawnRecord& record, const SpawnRefusal& refusal);
  std::vector<JobNode> FreeNodes() const;
  void OnRunning(JobNumber number, const JobStarted& started);
  void AnswerSpawn(JobNumber number, Entry& entry, const Failure& failure);

  // Requests.
  void OnRequest(NodeId from, const pmix::Publish& m) { names_.OnRequest(from, m); }
  void OnRequest(NodeId from, const pmix::Lookup& m) { names_.OnRequest(from, m); }
  void OnRequest(NodeId from, const pmix::Unpublish& m) { names_.OnRequest(from, m); }
  void OnRequest(NodeId from, const pmix::Query& m);
  void OnRequest(NodeId from, const pmix::JobControl& m);
  void OnRequest(NodeId from, const pmix::Abort& m);
  void OnRequest(NodeId from, const pmix::Group& m);
  std::optional<std::vector<NodeId>> NodesOf(const std::vector<pmix::ProcId>& procs);
  void SendReplies(const GroupStore::Replies& replies);
  void OnProcGone(const pmix::ProcId& proc);

  // Output and stdin.
  void OnOutput(JobNumber number, std::string payload);
  void OnOutputWanted(JobNumber number, uint64_t bytes);
  void Grant();

  // Ends.
  void OnStopping(JobNumber number);
  void FailAll(JobNumber number);
  void EndTogether();
  void OnEnded(JobNumber number, const JobEnded& ended);
  void KeepPhases(JobNumber number, const Entry& entry, const JobEnded& ended);
  void Finish();

  Services services_;
  Client client_;
  const JobBounds bounds_;
  std::map<JobNumber, Entry> jobs_;
  JobNumber last_ = 0;
  std::vector<JobNode> nodes_;  // of the DVM
  uint32_t dvm_nodes_ = 0;
  std::set<NodeId> lost_;
  Clock::Time deadline_{0};  // --timeout, for all; 0: none
  NameDesk names_;
  GroupStore groups_;
  Timer group_timer_;
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

}  // namespace rex
