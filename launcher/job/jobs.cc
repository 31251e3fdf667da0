#include "launcher/job/jobs.h"

#include <algorithm>

#include "launcher/base/log.h"
#include "pmix-server/proto/openmpi_jobid.h"

namespace rex {

namespace {
// PMIx Standard, "Query attributes"; only their names are needed on this side.
constexpr std::string_view kQueryNamespaces = "pmix.qry.ns";
constexpr std::string_view kQueryProcTable = "pmix.qry.ptable";
constexpr std::string_view kQueryLocalProcTable = "pmix.qry.lptable";

bool IsOfTheNode(const Phase& phase) {
  return phase.name == "keeper" || phase.name == "agent" || phase.name == "host";
}

bool Has(const std::vector<std::string>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}
}  // namespace

Jobs::Jobs(Services services, Client client, JobBounds bounds)
    : services_(std::move(services)),
      client_(std::move(client)),
      bounds_(bounds),
      names_(services_.loop, services_.answer),
      groups_([this](const std::vector<pmix::ProcId>& procs) { return NodesOf(procs); }),
      group_timer_(services_.loop,
                   [this] { SendReplies(groups_.Expire(services_.loop.clock().Now())); }),
      stdin_({[this](uint64_t bytes) { client_.stdin_credit(bytes); },
              [this](JobNumber job, const std::string& bytes) {
                REX_CHECK(jobs_.at(job).job->OnStdin(bytes).has_value());
              },
              [this](JobNumber job) { jobs_.at(job).job->OnStdinEnd(); },
              {}}) {}

Jobs::~Jobs() = default;

void Jobs::Start(JobSpec spec) {
  REX_CHECK(last_ == 0);
  if (spec.timeout.count() > 0) deadline_ = services_.loop.clock().Now() + spec.timeout;
  last_ = kFirstJob;
  Make(kFirstJob, std::move(spec), std::nullopt).Start();
}

Job& Jobs::Make(JobNumber number, JobSpec spec, std::optional<SpawnRecord> spawn) {
  const bool gets_stdin = spec.stdin_rank != kStdinNone;
  JobOrigin origin{number, NewName(), std::nullopt};
  if (spawn) origin.parent = spawn->parent;
  Entry& entry = jobs_[number];
  entry.spawn = std::move(spawn);
  entry.job = std::make_unique<Job>(ServicesOf(number), std::move(spec), ClientOf(number), bounds_,
                                    std::move(origin));
  if (gets_stdin) stdin_.Start({number});
  return *entry.job;
}

// Open MPI knows a job by the hash of its name.
std::string Jobs::NewName() const {
  for (;;) {
    std::string name = NewNameSpace();
    const bool taken = std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& entry) {
      return entry.second.job != nullptr &&
             pmix::OpenMpiJobid(entry.second.job->name_space()) == pmix::OpenMpiJobid(name);
    });
    if (!taken) return name;
  }
}

JobServices Jobs::ServicesOf(JobNumber number) {
  return {
      services_.loop,
      [this, number](NodeId node, PartCommand m) { services_.command(number, node, std::move(m)); },
      [this, number](PartCommand m) { services_.command_all(number, std::move(m)); },
      services_.missing_nodes,
      services_.answered,
      services_.clock_offset,
      [this](const pmix::ProcId& proc) { OnProcGone(proc); },
      services_.fill_loads,
      services_.add_threads};
}

JobClient Jobs::ClientOf(JobNumber number) {
  JobClient client;
  client.notice = client_.notice;
  client.progress = client_.progress;
  client.started = [this, number](const JobStarted& m) { OnRunning(number, m); };
  client.output = [this, number](std::string payload) { OnOutput(number, std::move(payload)); };
  client.stdin_credit = [this, number](uint64_t bytes) { stdin_.OnCredit(number, bytes); };
  client.ended = [this, number](const JobEnded& m) { OnEnded(number, m); };
  client.output_wanted = [this, number](uint64_t bytes) { OnOutputWanted(number, bytes); };
  client.stdin_done = [this, number] { stdin_.OnDone(number); };
  client.stopping = [this, number] { OnStopping(number); };
  return client;
}

