#include "launcher/job/dvm_jobs.h"

#include <algorithm>

#include "launcher/job/jobs.h"
#include "pmix-server/proto/openmpi_jobid.h"

namespace rex {

namespace {
// PMIx Standard, "Query attributes"; only their names are needed on this side.
constexpr std::string_view kQueryNamespaces = "pmix.qry.ns";
constexpr std::string_view kQueryProcTable = "pmix.qry.ptable";
constexpr std::string_view kQueryLocalProcTable = "pmix.qry.lptable";

bool Has(const std::vector<std::string>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}
}  // namespace

DvmJobs::DvmJobs(Services services)
    : services_(std::move(services)),
      names_(services_.loop, services_.answer),
      groups_([this](const std::vector<pmix::ProcId>& procs) { return NodesOf(procs); }),
      group_timer_(services_.loop,
                   [this] { SendReplies(groups_.Expire(services_.loop.clock().Now())); }) {}

DvmJobs::~DvmJobs() { REX_CHECK(sessions_.empty()); }

void DvmJobs::Remove(Jobs* session) {
  sessions_.erase(session);
  std::erase_if(owners_, [session](const auto& entry) { return entry.second == session; });
}

JobNumber DvmJobs::NewNumber(Jobs* owner) {
  owners_[++last_] = owner;
  return last_;
}

std::string DvmJobs::NewName() const {
  for (;;) {
    std::string name = NewNameSpace();
    bool taken = false;
    for (const auto& [number, owner] : owners_) {
      const Job* job = owner->Find(number);
      taken = taken ||
              (job != nullptr && pmix::OpenMpiJobid(job->name_space()) == pmix::OpenMpiJobid(name));
    }
    if (!taken) return name;
  }
}

Jobs* DvmJobs::OwnerOf(JobNumber job) const {
  const auto at = owners_.find(job);
  return at == owners_.end() ? nullptr : at->second;
}

Job* DvmJobs::FindByName(const std::string& name_space) const {
  Job* found = nullptr;
  ForLive([&](JobNumber, Job& job) {
    if (job.name_space() == name_space) found = &job;
  });
  return found;
}

void DvmJobs::OnNodes(std::vector<JobNode> nodes, uint32_t dvm_nodes) {
  nodes_ = std::move(nodes);
  dvm_nodes_ = dvm_nodes;
  for (Jobs* session : sessions_) session->OnNodes(nodes_);
}

// The ranks of jobs take slots.
void DvmJobs::FillIn(std::vector<JobNode>* nodes) const {
  for (JobNode& node : *nodes) {
    node.used = 0;
    ForLive([&node](JobNumber, Job& job) { node.used += job.LiveOn(node.id); });
  }
  if (services_.fill_loads) services_.fill_loads(nodes);
}

std::vector<JobNode> DvmJobs::AllNodes() const {
  std::vector<JobNode> all = nodes_;
  FillIn(&all);
  return all;
}

std::vector<JobNode> DvmJobs::FreeNodes() const {
  std::vector<JobNode> free = AllNodes();
  std::erase_if(free,
                [this](const JobNode& node) { return node.missing || lost_.contains(node.id); });
  return free;
}

Status DvmJobs::OnPart(JobNumber job, NodeId from, PartEvent event) {
  Jobs* const owner = OwnerOf(job);
  return owner == nullptr ? Status(Ok{}) : owner->OnPart(job, from, std::move(event));
}

void DvmJobs::OnLost(const Failure& failure, bool quick) {
  for (Jobs* session : sessions_) session->OnLost(failure, quick);
}

void DvmJobs::OnJobLost(JobNumber job, const Failure& failure) {
  if (Jobs* const owner = OwnerOf(job)) owner->OnJobLost(job, failure);
}

void DvmJobs::Tell(JobNumber job, const Notice& notice) {
  if (Jobs* const owner = OwnerOf(job)) owner->Tell(notice);
}

void DvmJobs::OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure) {
  lost_.insert(nodes.begin(), nodes.end());
  ForLive([&](JobNumber, Job& job) { job.OnNodesLost(nodes, failure); });
}

void DvmJobs::OnLoads() {
  ForLive([](JobNumber, Job& job) { job.OnLoads(); });
}

// ---- requests

void DvmJobs::OnHostRequest(NodeId from, pmix::HostMessage message) {
  std::visit(
      [this, from](const auto& m) {
        if constexpr (requires { OnRequest(from, m); }) OnRequest(from, m);
      },
      message);
}

