#include "launcher/job/jobs.h"

#include <algorithm>

#include "launcher/base/log.h"

namespace rex {

namespace {
bool IsOfTheNode(const Phase& phase) {
  return phase.name == "keeper" || phase.name == "agent" || phase.name == "host";
}
}  // namespace

Jobs::Jobs(DvmJobs& dvm, Client client, JobBounds bounds)
    : dvm_(dvm),
      services_(dvm.services()),
      client_(std::move(client)),
      bounds_(bounds),
      stdin_({[this](uint64_t bytes) { client_.stdin_credit(bytes); },
              [this](JobNumber job, const std::string& bytes) {
                REX_CHECK(jobs_.at(job).job->OnStdin(bytes).has_value());
              },
              [this](JobNumber job) { jobs_.at(job).job->OnStdinEnd(); },
              {}}) {
  dvm_.Add(this);
}

Jobs::~Jobs() { dvm_.Remove(this); }

void Jobs::Start(JobSpec spec) {
  REX_CHECK(first_ == 0);
  if (spec.timeout.count() > 0) deadline_ = services_.loop.clock().Now() + spec.timeout;
  first_ = Make(std::move(spec), std::nullopt);
  Job& job = *jobs_.at(first_).job;
  job.Start();
  const std::vector<NodeRequest>& nodes = job.spec().dvm.nodes;
  Prepare(first_, std::any_of(nodes.begin(), nodes.end(),
                              [](const NodeRequest& node) { return !node.here; }));
}

void Jobs::StartTool(Tool tool) {
  REX_CHECK(first_ == 0 && tool.base.apps.size() == 1);
  tool_ = std::move(tool);
  tool_present_ = true;
}

std::string Jobs::NameOfShown(JobNumber shown) const {
  for (const auto& [number, entry] : jobs_) {
    if (entry.shown == shown) return entry.job->name_space();
  }
  return "";
}

void Jobs::Prepare(JobNumber number, bool elsewhere) {
  if (!services_.prepare) return;
  Entry& entry = jobs_.at(number);
  entry.preparing = services_.prepare(number, entry.job->spec(), elsewhere,
                                      [this, number, alive = std::weak_ptr(alive_)] {
                                        if (!alive.expired()) OnPrepared(number);
                                      });
}

void Jobs::OnPrepared(JobNumber number) {
  const auto at = jobs_.find(number);
  if (at == jobs_.end() || at->second.ended) return;
  at->second.preparing = false;
  if (!at->second.nodes) return;
  std::vector<JobNode> nodes = *std::exchange(at->second.nodes, std::nullopt);
  for (JobNode& node : nodes) node.missing = node.missing || dvm_.IsLost(node.id);  // meanwhile
  Place(number, std::move(nodes));
}

void Jobs::Place(JobNumber number, std::vector<JobNode> nodes) {
  Entry& entry = jobs_.at(number);
  if (entry.preparing) {
    entry.nodes = std::move(nodes);
    return;
  }
  entry.job->OnNodes(std::move(nodes), dvm_.dvm_nodes());  // may end it: there is no room
}

JobNumber Jobs::Make(JobSpec spec, std::optional<SpawnRecord> spawn) {
  const bool gets_stdin = spec.stdin_rank != kStdinNone;
  const bool verbose = spec.verbose;
  const JobNumber number = dvm_.NewNumber(this);
  JobOrigin origin{++shown_, dvm_.NewName(), std::nullopt, spawn || services_.persistent,
                   spawn && spawn->independent};
  if (spawn) origin.parent = spawn->parent;
  Entry& entry = jobs_[number];
  entry.spawn = std::move(spawn);
  entry.shown = shown_;
  entry.job = std::make_unique<Job>(ServicesOf(number), std::move(spec), ClientOf(number, verbose),
                                    bounds_, std::move(origin));
  if (gets_stdin) stdin_.Start({number});
  return number;
}

JobServices Jobs::ServicesOf(JobNumber number) {
  return {
      services_.loop,
      [this, number](NodeId node, PartCommand m) { services_.command(number, node, std::move(m)); },
      [this, number](PartCommand m) { services_.command_all(number, std::move(m)); },
      services_.missing_nodes,
      services_.answered,
      services_.clock_offset,
      [this](const pmix::ProcId& proc) { dvm_.OnProcGone(proc); },
      [this](std::vector<JobNode>* nodes) { dvm_.FillIn(nodes); },
      services_.add_threads,
      [this, number](const RankEnd& end) { OnRankEnded(number, end); }};
}

JobClient Jobs::ClientOf(JobNumber number, bool verbose) {
  JobClient client;
  client.notice = [this, verbose](const Notice& notice) {
    // Not shown, it would wake rexlaunch while the job is made.
    if (verbose || notice.level != Notice::Level::kDetail) client_.notice(notice);
  };
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

void Jobs::OnNodes(std::vector<JobNode> nodes) {
  const auto first = jobs_.find(first_);
  if (first == jobs_.end() || first->second.ended) return;
  Place(first_, std::move(nodes));
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

bool Jobs::Kill(JobNumber number, int signo) {
  const auto at = jobs_.find(number);
  if (at == jobs_.end() || at->second.ended) return false;
  Job& job = *at->second.job;
  if (signo != 0) {
    job.OnSignal(signo);
  } else {
    job.OnKilled();
  }
  return true;
}

// Who spawned a job has its number in the DVM, as long as it lives.
void Jobs::Describe(std::vector<DvmJob>* jobs) const {
  for (const auto& [number, entry] : jobs_) {
    if (entry.ended) continue;
    DvmJob view = entry.job->Describe(number);
    for (const auto& [other, parent] : jobs_) {
      const bool is = entry.spawn && entry.spawn->parent.name_space == parent.job->name_space();
      if (is) view.parent_job = other;
    }
    if (tool_present_ && entry.spawn && IsTool(entry.spawn->parent)) {
      view.tool_pid = tool_->pid;
      view.tool_command = tool_->command;
    }
    jobs->push_back(std::move(view));
  }
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
  LetToolGo();
}

void Jobs::OnJobLost(JobNumber number, const Failure& failure) {
  const auto at = jobs_.find(number);
  if (at != jobs_.end() && !at->second.ended) at->second.job->OnLost(failure, false);
}

// ---- output: a job holds no credit but for what it has waiting

void Jobs::OnOutput(JobNumber number, std::string payload) {
  Entry& entry = jobs_.at(number);
  entry.granted -= static_cast<int64_t>(payload.size() - kOutputHeaderBytes);
  SetOutputJob(entry.shown, &payload);
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

// ---- ends

void Jobs::OnStopping(JobNumber number) {
  const Entry& entry = jobs_.at(number);
  const Failure verdict = entry.job->Verdict();
  const bool launching = entry.spawn && entry.spawn->state == SpawnState::kLaunching;
  const bool independent = entry.spawn && entry.spawn->independent;
  if (verdict.kind == FailureKind::kNone || independent) return;
  if (launching && IsSpawnFailure(verdict)) return;
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
  const bool independent = entry.spawn && entry.spawn->independent;
  const bool counts = ended.failure.kind != FailureKind::kNone && !alone && !independent;
  if (counts) FailAll(number);
  if (launching) AnswerSpawn(entry, ended.failure);
  dvm_.OnProcGone({entry.job->name_space(), pmix::kRankWildcard});
  stdin_.OnDone(number);
  wanted_.erase(number);
  pool_ += entry.granted;
  if (number == first_) first_ended_ = ended;
  if (counts && (!failed_ended_ || failed_ == number)) failed_ended_ = ended;
  reports_.insert(reports_.end(), ended.state_report.begin(), ended.state_report.end());
  std::vector<Phase> phases = ended.phases;
  if (services_.end) {
    for (Phase& phase : services_.end(number)) phases.push_back(std::move(phase));
  }
  KeepPhases(entry, phases);
  AnswerDrains();
  if (IsOver()) return Finish();
  services_.loop.Post([this, number, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    jobs_.erase(number);
    dvm_.Forget(number);
    Grant();
  });
}

void Jobs::KeepPhases(const Entry& entry, const std::vector<Phase>& phases) {
  if (!entry.spawn) {
    phases_.insert(phases_.end(), phases.begin(), phases.end());
    return;
  }
  if (++shown_jobs_ > kMostShownJobs) {
    ++hidden_jobs_;
    return;
  }
  const std::string process = "job " + std::to_string(entry.shown);
  for (Phase phase : phases) {
    // A node's own start comes with the first job that has ended there.
    if (!IsOfTheNode(phase)) phase.process = process;
    phases_.push_back(std::move(phase));
  }
}

// ---- tools

void Jobs::OnToolGone() {
  if (!tool_present_) return;
  EndAttached(tool_->proc);
  constexpr int64_t kAll = int64_t{1} << 60;  // nobody reads what the others write
  pool_ = kAll;
  Grant();
  LetToolGo();
}

void Jobs::LetToolGo() {
  if (!std::exchange(tool_present_, false)) return;
  if (IsOver()) Finish();
}

void Jobs::OnToolDrain(const pmix::ToolDrain& m) {
  drains_.emplace_back(tool_->node, m.request);
  AnswerDrains();
}

void Jobs::AnswerDrains() {
  if (drains_.empty()) return;
  const bool any = std::any_of(jobs_.begin(), jobs_.end(), [](const auto& e) {
    return !e.second.ended && e.second.job->AllEnded();
  });
  if (any) return;
  for (const auto& [node, request] : std::exchange(drains_, {})) {
    services_.answer(node, pmix::OpDone{request, pmix::kSuccess});
  }
}

void Jobs::Finish() {
  if (std::exchange(finished_, true)) return;
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