void Jobs::OnNodes(std::vector<JobNode> nodes, uint32_t dvm_nodes) {
  nodes_ = std::move(nodes);
  dvm_nodes_ = dvm_nodes;
  const auto first = jobs_.find(kFirstJob);
  if (first != jobs_.end() && !first->second.ended) first->second.job->OnNodes(nodes_, dvm_nodes_);
}

void Jobs::OnLoads() {
  ForLive([](JobNumber, Job& job) { job.OnLoads(); });
}

size_t Jobs::live() const {
  return static_cast<size_t>(
      std::count_if(jobs_.begin(), jobs_.end(), [](const auto& e) { return !e.second.ended; }));
}

const Job* Jobs::Find(JobNumber number) const {
  const auto at = jobs_.find(number);
  return at == jobs_.end() ? nullptr : at->second.job.get();
}

Job* Jobs::FindByName(const std::string& name_space) {
  for (auto& [number, entry] : jobs_) {
    if (!entry.ended && entry.job->name_space() == name_space) return entry.job.get();
  }
  return nullptr;
}

// Jobs that end on the way are passed over; none is made or forgotten before this returns.
template <typename F>
void Jobs::ForLive(F visit) {
  for (auto& [number, entry] : jobs_) {
    if (!entry.ended) visit(number, *entry.job);
  }
}

Status Jobs::OnPart(JobNumber job, NodeId from, PartEvent event) {
  const auto at = jobs_.find(job);
  if (at == jobs_.end() || at->second.ended) return Ok{};  // its last words
  return at->second.job->OnPart(from, std::move(event));
}

// ---- rexlaunch

void Jobs::OnSignal(int signo) {
  ForLive([signo](JobNumber, Job& job) { job.OnSignal(signo); });
}

void Jobs::OnEndJob(int signo) {
  EndTogether();
  ForLive([signo](JobNumber, Job& job) { job.OnEndJob(signo); });
}

// Each job has the cause told: none is ended for another's sake.
void Jobs::EndTogether() {
  ending_ = true;
  for (const auto& [number, entry] : jobs_) {
    if (!entry.ended && !failed_) failed_ = number;
  }
}

void Jobs::OnLost(const Failure& failure, bool quick) {
  EndTogether();
  ForLive([&](JobNumber, Job& job) { job.OnLost(failure, quick); });
}

void Jobs::OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure) {
  lost_.insert(nodes.begin(), nodes.end());
  ForLive([&](JobNumber, Job& job) { job.OnNodesLost(nodes, failure); });
}

// ---- output: a job holds no credit but for what it has waiting

void Jobs::OnOutput(JobNumber number, std::string payload) {
  jobs_.at(number).granted -= static_cast<int64_t>(payload.size() - kOutputHeaderBytes);
  SetOutputJob(number, &payload);
  client_.output(std::move(payload));
}

void Jobs::OnOutputCredit(uint64_t bytes) {
  pool_ += static_cast<int64_t>(bytes);
  Grant();
}

void Jobs::OnOutputWanted(JobNumber number, uint64_t bytes) {
  if (!wanted_.contains(number)) queue_.push_back(number);
  wanted_[number] = bytes;
  Grant();
}

void Jobs::Grant() {
  while (pool_ > 0 && !queue_.empty()) {
    const JobNumber number = queue_.front();
    queue_.pop_front();
    const auto wanted = wanted_.extract(number);
    const auto at = jobs_.find(number);
    if (wanted.empty() || at == jobs_.end() || at->second.ended) continue;
    const int64_t grant = std::min(pool_, static_cast<int64_t>(wanted.mapped()));
    pool_ -= grant;
    at->second.granted += grant;
    at->second.job->OnOutputCredit(static_cast<uint64_t>(grant));
  }
}

// ---- requests

void Jobs::OnHostRequest(NodeId from, pmix::HostMessage message) {
  std::visit(
      [this, from](const auto& m) {
        if constexpr (requires { OnRequest(from, m); }) OnRequest(from, m);
      },
      message);
}

