// What the jobs of a DVM share at its head, whoever asked for them: numbers, nodes and free slots,
// names and groups, and the way of events and requests to the job that they are for. Loop thread
// only. docs/design/dvm.md tells the story.
//
// Jobs, one for each rexlaunch, belong to somebody else and register here for as long as they live.
// What one of them does never touches another's jobs, but for slots.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "launcher/job/group_store.h"
#include "launcher/job/job.h"
#include "launcher/job/name_desk.h"

namespace rex {

class Jobs;

class DvmJobs {
 public:
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
    bool persistent = false;  // the DVM stays: what one job started may serve the next
    std::function<void(std::vector<JobNode>*)> fill_loads = {};  // may be empty; see JobServices
    std::function<void(NodeId, int64_t threads)> add_threads = {};
    // The next two may be empty. Begins what has to be ready before a job is placed, which may be
    // `elsewhere`, on other nodes than the head's. False: nothing. True: `then` is called from the
    // loop; not when it fails, of which OnJobLost tells.
    std::function<bool(JobNumber, const JobSpec&, bool elsewhere, std::function<void()> then)>
        prepare = {};
    std::function<std::vector<Phase>(JobNumber)> end = {};  // it has ended: what that took
  };
  explicit DvmJobs(Services services);
  ~DvmJobs();
  DvmJobs(const DvmJobs&) = delete;
  DvmJobs& operator=(const DvmJobs&) = delete;

  // Every node is there, `dvm_nodes` ids. Jobs that have begun already go on.
  void OnNodes(std::vector<JobNode> nodes, uint32_t dvm_nodes);
  // From a part. Errors: kProtocol: it can't mean that.
  Status OnPart(JobNumber job, NodeId from, PartEvent event);
  // From a node's host: what Exchange::Deps::to_head names.
  void OnHostRequest(NodeId from, pmix::HostMessage message);
  // What all jobs need is gone; see Job.
  void OnLost(const Failure& failure, bool quick);
  // What one job needs can't be had.
  void OnJobLost(JobNumber job, const Failure& failure);
  // To the rexlaunch whose job it is.
  void Tell(JobNumber job, const Notice& notice);
  void OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure);
  // Nodes that no job gets any more, and none has ranks on.
  void OnNodesReleased(const std::vector<NodeId>& nodes) {
    lost_.insert(nodes.begin(), nodes.end());
  }
  // Something is known of the nodes' loads that was not, or ranks have ended.
  void OnLoads();

  // The nodes in the user's order, and what jobs leave of them. Without those that are gone.
  std::vector<JobNode> FreeNodes() const;
  const std::vector<JobNode>& nodes() const { return nodes_; }  // as they came; empty: not yet
  // The same, with those that are gone.
  std::vector<JobNode> AllNodes() const;
  // What jobs use of these nodes now, and what is known of their loads.
  void FillIn(std::vector<JobNode>* nodes) const;
  std::vector<NodeId> lost() const { return {lost_.begin(), lost_.end()}; }
  bool IsLost(NodeId node) const { return lost_.contains(node); }
  uint32_t dvm_nodes() const { return dvm_nodes_; }
  const std::set<Jobs*>& sessions() const { return sessions_; }
  // Whose job that is; nullptr: none runs under that number.
  Jobs* OwnerOf(JobNumber job) const;
  JobNumber last() const { return last_; }  // so many there have been
  size_t name_count() const { return names_.store().item_count(); }

  // Jobs that end on the way are passed over; none is made or forgotten before this returns.
  template <typename F>
  void ForLive(F visit) const;

  // For Jobs.
  void Add(Jobs* session) { sessions_.insert(session); }
  void Remove(Jobs* session);
  JobNumber NewNumber(Jobs* owner);
  // A name space whose hash, by which Open MPI knows it, no job of the DVM has.
  std::string NewName() const;
  void Forget(JobNumber job) { owners_.erase(job); }
  // Also of a whole name space: kRankWildcard.
  void OnProcGone(const pmix::ProcId& proc);
  const Services& services() const { return services_; }

 private:
  Job* FindByName(const std::string& name_space) const;

  void OnRequest(NodeId from, const pmix::Spawn& m);
  void OnRequest(NodeId from, const pmix::Publish& m) { names_.OnRequest(from, m); }
  void OnRequest(NodeId from, const pmix::Lookup& m) { names_.OnRequest(from, m); }
  void OnRequest(NodeId from, const pmix::Unpublish& m) { names_.OnRequest(from, m); }
  void OnRequest(NodeId from, const pmix::Query& m);
  void OnRequest(NodeId from, const pmix::JobControl& m);
  void OnRequest(NodeId from, const pmix::Abort& m);
  void OnRequest(NodeId from, const pmix::Group& m);
  void OnRequest(NodeId from, const pmix::ToolGone& m);
  void OnRequest(NodeId from, const pmix::ToolRead& m);
  void OnRequest(NodeId from, const pmix::ToolDrain& m);
  Jobs* OfTool(const pmix::ProcId& tool) const;
  std::optional<std::vector<NodeId>> NodesOf(const std::vector<pmix::ProcId>& procs) const;
  void SendReplies(const GroupStore::Replies& replies);

  Services services_;
  std::set<Jobs*> sessions_;
  std::map<JobNumber, Jobs*> owners_;
  JobNumber last_ = 0;
  std::vector<JobNode> nodes_;
  uint32_t dvm_nodes_ = 0;
  std::set<NodeId> lost_;
  NameDesk names_;
  GroupStore groups_;
  Timer group_timer_;
};

}  // namespace rex
