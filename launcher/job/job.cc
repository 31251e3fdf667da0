#include "launcher/job/job.h"

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>

#include "launcher/base/log.h"
#include "launcher/job/job_display.h"

namespace rex {

namespace {

std::string Quoted(std::string_view s) { return "'" + std::string(s) + "'"; }

Failure InternalFailure(std::string detail, std::string remedy) {
  Failure failure;
  failure.kind = FailureKind::kInternal;
  failure.detail = std::move(detail);
  failure.remedy = std::move(remedy);
  return failure;
}

}  // namespace

Job::Job(JobServices services, NodeFacts node, JobSpec spec, JobClient client)
    : services_(std::move(services)),
      node_(std::move(node)),
      spec_(std::move(spec)),
      client_(std::move(client)),
      output_(services_.loop, {[this](std::string payload) { client_.output(std::move(payload)); },
                               [this] {
                                 if (state_ == JobState::kDraining) On(JobEvent::kDrained);
                               }}),
      stdin_(services_.loop, [this](uint64_t bytes) { client_.stdin_credit(bytes); }),
      pmix_({services_.loop, plan_, node_, ranks_, times_, services_.to_host,
             [this](Rank rank, bool to_stdout, const std::string& text) {
               const auto stream = to_stdout ? OutputStream::kStdout : OutputStream::kStderr;
               client_.output(EncodeOutput({rank, stream, false}, text));
             },
             [this](const std::vector<Rank>& ranks, int signo) {
               for (const Rank rank : ranks) {
                 if (ranks_[rank].alive()) services_.children.KillGroup(ranks_[rank].pid, signo);
               }
             }}),
      grace_(spec_.grace),
      deadline_(services_.loop, [this] { OnDeadline(); }),
      settle_(services_.loop, [this] { On(JobEvent::kStop); }),
      timeout_(services_.loop, [this] { OnTimeout(); }),
      unsure_timer_(services_.loop, [this] { JudgeUnsure(); }) {}

void Job::Start() {
  deadline_.Set(kHostBound);
  if (spec_.timeout.count() > 0) timeout_.Set(spec_.timeout);
  auto planned = PlanJob(spec_, node_);
  if (const Failure* failure = std::get_if<Failure>(&planned)) return BlameAndStop(*failure);
  plan_ = std::get<JobPlan>(std::move(planned));
  ranks_ = RankTable(plan_.total);
  for (const Notice& notice : plan_.notices) client_.notice(notice);
  ShowPlan();
  if (spec_.do_not_launch) return On(JobEvent::kStop);
  for (const std::string& dir : {plan_.job_dir, plan_.shm_dir}) {
    // There already: without a usable /dev/shm the two are one.
    if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
      const int err = errno;
      Failure failure = InternalFailure(Error::FromErrno(err, "make " + Quoted(dir)).text,
                                        "look at the free space and permissions there");
      if (err == ENOENT) {
        failure.detail = "the directory " + Quoted(dir) + " of the keeper (rexd) is gone";
        failure.remedy = "somebody killed the keeper or cleaned up below it: run the job again";
      } else {
        failure.kind = FailureKind::kNoResources;
      }
      return BlameAndStop(std::move(failure));
    }
  }
  output_.SetUnbuffered(plan_.total == 1);
  StartTemplates();
  planned_ = true;
  if (host_ready_) On(JobEvent::kHostReady);
}

void Job::ShowPlan() {
  const auto show = [this](bool wanted, const std::string& text) {
    if (wanted) client_.notice({Notice::Level::kPlain, text});
  };
  show(spec_.show_topology, spec_.show_topology ? TopologyText(node_) : "");
  show(spec_.show_allocation, AllocationText(node_, plan_.slots));
  show(spec_.show_map, MapText(plan_, node_));
}

void Job::OnHostReady() {
  host_ready_ = true;
  if (planned_) On(JobEvent::kHostReady);
}

void Job::OnHostMessage(pmix::HostMessage message) {
  if (pmix_.Handle(message)) return;
  if (auto* registered = std::get_if<pmix::JobRegistered>(&message)) {
    OnRegistered(std::move(*registered));
  } else if (const auto* event = std::get_if<pmix::ClientEvent>(&message)) {
    OnClientEvent(*event);
  } else if (const auto* pong = std::get_if<pmix::Pong>(&message)) {
    OnPong(*pong);
  } else if (const auto* abort = std::get_if<pmix::Abort>(&message)) {
    OnAbort(*abort);
  }
}

