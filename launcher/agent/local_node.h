// What every agent does for its own node, whoever commands it: keeper watched, host connected,
// spawner started, parts of jobs run, PMIx requests exchanged. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launcher/agent/own_uplink.h"
#include "launcher/agent/plug_in_watch.h"
#include "launcher/agent/program_dirs.h"
#include "launcher/base/child_table.h"
#include "launcher/base/event_loop.h"
#include "launcher/exchange/exchange.h"
#include "launcher/part/part_messages.h"
#include "launcher/ranks/part.h"
#include "launcher/staging/image_node.h"
#include "pmix-server/client/host_client.h"
#include "sched/load/load_watch.h"

namespace rex {

struct NodeOptions {
  UniqueFd keeper_fd;  // liveness only
  UniqueFd host_fd;    // to rexd-pmix
  std::string session_dir;
  std::string shm_dir;
  uint64_t open_files = 1024;       // this process's limit
  uint32_t host_namespaces = 1000;  // that a host has known when it is replaced, once it is idle
  uint32_t uplink_after = 8;        // Exchange::Deps::give_after
  Clock::Time keeper_begin{0};
  Clock::Time agent_begin{0};
};

class LocalNode {
 public:
  struct Handlers {
    // To the head. Never called from inside a call of the owner's.
    std::function<void(JobNumber, PartEvent)> tell;
    std::function<void()> on_keeper_lost;
    // Head only: what a node's host asks of the head.
    std::function<void(NodeId from, pmix::HostMessage)> to_head;
    // Its parts have been told. May be empty.
    std::function<void(const Failure&)> on_host_lost;
  };

  // `children` is the process's table.
  LocalNode(EventLoop& loop, ChildTable& children, NodeOptions options, Handlers handlers);
  ~LocalNode();

  // Starts the spawner, connects the host and reads the node's facts; until SetUp the node is the
  // head's and has the machine's name. Errors: kResource, kNotFound (spawner).
  Status Start();
  // Which node of which tree this is; before the first Command. `port`: how to reach the others.
  // `uplink`: to the agent above; none at the head.
  void SetUp(NodeId id, const std::string& name, ExchangePort port, uint64_t max_modex_bytes,
             std::optional<UplinkPort> uplink = std::nullopt);

  // How images come; before the first Command. `suffix`: of the store's directory, for nodes that
  // are one machine.
  void SetImagePort(ImagePort port, const std::string& store_suffix);
  // A message about an image, which is the head's. Errors: kProtocol.
  Status OnImage(uint8_t kind, std::string payload);

  // The head's word about a job; LaunchPart makes the part, if the node has ranks. Commands for
  // jobs that have no part here do nothing. Errors: kProtocol.
  Status Command(JobNumber job, PartCommand command);
  // A message of another agent's exchange.
  Status OnExchange(NodeId from, uint8_t kind, std::string payload);
  // One of a child's host. Errors: kProtocol.
  Status OnUplinkMessage(NodeId child, uint8_t kind, std::string payload);
  void OnNodesLost(const std::vector<NodeId>& nodes);
  // Every part fails with this, or those of `jobs` alone; the head hears of it.
  void FailParts(const Failure& failure, const std::set<JobNumber>* jobs = nullptr);
  // Nobody is there to command: ends every part by itself, then calls `done`, soon.
  void Abandon(std::function<void()> done);
  // Last: ends what is left below this process; without a keeper also removes the directories.
  void CleanUp();

  // Watches the node's load from now on; `on_found` is called as LoadWatch does. Once started.
  void WatchLoad(std::function<void(const FoundLoad&)> on_found);
  void StopWatchingLoad() { load_watch_.reset(); }

  const NodeFacts& facts() const { return facts_; }
  Exchange& exchange() { return *exchange_; }
  bool keeper_lost() const { return keeper_lost_; }
  // No part can ever run here again.
  bool host_lost() const { return host_lost_.has_value(); }
  bool any_parts() const { return !parts_.empty(); }
  // keeper, agent and host, as far as they are known.
  std::vector<Phase> StartPhases() const;
  Clock::Time job_begin{0};  // when the agent was ready for its job; for StartPhases

 private:
  void ConnectHost(UniqueFd socket);
  void SendToHost(const pmix::HostMessage& message);
  void OnHostMessage(pmix::HostMessage message);
  void OnHostReady(const pmix::HostReady& ready);
  // Replacing a host whose libpmix has grown (local_node_host.cc).
  bool HostIsIdle() const { return parts_.empty() && tools_.empty(); }
  void CountTools(const pmix::HostMessage& message);
  void ThinkOfHost();
  void StartNextHost();
  void OnNextHostMessage(const pmix::HostMessage& message);
  void TakeNextHost();
  void DropNextHost(const Error& why);
  void OnHostClosed(const Error& error);
  void MakeUplink(UplinkPort port);
  void OnKeeperGone();
  void KeepLeases(JobNumber job, const std::vector<int>& fds);
  Status MakePart(JobNumber job, LaunchPart launch);
  // `copies`: one for all ranks of the node, or one for each (--creation=single); 0: no image.
  struct Staging {
    std::string wire;
    uint32_t copies = 0;
    ImageDirs shared;  // where there is one for all
  };
  Result<Staging> PrepareStaging(JobNumber job, const LaunchPart& launch);
  void StageImage(JobNumber job, const std::string& name_space, const Staging& staging,
                  StageHandlers handlers);
  void RegisterElsewhere(JobNumber job);
  uint32_t LiveRanks() const;
  void TakeOutOwn(pmix::HostMessage* message) const;
  void Tell(JobNumber job, PartEvent event);
  std::vector<ProcessInfo> KillLeftovers(const std::function<bool(pid_t)>& which);
  std::vector<ProcessInfo> KillLeftoversOf(JobNumber job);

  EventLoop& loop_;
  ChildTable& children_;
  NodeOptions options_;
  Handlers handlers_;
  std::unique_ptr<RankMaker> maker_;
  std::unique_ptr<TemplateStore> templates_;
  std::unique_ptr<pmix::HostClient> host_;
  uint32_t generation_ = 0;
  uint32_t host_namespaces_ = 0;  // that it has known
  std::set<std::string> tools_;   // connected to it
  std::unique_ptr<pmix::HostClient> next_host_;
  std::optional<pmix::HostReady> next_ready_;
  std::unique_ptr<ReadWatcher> keeper_watcher_;
  NodeFacts facts_;
  std::unique_ptr<LoadWatch> load_watch_;
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<OwnUplink> uplink_;  // not on the head
  std::set<JobNumber> had_uplink_;     // jobs that were here when it was lost
  std::unique_ptr<ImageNode> images_;  // not on the head: it has the files
  std::string store_suffix_;
  ProgramDirs programs_;
  std::map<JobNumber, uint32_t> copies_;  // of each job's image here
  std::map<JobNumber, std::unique_ptr<Part>> parts_;
  PlugInWatch plug_ins_;
  struct Known {  // a job of the DVM, known to the exchange
    LaunchPart launch;
    bool elsewhere = false;  // registered with the host without ranks here
  };
  std::map<JobNumber, Known> known_;
  std::optional<pmix::HostReady> host_ready_;
  std::optional<Failure> host_lost_;
  bool keeper_lost_ = false;
  bool start_told_ = false;  // the phases of its start
};

// This node as jobs see it: name, slots, fabrics. Reads the topology (cached) and /sys.
NodeFacts ReadNodeFacts(const NodeOptions& options);

}  // namespace rex
