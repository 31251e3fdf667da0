#include "launcher/ranks/part.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "launcher/base/log.h"
#include "launcher/base/private_dir.h"
#include "launcher/ranks/part_display.h"

namespace rex {

namespace {

constexpr uint64_t kMostInPipe = 1 << 20;  // fs.pipe-max-size, pipe(7)

}  // namespace

Part::Part(PartServices services, NodeFacts node, LaunchPart launch)
    : services_(std::move(services)),
      node_(std::move(node)),
      launch_(std::move(launch)),
      spec_(*launch_.spec),
      leases_(spec_.leases),
      output_(services_.loop,
              {[this](std::string payload) { services_.tell(PartOutput{std::move(payload)}); },
               [this] { Take(PartStep::kDrained); }}),
      stdin_(services_.loop, {[this](uint64_t bytes) { services_.tell(PartStdinCredit{bytes}); },
                              [this] { services_.tell(PartStdinDone{}); }}),
      grace_(spec_.grace),
      deadline_(services_.loop, [this] { OnDeadline(); }),
      unsure_timer_(services_.loop, [this] { TellUnsure(); }) {
  plan_.name_space = launch_.name_space;
}

void Part::Start() {
  if (services_.stage) return StagePrograms();
  placed_ = true;
  Plan({});
}

// How long that takes is the image's own business: it has bounds for what it waits for.
void Part::StagePrograms() {
  times_.image.begin = services_.loop.clock().Now();
  services_.stage({WhileAlive([this](const std::vector<StagedProgram>& staged) {
                     if (state_ == PartState::kPlanned) Plan(staged);
                   }),
                   WhileAlive([this](std::string note) { OnPlaced(std::move(note)); }),
                   WhileAlive([this](Failure failure) {
                     if (state_ < PartState::kForking) Fail(std::move(failure));
                   })});
}

void Part::OnPlaced(std::string note) {
  times_.image.end = services_.loop.clock().Now();
  times_.image_note = std::move(note);
  placed_ = true;
  if (!planned_ || state_ > PartState::kRegistering) return;
  StartTemplates();
  BeginBirthsWhenReady();
}

void Part::Plan(const std::vector<StagedProgram>& staged) {
  deadline_.Set(kHostBound);
  auto planned = PlanPart(launch_, node_, &leases_, staged);
  if (const Failure* failure = std::get_if<Failure>(&planned)) return Fail(*failure);
  plan_ = std::get<PartPlan>(std::move(planned));
  ranks_ = RankTable(plan_.ranks);
  for (const Notice& notice : plan_.notices) services_.tell(PartNotice{notice});
  services_.keep_leases(leases_.fds());
  PartPlanned told{.map_digest = launch_.map->Digest(),
                   .plan_digest = plan_.digest,
                   .cores_held = plan_.cores_held,
                   .lease_trouble = leases_.trouble(),
                   .trouble_is_new = leases_.trouble_is_new()};
  if (spec_.show_map) told.map_text = MapText(plan_, node_);
  if (spec_.show_topology) told.topology_text = TopologyText(node_);
  services_.tell(std::move(told));
  if (spec_.do_not_launch) return deadline_.Cancel();  // the head ends the part
  if (const Status made = MakeDirs(); !made) return;
  if (const Status linked = LinkPreloadFiles(); !linked) return;
  output_.SetUnbuffered(launch_.unbuffered);
  if (placed_) StartTemplates();
  OpenStdioAhead();
  planned_ = true;
  if (host_ready_) Take(PartStep::kHostReady);
}

Status Part::MakeDirs() {
  for (const std::string& dir : {plan_.job_dir, plan_.shm_dir}) {
    // There already: without a usable /dev/shm the two are one.
    if (::mkdir(dir.c_str(), 0700) == 0 || errno == EEXIST) continue;
    const Error error = Error::FromErrno(errno, "make '" + dir + "'");
    Failure failure = InternalFailure(error.text, "look at the free space and permissions there");
    if (error.sys_errno == ENOENT) {
      failure.detail = "the directory '" + dir + "' of the keeper (rexd) is gone";
      failure.remedy = "somebody killed the keeper or cleaned up below it: run the job again";
    } else {
      failure.kind = FailureKind::kNoResources;
    }
    Fail(std::move(failure));
    return error;
  }
  return Ok{};
}

// Where the user is they need not be sent: they are linked.
Status Part::LinkPreloadFiles() {
  if (services_.stage) return Ok{};
  for (const std::string& file : spec_.stage.preload_files) {
    const std::string to = plan_.job_dir + "/" + file.substr(file.rfind('/') + 1);
    if (::symlink(file.c_str(), to.c_str()) == 0 || errno == EEXIST) continue;
    const Error error = Error::FromErrno(errno, "link '" + to + "'");
    Failure failure = InternalFailure(error.text, "look at the free space and permissions there");
    failure.kind = FailureKind::kNoResources;
    Fail(std::move(failure));
    return error;
  }
  return Ok{};
}

// ---- states

void Part::Take(PartStep step) {
  if (const auto next = Next(state_, step)) Enter(*next);
}

void Part::Enter(PartState state) {
  if (LogEnabled(LogLevel::kInfo)) {
    Log(LogLevel::kInfo, "part state job=" + plan_.name_space +
                             " from=" + std::string(StateName(state_)) +
                             " to=" + std::string(StateName(state)));
  }
  state_ = state;
  deadline_.Cancel();
  switch (state) {
    case PartState::kPlanned:
    case PartState::kBorn:
      return;
    case PartState::kRegistering:
      return EnterRegistering();
    case PartState::kForking:
      return EnterForking();
    case PartState::kRunning:
      return EnterRunning();
    case PartState::kStopping:
      return EnterStopping();
    case PartState::kDraining:
      return EnterDraining();
    case PartState::kDrained:
      return EnterDrained();
    case PartState::kEnded:
      return EnterEnded();
  }
}

void Part::EnterRegistering() {
  deadline_.Set(kHostBound);
  times_.name_space.begin = services_.loop.clock().Now();
  host_knows_ = true;
  services_.to_host(RegistrationOf(launch_, plan_, node_));
}

void Part::EnterForking() {
  times_.births.begin = services_.loop.clock().Now();
  services_.tell(PartReady{});
  output_.DelayCloses(true);
  SubmitNextBatch();
}

void Part::EnterRunning() {
  times_.births.end = services_.loop.clock().Now();
  times_.births_note = BirthsNote();
  output_.DelayCloses(false);
  EndTemplates();
  if (spec_.show_bindings) {
    for (size_t i = 0; i < ranks_.size(); ++i) {
      services_.tell(
          PartNotice{{Notice::Level::kPlain, BindingLine(plan_, node_, i, ranks_[i].pid)}});
    }
  }
  services_.tell(PartRunning{});
  for (SignalPart& signal : std::exchange(held_signals_, {})) (void)OnCommand(signal);
  CheckReaped();
}

void Part::EnterStopping() {
  output_.DelayCloses(false);
  if (unsure_timer_.pending()) unsure_timer_.Set(kNewsBound);  // not a word more is waited for
  for (RankRecord& record : ranks_.all()) record.signalled |= record.alive();
  SignalAll(SIGTERM);
  SignalAll(SIGCONT);  // a stopped process acts on TERM only when it goes on
  deadline_.Set(grace_);
  CheckReaped();
}

void Part::EnterDraining() {
  EndTemplates();
  FlushNews();
  if (output_.open_streams() == 0) return Take(PartStep::kDrained);
  deadline_.Set(std::max(grace_, kDrainStep));
}

void Part::KillLeftovers() {
  for (const ProcessInfo& p : services_.kill_leftovers()) {
    leftovers_.push_back(p.command + " (pid " + std::to_string(p.pid) + ")");
  }
}

void Part::EnterDrained() {
  services_.tell(PartDrained{});
  if (abandoned_) Take(PartStep::kEnd);
}

void Part::EnterEnded() {
  EndTemplates();
  PartEnded ended;
  KillLeftovers();
  ended.leftovers = std::move(leftovers_);
  output_.CloseAll();
  ended.phases = times_.Phases(node_.name);
  leases_.GiveBackAll();
  services_.tell(std::move(ended));
  TidyUp();
  if (abandoned_) services_.loop.Post(abandoned_);
}

// What nobody waits for: in a turn after the one in which the head is told, when this may be gone.
void Part::TidyUp() {
  services_.loop.Post([services = services_, name_space = plan_.name_space, known = host_knows_,
                       dirs = std::array{plan_.job_dir, plan_.shm_dir}] {
    services.keep_leases({});
    if (known) services.to_host(pmix::DeregisterJob{name_space});
    for (const std::string& dir : dirs) {
      if (!dir.empty()) RemoveTree(dir);
    }
  });
}

// A failure here is the head's to judge; the part itself starts to stop at once, so that it does so
// also when the head's answer is late.
void Part::Fail(Failure failure, bool root_cause) {
  if (failure.node.empty()) failure.node = node_.name;
  services_.tell(PartFailed{std::move(failure), root_cause});
  Take(PartStep::kStop);
}

void Part::OnDeadline() {
  switch (state_) {
    case PartState::kPlanned:
    case PartState::kRegistering:
      return Fail(InternalFailure("the PMIx host (rexd-pmix) did not answer in " +
                                      std::to_string(kHostBound.count()) + " s while the job was " +
                                      std::string(StateName(state_)),
                                  "look at the machine's load; run again with REX_LOG=debug"));
    case PartState::kStopping:
      return OnGraceOver();
    case PartState::kDraining:
      return OnDrainTimeOver();
    default:
      return;
  }
}

// Somebody below the ranks holds their output open. What has been written until now is read to its
// end, however slow the reader is.
void Part::OnDrainTimeOver() {
  if (output_.starved()) return deadline_.Set(std::max(grace_, kDrainStep));
  const uint64_t read = output_.bytes();
  const uint64_t before = std::exchange(drain_read_, read);
  if (!drain_most_) {
    KillLeftovers();
    drain_most_ = read + output_.open_streams() * kMostInPipe;
    return deadline_.Set(kDrainStep);
  }
  // Only who is no descendant of ours can still hold it, or write more than a pipe can hold.
  if (read != before && read <= *drain_most_) return deadline_.Set(kDrainStep);
  output_.CloseAll();
  Take(PartStep::kDrained);
}

void Part::OnGraceOver() {
  if (!kill_sent_) {
    kill_sent_ = true;
    SignalAll(SIGKILL);
    return deadline_.Set(kKillBound);
  }
  std::string stuck;
  for (const RankRecord& r : ranks_.all()) {
    if (r.alive()) stuck += " " + std::to_string(r.rank) + " (pid " + std::to_string(r.pid) + ")";
  }
  Failure failure =
      stuck.empty() ? InternalFailure("the process that makes ranks (rexd-spawner) does not answer",
                                      "look at the machine's load; run again with REX_LOG=debug")
                    : InternalFailure("these ranks could not be killed:" + stuck,
                                      "look at /proc/PID/stack: they hang in the kernel");
  failure.node = node_.name;
  services_.tell(PartFailed{std::move(failure)});
  Enter(PartState::kDraining);
}

// ---- the head's commands

Status Part::On(PartCommand command) {
  return std::visit([this](auto& m) { return OnCommand(m); }, command);
}

Status Part::OnCommand(LaunchPart&) {
  return Error{Errc::kProtocol, "a second LaunchPart for one job"};
}

Status Part::OnCommand(OpenGates&) {
  gates_open_ = true;
  if (state_ == PartState::kForking || state_ == PartState::kBorn) ReleaseAll();
  return Ok{};
}

Status Part::OnCommand(SignalPart& m) {
  if (state_ < PartState::kRunning && !m.ends_them) {
    held_signals_.push_back(std::move(m));
    return Ok{};
  }
  const auto signal = [&](RankRecord& record) {
    if (m.ends_them) record.signalled = true;
    if (record.alive()) services_.children.KillGroup(record.pid, m.signo);
  };
  if (m.ranks.empty()) {
    for (RankRecord& record : ranks_.all()) signal(record);
  }
  for (const Rank rank : m.ranks) {
    if (RankRecord* record = ranks_.Find(rank)) signal(*record);
  }
  return Ok{};
}

// A shorter grace than the one under way counts, in any state.
Status Part::OnCommand(StopPart& m) {
  grace_ = std::min(grace_, m.grace);
  if (m.discard_output) output_.Discard();
  if (state_ == PartState::kStopping && !kill_sent_) deadline_.Set(grace_);
  if (state_ == PartState::kDraining) deadline_.Set(std::max(grace_, kDrainStep));
  Take(PartStep::kStop);
  return Ok{};
}

Status Part::OnCommand(PartCredit& m) {
  output_.AddCredit(m.bytes);
  return Ok{};
}

Status Part::OnCommand(PartStdin& m) { return stdin_.OnBytes(std::move(m.bytes)); }

Status Part::OnCommand(PartStdinEnd&) {
  stdin_.OnEnd();
  output_.NoMorePrompts();
  return Ok{};
}

Status Part::OnCommand(AskNews& m) {
  questions_.push_back(m.number);
  AskHost();
  return Ok{};
}

Status Part::OnCommand(AskReport& m) {
  std::vector<std::string> lines = ReportState();
  if (!m.stack_traces || state_ != PartState::kRunning) {
    services_.tell(PartReport{std::move(lines), m.number});
    return Ok{};
  }
  std::vector<StackTracer::Subject> subjects;
  for (const RankRecord& r : ranks_.all()) {
    if (r.alive()) subjects.push_back({r.rank, r.pid});
  }
  tracer_ = std::make_unique<StackTracer>(services_.loop, services_.children);
  tracer_->Start(std::move(subjects), kTraceBound,
                 [this, number = m.number,
                  lines = std::move(lines)](const std::vector<std::string>& traces) mutable {
                   lines.insert(lines.end(), traces.begin(), traces.end());
                   services_.tell(PartReport{std::move(lines), number});
                 });
  return Ok{};
}

Status Part::OnCommand(EndPart&) {
  Take(PartStep::kEnd);
  return Ok{};
}

void Part::Abandon(std::function<void()> ended) {
  abandoned_ = std::move(ended);
  if (state_ == PartState::kEnded) return services_.loop.Post(abandoned_);
  StopPart stop{kQuickGrace, true};
  (void)OnCommand(stop);
  Take(PartStep::kEnd);  // when it stood drained before
}

// ---- the host

void Part::OnHostReady() {
  host_ready_ = true;
  if (planned_) Take(PartStep::kHostReady);
}

void Part::OnHostMessage(const pmix::HostMessage& message) {
  if (const auto* registered = std::get_if<pmix::JobRegistered>(&message)) {
    if (registered->name_space == plan_.name_space) OnRegistered(*registered);
  } else if (const auto* event = std::get_if<pmix::ClientEvent>(&message)) {
    OnClientEvent(*event);
  } else if (const auto* pong = std::get_if<pmix::Pong>(&message)) {
    OnPong(*pong);
  } else if (const auto* fence = std::get_if<pmix::FenceReleased>(&message)) {
    if (IsWholeJob(launch_, fence->participants)) times_.OnFence(fence->at);
  } else if (const auto* log = std::get_if<pmix::LogText>(&message)) {
    if (log->proc.name_space == plan_.name_space) OnLog(*log);
  }
}

void Part::OnRegistered(pmix::JobRegistered registered) {
  if (state_ != PartState::kRegistering) return;
  times_.name_space.end = services_.loop.clock().Now();
  if (registered.status != pmix::kSuccess) {
    return Fail(InternalFailure("libpmix did not accept the job: " + registered.error,
                                "run again with REX_LOG=debug and report this"));
  }
  registered_ = std::move(registered);
  known_here_ = true;
  deadline_.Cancel();
  BeginBirthsWhenReady();
}

void Part::BeginBirthsWhenReady() {
  if (known_here_ && placed_) Take(PartStep::kRegistered);
}

void Part::OnLog(const pmix::LogText& log) {
  const auto stream = log.to_stdout ? OutputStream::kStdout : OutputStream::kStderr;
  output_.Pass(log.proc.rank, stream, log.text);
  services_.to_host(pmix::OpDone{log.request, pmix::kSuccess});
}

void Part::OnHostLost(const Failure& failure) {
  if (state_ >= PartState::kDraining) return TellUnsure();  // it has done its work
  Failure here = failure;
  here.node = node_.name;
  Fail(std::move(here), state_ < PartState::kStopping);
}

}  // namespace rex