void Job::On(JobEvent event) {
  const auto next = Next(state_, event);
  if (!next) return;
  Enter(*next);
}

void Job::Enter(JobState state) {
  if (LogEnabled(LogLevel::kInfo)) {
    Log(LogLevel::kInfo, "job state from=" + std::string(StateName(state_)) +
                             " to=" + std::string(StateName(state)));
  }
  state_ = state;
  deadline_.Cancel();
  switch (state) {
    case JobState::kPlanned:
      return;
    case JobState::kRegistering:
      return EnterRegistering();
    case JobState::kForking:
      return EnterForking();
    case JobState::kRunning:
      return EnterRunning();
    case JobState::kStopping:
      return EnterStopping();
    case JobState::kDraining:
      return EnterDraining();
    case JobState::kDone:
      return EnterDone();
  }
}

void Job::EnterRegistering() {
  deadline_.Set(kHostBound);
  times_.name_space.begin = services_.loop.clock().Now();
  services_.to_host(RegistrationOf(plan_, node_));
}

void Job::OnRegistered(pmix::JobRegistered registered) {
  times_.name_space.end = services_.loop.clock().Now();
  if (registered.status != pmix::kSuccess) {
    return BlameAndStop(InternalFailure("libpmix did not accept the job: " + registered.error,
                                        "run again with REX_LOG=debug and report this"));
  }
  registered_ = std::move(registered);
  On(JobEvent::kRegistered);
}

void Job::EnterRunning() {
  times_.births.end = services_.loop.clock().Now();
  times_.births_note = BirthsNote();
  EndTemplates();
  JobStarted started;
  started.name_space = plan_.name_space;
  started.total = plan_.total;
  for (const RankRecord& r : ranks_.all()) {
    if (!spec_.verbose) break;
    started.ranks.push_back({r.rank, node_.name, r.pid, BirthName(r.birth)});
  }
  for (const RankRecord& r : ranks_.all()) {
    if (!spec_.show_bindings) break;
    client_.notice({Notice::Level::kPlain, BindingLine(plan_, node_, r.rank, r.pid)});
  }
  client_.started(started);
  for (const int signo : held_signals_) SignalRanks(signo);
  held_signals_.clear();
  CheckReaped();
}

void Job::EnterStopping() {
  settle_.Cancel();
  timeout_.Cancel();
  if (unsure_timer_.pending()) unsure_timer_.Set(kNewsBound);  // not a word more is waited for
  for (RankRecord& record : ranks_.all()) record.signalled |= record.alive();
  SignalRanks(SIGTERM);
  SignalRanks(SIGCONT);  // a stopped process acts on TERM only when it goes on
  deadline_.Set(grace_);
  CheckReaped();
}

void Job::EnterDraining() {
  unsure_timer_.Cancel();
  timeout_.Cancel();
  EndTemplates();
  if (output_.open_streams() == 0) return On(JobEvent::kDrained);
  deadline_.Set(std::max(grace_, std::chrono::milliseconds(100)));
}

void Job::EnterDone() {
  EndTemplates();
  const auto left = services_.kill_leftovers();
  if (!left.empty()) {
    std::string text =
        "ended " + std::to_string(left.size()) + " process(es) that the ranks left behind:";
    for (const ProcessInfo& p : left)
      text += " " + p.command + " (pid " + std::to_string(p.pid) + ")";
    client_.notice({Notice::Level::kInfo, text});
  }
  output_.CloseAll();
  JobEnded ended;
  ended.failure = rules_.Verdict();
  ended.exit_code = ExitCodeOf(ended.failure);
  ended.phases = times_.Phases(node_.name);
  ended.state_report = std::move(state_report_);
  if (!plan_.name_space.empty()) services_.to_host(pmix::DeregisterJob{plan_.name_space});
  client_.ended(ended);  // may destroy this
}