void DvmJobs::OnRequest(NodeId from, const pmix::Spawn& m) {
  if (Jobs* const session = OfTool(m.proc)) return session->OnSpawn(from, m);
  for (Jobs* session : sessions_) {
    if (session->FindByName(m.proc.name_space) != nullptr) return session->OnSpawn(from, m);
  }
  services_.answer(from, pmix::SpawnDone{m.request, pmix::kErrUnreach, ""});
}

void DvmJobs::OnRequest(NodeId from, const pmix::Query& m) {
  pmix::QueryDone done{m.request, pmix::kSuccess, {}, {}};
  const Job* job = FindByName(m.name_space.empty() ? m.proc.name_space : m.name_space);
  if (job == nullptr && !m.name_space.empty()) {
    done.status = pmix::kErrNotFound;
    return services_.answer(from, done);
  }
  if (Has(m.keys, kQueryNamespaces)) {
    ForLive([&](JobNumber, Job& each) { done.name_spaces.push_back(each.name_space()); });
  }
  const bool all = Has(m.keys, kQueryProcTable);
  if (job != nullptr && (all || Has(m.keys, kQueryLocalProcTable))) {
    job->AddStates(all ? std::nullopt : std::optional(from), &done.procs);
  }
  services_.answer(from, done);
}

void DvmJobs::OnRequest(NodeId from, const pmix::JobControl& m) {
  bool any = false;
  ForLive([&](JobNumber, Job& job) {
    const bool asked = !m.targets.empty() || job.name_space() == m.proc.name_space;
    any |= asked && job.OnJobControl(m);
  });
  services_.answer(from, pmix::OpDone{m.request, any ? pmix::kSuccess : pmix::kErrNotFound});
}

void DvmJobs::OnRequest(NodeId from, const pmix::Abort& m) {
  services_.answer(from, pmix::OpDone{m.request, pmix::kSuccess});
  ForLive([&](JobNumber, Job& job) {
    if (!m.targets.empty() || job.name_space() == m.proc.name_space) job.OnAbort(m);
  });
}

void DvmJobs::OnRequest(NodeId from, const pmix::Group& m) {
  SendReplies(groups_.OnGroup(m, from, services_.loop.clock().Now()));
}

Jobs* DvmJobs::OfTool(const pmix::ProcId& tool) const {
  const auto at = std::find_if(sessions_.begin(), sessions_.end(),
                               [&tool](const Jobs* session) { return session->IsTool(tool); });
  return at == sessions_.end() ? nullptr : *at;
}

void DvmJobs::OnRequest(NodeId, const pmix::ToolGone& m) {
  if (Jobs* const session = OfTool(m.proc)) session->OnToolGone();
}

void DvmJobs::OnRequest(NodeId, const pmix::ToolRead& m) {
  if (Jobs* const session = OfTool(m.proc)) session->OnOutputCredit(m.bytes);
}

void DvmJobs::OnRequest(NodeId from, const pmix::ToolDrain& m) {
  if (Jobs* const session = OfTool(m.proc)) return session->OnToolDrain(m);
  services_.answer(from, pmix::OpDone{m.request, pmix::kErrNotFound});
}

std::optional<std::vector<NodeId>> DvmJobs::NodesOf(const std::vector<pmix::ProcId>& procs) const {
  std::set<NodeId> nodes;
  for (const pmix::ProcId& proc : procs) {
    const Job* job = FindByName(proc.name_space);
    if (job == nullptr) return std::nullopt;
    if (proc.rank == pmix::kRankWildcard) {
      if (job->AnyEnded()) return std::nullopt;
      const std::vector<NodeId> all = job->Nodes();
      nodes.insert(all.begin(), all.end());
      continue;
    }
    const auto node = job->NodeOfLive(proc.rank);
    if (!node) return std::nullopt;
    nodes.insert(*node);
  }
  return std::vector<NodeId>(nodes.begin(), nodes.end());
}

void DvmJobs::SendReplies(const GroupStore::Replies& replies) {
  for (const GroupStore::Reply& reply : replies) services_.answer(reply.node, reply.message);
  const auto next = groups_.NextDeadline();
  if (!next) return group_timer_.Cancel();
  group_timer_.Set(std::max(*next - services_.loop.clock().Now(), Clock::Time(0)));
}

void DvmJobs::OnProcGone(const pmix::ProcId& proc) {
  names_.OnProcGone(proc);
  SendReplies(groups_.OnProcGone(proc));
}

}  // namespace rex