void Jobs::OnRequest(NodeId from, const pmix::Query& m) {
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

void Jobs::OnRequest(NodeId from, const pmix::JobControl& m) {
  bool any = false;
  ForLive([&](JobNumber, Job& job) {
    const bool asked = !m.targets.empty() || job.name_space() == m.proc.name_space;
    any |= asked && job.OnJobControl(m);
  });
  services_.answer(from, pmix::OpDone{m.request, any ? pmix::kSuccess : pmix::kErrNotFound});
}

void Jobs::OnRequest(NodeId from, const pmix::Abort& m) {
  services_.answer(from, pmix::OpDone{m.request, pmix::kSuccess});
  ForLive([&](JobNumber, Job& job) {
    if (!m.targets.empty() || job.name_space() == m.proc.name_space) job.OnAbort(m);
  });
}

// ---- groups

void Jobs::OnRequest(NodeId from, const pmix::Group& m) {
  SendReplies(groups_.OnGroup(m, from, services_.loop.clock().Now()));
}

std::optional<std::vector<NodeId>> Jobs::NodesOf(const std::vector<pmix::ProcId>& procs) {
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

void Jobs::SendReplies(const GroupStore::Replies& replies) {
  for (const GroupStore::Reply& reply : replies) services_.answer(reply.node, reply.message);
  const auto next = groups_.NextDeadline();
  if (!next) return group_timer_.Cancel();
  group_timer_.Set(std::max(*next - services_.loop.clock().Now(), Clock::Time(0)));
}

void Jobs::OnProcGone(const pmix::ProcId& proc) {
  names_.OnProcGone(proc);
  SendReplies(groups_.OnProcGone(proc));
}

// ---- ends

void Jobs::OnStopping(JobNumber number) {
  const Entry& entry = jobs_.at(number);
  const Failure verdict = entry.job->Verdict();
  const bool launching = entry.spawn && entry.spawn->state == SpawnState::kLaunching;
  if (verdict.kind == FailureKind::kNone || (launching && IsSpawnFailure(verdict))) return;
  FailAll(number);
}

void Jobs::FailAll(JobNumber number) {
  if (failed_) return;
  failed_ = number;
  ending_ = true;
  ForLive([number](JobNumber other, Job& job) {
    if (other != number) job.OnOthersFailed();
  });
}

void Jobs::OnEnded(JobNumber number, const JobEnded& ended) {
  Entry& entry = jobs_.at(number);
  entry.ended = true;
  const bool launching = entry.spawn && entry.spawn->state == SpawnState::kLaunching;
  const bool alone = launching && IsSpawnFailure(ended.failure);
  const bool counts = ended.failure.kind != FailureKind::kNone && !alone;
  if (counts) FailAll(number);
  if (launching) AnswerSpawn(number, entry, ended.failure);
  OnProcGone({entry.job->name_space(), pmix::kRankWildcard});
  stdin_.OnDone(number);
  wanted_.erase(number);
  pool_ += entry.granted;
  if (number == kFirstJob) first_ended_ = ended;
  if (counts && (!failed_ended_ || failed_ == number)) failed_ended_ = ended;
  reports_.insert(reports_.end(), ended.state_report.begin(), ended.state_report.end());
  KeepPhases(number, entry, ended);
  if (live() == 0) return Finish();
  services_.loop.Post([this, number, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    jobs_.erase(number);
    Grant();
  });
}

void Jobs::KeepPhases(JobNumber number, const Entry& entry, const JobEnded& ended) {
  if (!entry.spawn) {
    phases_.insert(phases_.end(), ended.phases.begin(), ended.phases.end());
    return;
  }
  if (++shown_jobs_ > kMostShownJobs) {
    ++hidden_jobs_;
    return;
  }
  const std::string process = "job " + std::to_string(number);
  for (Phase phase : ended.phases) {
    // A node's own start comes with the first job that has ended there.
    if (!IsOfTheNode(phase)) phase.process = process;
    phases_.push_back(std::move(phase));
  }
}

void Jobs::Finish() {
  JobEnded ended = failed_ended_ ? *failed_ended_ : first_ended_.value_or(JobEnded{});
  if (hidden_jobs_ > 0) {
    const Clock::Time now = services_.loop.clock().Now();
    phases_.push_back({"spawns", now, now, "", "agent",
                       std::to_string(hidden_jobs_) + " more jobs were spawned"});
  }
  ended.phases = std::move(phases_);
  ended.state_report = std::move(reports_);
  client_.ended(std::move(ended));
}

}  // namespace rex