void Job::OnDeadline() {
  switch (state_) {
    case JobState::kPlanned:
    case JobState::kRegistering:
      return BlameAndStop(InternalFailure(
          "the PMIx host (rexd-pmix) did not answer in " + std::to_string(kHostBound.count()) +
              " s while the job was " + std::string(StateName(state_)),
          "look at the machine's load; run again with REX_LOG=debug"));
    case JobState::kStopping: {
      if (kill_sent_) {
        std::string stuck;
        for (const RankRecord& r : ranks_.all()) {
          if (r.alive())
            stuck += " " + std::to_string(r.rank) + " (pid " + std::to_string(r.pid) + ")";
        }
        rules_.OnCause(InternalFailure("these ranks could not be killed:" + stuck,
                                       "look at /proc/PID/stack: they hang in the kernel"));
        return Enter(JobState::kDraining);
      }
      kill_sent_ = true;
      SignalRanks(SIGKILL);
      return deadline_.Set(kKillBound);
    }
    case JobState::kDraining: {
      // Somebody below the ranks holds their output open: what has been written is read, no more.
      services_.kill_leftovers();
      output_.CloseAll();
      return On(JobEvent::kDrained);
    }
    case JobState::kForking:
    case JobState::kRunning:
    case JobState::kDone:
      return;
  }
}

void Job::OnSignal(int signo) {
  if (state_ < JobState::kRunning) {
    held_signals_.push_back(signo);
  } else {
    SignalRanks(signo);
  }
}

void Job::OnEndJob(int signo) {
  if (state_ == JobState::kStopping) {  // asked again: no more grace
    grace_ = std::chrono::milliseconds(0);
    if (!kill_sent_) deadline_.Set(grace_);
    return;
  }
  Failure failure;
  failure.kind = FailureKind::kUserSignal;
  failure.signo = signo;
  BlameAndStop(std::move(failure));
}

void Job::OnLost(const Failure& failure, bool quick) {
  if (quick) {
    grace_ = std::min(grace_, kQuickGrace);
    output_.Discard();
  }
  if (state_ == JobState::kStopping && quick && !kill_sent_) deadline_.Set(grace_);
  BlameAndStop(failure);
}

void Job::OnHostLost(const Failure& failure) {
  Failure here = failure;
  here.node = node_.name;
  if (state_ < JobState::kStopping) rules_.OnRootCause(here);
  OnLost(here, false);
}

void Job::OnTimeout() {
  if (spec_.report_state) state_report_ = ReportState();
  Failure failure;
  failure.kind = FailureKind::kTimeout;
  failure.detail = "the job was " + std::string(StateName(state_)) + ", " +
                   std::to_string(ranks_.alive()) + " of " + std::to_string(plan_.total) +
                   " ranks alive";
  if (!spec_.stack_traces || state_ != JobState::kRunning) return BlameAndStop(std::move(failure));
  failure.node = node_.name;
  rules_.OnCause(std::move(failure));  // whatever happens while the traces are taken
  TraceThenStop();
}

void Job::TraceThenStop() {
  std::vector<StackTracer::Subject> subjects;
  for (const RankRecord& r : ranks_.all()) {
    if (r.alive()) subjects.push_back({r.rank, r.pid});
  }
  tracer_ = std::make_unique<StackTracer>(services_.loop, services_.children);
  tracer_->Start(std::move(subjects), kTraceBound, [this](std::vector<std::string> lines) {
    state_report_.insert(state_report_.end(), lines.begin(), lines.end());
    On(JobEvent::kStop);
  });
}

void Job::BlameAndStop(Failure failure) {
  if (failure.node.empty()) failure.node = node_.name;
  rules_.OnCause(std::move(failure));
  On(JobEvent::kStop);
}

std::vector<std::string> Job::ReportState() const {
  std::vector<std::string> lines;
  for (const RankRecord& r : ranks_.all()) {
    std::string line = "rank " + std::to_string(r.rank) + " (";
    line += plan_.total == 0 ? "?" : plan_.AppOf(r.rank).argv[0];
    line += ", node " + node_.name;
    if (r.pid != 0) line += ", pid " + std::to_string(r.pid);
    line += "): ";
    if (r.end) {
      line += "ended with " + std::to_string(r.end->ShellCode());
    } else if (r.pid == 0) {
      line += "not started";
    } else {
      const ProcessInfo process = ReadProcess(r.pid);
      line += r.finalized   ? "after MPI_Finalize"
              : r.connected ? "in MPI (initialised)"
                            : "before MPI_Init";
      line += std::string(", process state ") + process.state;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace rex
