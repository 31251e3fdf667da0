#include "launcher/job/pmix_services.h"

#include <algorithm>

namespace rex {

namespace {
// PMIx Standard, "Query attributes"; only their names are needed on this side.
constexpr std::string_view kQueryNamespaces = "pmix.qry.ns";
constexpr std::string_view kQueryProcTable = "pmix.qry.ptable";
constexpr std::string_view kQueryLocalProcTable = "pmix.qry.lptable";
// pmix_proc_state_t, pmix_common.h
constexpr uint32_t kProcStatePrepped = 1;
constexpr uint32_t kProcStateRunning = 5;
constexpr uint32_t kProcStateConnected = 6;
constexpr uint32_t kProcStateTerminated = 20;
constexpr uint32_t kProcStateAborted = 52;

uint32_t StateOf(const RankRecord& record) {
  if (record.end) return record.end->ok() ? kProcStateTerminated : kProcStateAborted;
  if (record.pid == 0) return kProcStatePrepped;
  return record.connected ? kProcStateConnected : kProcStateRunning;
}

bool Has(const std::vector<std::string>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}
}  // namespace

PmixServices::PmixServices(Deps deps)
    : deps_(std::move(deps)), names_(deps_.loop.clock()), name_timer_(deps_.loop, [this] {
        SendAll(names_.Expire(deps_.loop.clock().Now()));
        SetNameTimer();
      }) {}

bool PmixServices::Handle(const pmix::HostMessage& message) {
  return std::visit([this](const auto& m) { return On(m); }, message);
}

bool PmixServices::On(const pmix::Fence& m) {
  // This node is the only one with participants: its own data is everybody's.
  deps_.to_host(pmix::FenceDone{m.request, pmix::kSuccess, m.data});
  return true;
}

bool PmixServices::On(const pmix::FenceReleased& m) {
  if (IsWholeJob(m.participants)) deps_.times.OnFence(m.at);
  return true;
}

bool PmixServices::IsWholeJob(const std::vector<pmix::ProcId>& participants) const {
  return Resolve(participants).size() == deps_.plan.total;
}

bool PmixServices::On(const pmix::DirectModex& m) {
  // libpmix answers for this node's ranks itself; what it asks us for is on no node.
  deps_.to_host(pmix::ModexDone{m.request, pmix::kErrNotFound, ""});
  return true;
}

bool PmixServices::On(const pmix::Publish& m) {
  SendAll(names_.Publish(m));
  SetNameTimer();
  return true;
}

bool PmixServices::On(const pmix::Lookup& m) {
  SendAll(names_.Lookup(m));
  SetNameTimer();
  return true;
}

bool PmixServices::On(const pmix::Unpublish& m) {
  SendAll(names_.Unpublish(m));
  return true;
}

bool PmixServices::On(const pmix::EventRaised& m) {
  // libpmix has told the processes of this node; there is no other.
  deps_.to_host(pmix::OpDone{m.request, pmix::kSuccess});
  return true;
}

bool PmixServices::On(const pmix::JobControl& m) {
  const std::vector<Rank> targets = Resolve(m.targets);
  deps_.signal(targets, m.signo);
  deps_.to_host(pmix::OpDone{m.request, targets.empty() ? pmix::kErrNotFound : pmix::kSuccess});
  return true;
}

bool PmixServices::On(const pmix::LogText& m) {
  deps_.log(m.proc.rank, m.to_stdout, m.text);
  deps_.to_host(pmix::OpDone{m.request, pmix::kSuccess});
  return true;
}

bool PmixServices::On(const pmix::Query& m) {
  pmix::QueryDone done{m.request, pmix::kSuccess, {}, {}};
  if (!m.name_space.empty() && m.name_space != deps_.plan.name_space) {
    done.status = pmix::kErrNotFound;
    deps_.to_host(done);
    return true;
  }
  if (Has(m.keys, kQueryNamespaces)) done.name_spaces.push_back(deps_.plan.name_space);
  if (Has(m.keys, kQueryProcTable) || Has(m.keys, kQueryLocalProcTable)) {
    for (const RankRecord& r : deps_.ranks.all()) {
      const AppPlan& app = deps_.plan.AppOf(r.rank);
      pmix::ProcState state;
      state.proc = {deps_.plan.name_space, r.rank};
      state.node = deps_.node.name;
      state.program = app.path;
      state.pid = r.pid;
      state.exit_code = r.end ? r.end->ShellCode() : 0;
      state.state = StateOf(r);
      state.app = static_cast<uint32_t>(&app - deps_.plan.apps.data());
      done.procs.push_back(std::move(state));
    }
  }
  deps_.to_host(done);
  return true;
}

void PmixServices::OnRankGone(Rank rank) {
  SendAll(names_.OnProcGone({deps_.plan.name_space, rank}));
}

std::vector<Rank> PmixServices::Resolve(const std::vector<pmix::ProcId>& targets) const {
  std::vector<bool> named(deps_.plan.total, targets.empty());
  for (const pmix::ProcId& target : targets) {
    if (target.name_space != deps_.plan.name_space) continue;
    if (target.rank == pmix::kRankWildcard) named.assign(named.size(), true);
    if (target.rank < named.size()) named[target.rank] = true;
  }
  std::vector<Rank> ranks;
  for (Rank rank = 0; rank < named.size(); ++rank) {
    if (named[rank]) ranks.push_back(rank);
  }
  return ranks;
}

void PmixServices::SendAll(std::vector<pmix::HostMessage> messages) {
  for (const auto& message : messages) deps_.to_host(message);
}

void PmixServices::SetNameTimer() {
  const auto next = names_.NextDeadline();  // may be in the past: then at once
  if (next) name_timer_.Set(*next - deps_.loop.clock().Now());
}

}  // namespace rex
