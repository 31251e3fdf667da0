#include "launcher/agent/dvm_server.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "launcher/agent/dvm_fit.h"
#include "launcher/base/dvm_place.h"
#include "launcher/base/log.h"

namespace rex {

namespace {
constexpr std::chrono::milliseconds kFlushBound{2000};  // for all clients together
constexpr std::chrono::milliseconds kAcceptAgain{200};

Failure Stopped(std::string detail, std::string remedy) {
  Failure failure;
  failure.kind = FailureKind::kDvmStopped;
  failure.detail = std::move(detail);
  failure.remedy = std::move(remedy);
  return failure;
}
}  // namespace

DvmServer::DvmServer(EventLoop& loop, UniqueFd starter_fd, std::string link, NodeOptions options)
    : loop_(loop),
      link_(std::move(link)),
      dir_(options.session_dir),
      children_(loop),
      core_(loop, children_, std::move(options), true, MakeHandlers()),
      tools_(loop, core_,
             [this] {
               if (!AnyJobs()) On(DvmEvent::kJobsOver);
             }),
      sigterm_(
          loop, SIGTERM,
          [this] { End(Stopped("a process of the DVM was told to end (SIGTERM)", ""), false); }),
      idle_timer_(loop, [this] { On(DvmEvent::kIdleOver); }),
      end_timer_(loop, [this] { Enter(DvmState::kOver); }),
      starter_fd_(std::move(starter_fd)),
      accept_again_(loop, [this] {
        if (listening_) listening_->Enable(true);
      }) {}

Status DvmServer::Start() {
  const Status started = core_.Start();
  if (!started) return started;
  begin_ = loop_.clock().Now();
  started_s_ = ::time(nullptr);
  Add(std::move(starter_fd_), 0);
  starter_ = last_session_;
  return Ok{};
}

// ---- connections

void DvmServer::OnConnection() {
  UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) return;
    Log(LogLevel::kError, "no descriptor for a connection; trying again soon");
    listening_->Enable(false);
    return accept_again_.Set(kAcceptAgain);
  }
  const auto peer = PeerOf(socket.get());
  if (!peer || peer->uid != ::geteuid()) {
    return Log(LogLevel::kWarn, "connection refused: of user " +
                                    (peer ? std::to_string(peer->uid) : peer.error().text));
  }
  if (sessions_.size() >= kMostSessions) {
    return Log(LogLevel::kWarn,
               "connection refused: there are " + std::to_string(kMostSessions) + " already");
  }
  Add(std::move(socket), peer->pid);
}

void DvmServer::Add(UniqueFd socket, int64_t pid) {
  const SessionId id = ++last_session_;
  Session& session = sessions_[id];
  session.pid = pid;
  session.client = std::make_unique<LaunchClient>(
      loop_, std::move(socket),
      LaunchClient::Handlers{[this, id](JobSpec spec) { return OnLaunch(id, std::move(spec)); },
                             [this, id](LaunchMessage kind, const std::string& payload) {
                               return OnOther(id, kind, payload);
                             },
                             [this, id](const Error& error) { OnNonsense(id, error); },
                             [this, id](const Error&) { OnGone(id); }});
}

// Its jobs end first.
void DvmServer::OnGone(SessionId id) {
  if (starter_ == id) {
    starter_ = 0;
    return End(Stopped("rexctl start was ended before the DVM was up", ""), true);
  }
  Session& session = sessions_.at(id);
  if (session.client->jobs() != nullptr && !session.ended) {
    return session.client->jobs()->OnLost(InternalFailure("rexlaunch is gone", ""), true);
  }
  loop_.Post([this, id] { Drop(id); });
}

void DvmServer::Drop(SessionId id) { sessions_.erase(id); }

void DvmServer::OnNonsense(SessionId id, const Error& error) {
  const Session& session = sessions_.at(id);
  Log(LogLevel::kWarn, "bad message from pid " + std::to_string(session.pid) + ": " + error.text);
  Failure failure;
  failure.kind = FailureKind::kRefused;
  failure.detail = error.text;
  failure.remedy = "use rexlaunch, rexctl and rexd of the same installation";
  LaunchClient& client = *session.client;
  if (client.jobs() != nullptr && !session.ended) return client.jobs()->OnLost(failure, true);
  client.SendEnded(EndedBy(failure));
  if (starter_ == id) OnGone(id);
}

Status DvmServer::OnOther(SessionId id, LaunchMessage kind, const std::string& payload) {
  switch (kind) {
    case LaunchMessage::kStartDvm: {
      const auto m = FromWire<StartDvm>(payload);
      return m ? OnStartDvm(id, *m) : Status(m.error());
    }
    case LaunchMessage::kAskDvm: {
      const auto m = FromWire<AskDvm>(payload);
      if (!m) return m.error();
      Answer(id, *m);
      return Ok{};
    }
    case LaunchMessage::kStopDvm: {
      const auto m = FromWire<StopDvm>(payload);
      if (!m) return m.error();
      Stop(id, *m);
      return Ok{};
    }
    case LaunchMessage::kKillJob: {
      const auto m = FromWire<KillJob>(payload);
      if (!m) return m.error();
      Kill(id, *m);
      return Ok{};
    }
    case LaunchMessage::kSignal:
    case LaunchMessage::kEndJob:
    case LaunchMessage::kOutputCredit:
    case LaunchMessage::kStdin:
    case LaunchMessage::kStdinEnd:
      return Ok{};  // its job has ended, or was declined, while this was under way
    default:
      return Error{Errc::kProtocol, "unknown message"};
  }
}

// ---- its own start

Status DvmServer::OnStartDvm(SessionId id, const StartDvm& order) {
  if (id != starter_ || core_.has_dvm()) return Error{Errc::kProtocol, "StartDvm twice"};
  order_ = order;
  core_.node().job_begin = loop_.clock().Now();
  if (const Status there = Publish(); !there) {
    Failure failure;
    failure.kind = FailureKind::kRefused;
    failure.detail = there.error().text;
    if (there.error().code == Errc::kInvalid) {
      failure.remedy = "'rexctl status' shows it, 'rexctl stop' ends it, --name gives another name";
    }
    FailStart(failure);
    return Ok{};
  }
  // Jobs that will come may ask for loads.
  const Dvm::StartOptions options{.verbose = order.verbose, .looks = LoadLooks::kAlways};
  if (const Status started = core_.StartNodes(order.dvm, order.slots, options); !started) {
    FailStart(InternalFailure(started.error().text, "install rex anew"));
  }
  return Ok{};
}

// Before the nodes are started: of two starts with one name one does not get that far.
Status DvmServer::Publish() {
  auto listener = ListenInDvm(dir_);
  if (!listener) return listener.error();
  listener_ = *std::move(listener);
  listening_ = std::make_unique<ReadWatcher>(loop_, listener_.get(), [this] { OnConnection(); });
  const Status linked = LinkDvm(link_, dir_);
  linked_ = linked.has_value();
  return linked;
}

void DvmServer::OnNodesUp() {
  if (const Status written = WriteRecord(); !written) {
    Failure failure;
    failure.kind = FailureKind::kNoResources;
    failure.detail = written.error().text;
    return FailStart(failure);
  }
  On(DvmEvent::kNodesUp);
  if (starter_ == 0) return;
  ClientOf(starter_).Send(LaunchMessage::kDvmStarted, MakeRecord());
  starter_ = 0;
}

// Jobs that name no nodes get those of the record.
Status DvmServer::WriteRecord() const {
  return WriteFileAtomically(dir_ + "/" + kDvmRecordName, ToWire(MakeRecord()));
}

void DvmServer::OnNodesLost(const Failure& failure) {
  Log(LogLevel::kWarn, "node lost name=" + failure.node + " why=" + failure.detail);
  if (state_ == DvmState::kStarting) return FailStart(failure);
  if (core_.jobs().FreeNodes().empty()) {
    return End(Stopped("none of its nodes is left; the last was " + failure.node, ""), false);
  }
  if (const Status written = WriteRecord(); !written) Log(LogLevel::kError, written.error().text);
}

void DvmServer::FailStart(const Failure& failure) {
  if (starter_ != 0) {
    ClientOf(starter_).SendEnded(EndedBy(failure));
    starter_ = 0;
  }
  On(DvmEvent::kStop);
}

DvmRecord DvmServer::MakeRecord() const {
  DvmRecord record;
  record.version = std::string(kProtocolVersion);
  record.name = order_.name;
  record.origin = order_.origin;
  record.dvm = order_.dvm;
  record.dvm.nodes = NodesThere();
  record.slots = order_.slots;
  record.inherited = order_.inherited;
  record.agent_pid = ::getpid();
  record.keeper_pid = ::getppid();
  record.started_s = started_s_;
  record.head = core_.node().facts().name;
  return record;
}

// Those that came, and were not lost since.
std::vector<NodeRequest> DvmServer::NodesThere() const {
  std::vector<NodeRequest> there;
  const std::vector<JobNode> free =
      core_.jobs().nodes().empty() ? core_.Nodes() : core_.jobs().AllNodes();
  for (const NodeRequest& node : order_.dvm.nodes) {
    const bool is = std::any_of(free.begin(), free.end(), [&](const JobNode& each) {
      return each.name == node.name && !each.missing && !core_.jobs().IsLost(each.id);
    });
    if (is) there.push_back(node);
  }
  return there;
}

// ---- jobs

Status DvmServer::OnLaunch(SessionId id, JobSpec spec) {
  if (!TakesJobs(state_)) {
    Decline(id, spec, "the DVM is " + std::string(StateName(state_)), false);
    return Ok{};
  }
  if (spec.check || !spec.described.empty()) {
    Decline(id, spec, "nodes are not looked at by a DVM that stays", false);
    return Ok{};
  }
  DvmJobs& jobs = core_.jobs();
  auto fit = FitToDvm(spec, order_.dvm, jobs.AllNodes(), jobs.lost(), jobs.dvm_nodes());
  if (const auto* misfit = std::get_if<DvmMisfit>(&fit)) {
    Decline(id, spec, misfit->text, misfit->busy);
    return Ok{};
  }
  auto& chosen = std::get<DvmFit>(fit);
  Jobs& session =
      ClientOf(id).MakeJobs(jobs, [this, id](JobEnded ended) { OnEnded(id, std::move(ended)); });
  On(DvmEvent::kJobBegins);
  session.Start(std::move(chosen.spec));
  session.OnNodes(std::move(chosen.nodes));
  return Ok{};
}

void DvmServer::Decline(SessionId id, const JobSpec& spec, const std::string& why, bool busy) {
  if (spec.may_decline) return ClientOf(id).Send(LaunchMessage::kDeclined, Declined{why});
  Failure failure;
  failure.kind = busy ? FailureKind::kNoResources : FailureKind::kRefused;
  failure.phase = JobPhase::kNodes;
  failure.detail = "DVM '" + order_.name + "': " + why;
  failure.remedy =
      "'rexctl status' and 'rexctl jobs' show what runs there; '--dvm none' does without it";
  JobEnded ended = EndedBy(std::move(failure));
  if (!busy) ended.exit_code = kExitUsage;
  ClientOf(id).SendEnded(ended);
}

void DvmServer::OnEnded(SessionId id, JobEnded ended) {
  Session& session = sessions_.at(id);
  session.ended = true;
  session.client->SendEnded(ended);
  // The jobs are on the stack below us.
  loop_.Post([this, id] {
    const auto at = sessions_.find(id);
    if (at == sessions_.end()) return;
    at->second.client->DropJobs();
    if (at->second.client->gone()) Drop(id);
    if (!AnyJobs()) On(DvmEvent::kJobsOver);
  });
}

// A tool is a client as rexlaunch is: while it is there the DVM is not idle.
int32_t DvmServer::OnTool(NodeId node, const pmix::ToolConnected& tool) {
  if (!TakesJobs(state_)) return pmix::kErrUnreach;
  const int32_t status = tools_.Add(node, tool, order_.dvm, order_.slots);
  if (status == pmix::kSuccess) On(DvmEvent::kJobBegins);
  return status;
}

bool DvmServer::AnyJobs() const { return !core_.jobs().sessions().empty(); }

// ---- rexctl

void DvmServer::Answer(SessionId id, const AskDvm& ask) {
  LaunchClient& client = ClientOf(id);
  client.Send(LaunchMessage::kDvmStatus, StatusNow());
  if (ask.jobs) {
    DvmJobList list;
    for (auto& [other, session] : sessions_) {
      Jobs* const jobs = session.client->jobs();
      if (jobs == nullptr) continue;
      const size_t first = list.jobs.size();
      jobs->Describe(&list.jobs);
      for (size_t i = first; i < list.jobs.size(); ++i) list.jobs[i].client_pid = session.pid;
    }
    tools_.Describe(&list.jobs);
    std::sort(list.jobs.begin(), list.jobs.end(),
              [](const DvmJob& a, const DvmJob& b) { return a.number < b.number; });
    client.Send(LaunchMessage::kDvmJobs, list);
  }
  if (ask.ranks) SendRanks(client);
  client.Send(LaunchMessage::kDvmReply, DvmReply{true, ""});
}

void DvmServer::SendRanks(LaunchClient& client) const {
  std::vector<DvmRank> all;
  core_.jobs().ForLive([&all](JobNumber number, Job& job) { job.AddRanks(number, &all); });
  std::stable_sort(all.begin(), all.end(),
                   [](const DvmRank& a, const DvmRank& b) { return a.job < b.job; });
  for (size_t first = 0; first < all.size(); first += kMaxRanksInMessage) {
    const size_t count = std::min(kMaxRanksInMessage, all.size() - first);
    DvmRankList list;
    list.ranks.assign(all.begin() + static_cast<ptrdiff_t>(first),
                      all.begin() + static_cast<ptrdiff_t>(first + count));
    client.Send(LaunchMessage::kDvmRanks, list);
  }
}

DvmStatus DvmServer::StatusNow() const {
  const DvmJobs& jobs = core_.jobs();
  DvmStatus status;
  status.record = MakeRecord();
  status.state = static_cast<uint32_t>(state_);
  for (const JobNode& node : jobs.AllNodes()) {
    status.nodes.push_back(
        {node.name, node.slots, node.cores, node.used, node.missing || jobs.IsLost(node.id)});
  }
  const Clock::Time now = loop_.clock().Now();
  using std::chrono::milliseconds;
  status.up = std::chrono::duration_cast<milliseconds>(now - begin_);
  if (state_ == DvmState::kIdle) {
    status.idle = std::chrono::duration_cast<milliseconds>(now - idle_since_);
  }
  status.idle_timeout = order_.idle_timeout;
  jobs.ForLive([&status](JobNumber, Job&) { ++status.jobs; });
  status.jobs_ever = jobs.last();
  return status;
}

void DvmServer::Stop(SessionId id, const StopDvm& order) {
  uint32_t live = 0;
  core_.jobs().ForLive([&live](JobNumber, Job&) { ++live; });
  ClientOf(id).Send(LaunchMessage::kDvmReply, DvmReply{true, std::to_string(live)});
  if (order.wait) return On(DvmEvent::kDrain);
  End(Stopped("by 'rexctl stop' (pid " + std::to_string(sessions_.at(id).pid) + ")", ""), false);
}

void DvmServer::Kill(SessionId id, const KillJob& order) {
  Jobs* const owner = core_.jobs().OwnerOf(order.job);
  const bool done = owner != nullptr && owner->Kill(order.job, order.signo);
  const std::string none =
      "no job " + std::to_string(order.job) + " runs in the DVM; 'rexctl jobs' shows those that do";
  ClientOf(id).Send(LaunchMessage::kDvmReply, DvmReply{done, done ? "" : none});
}

// ---- states

void DvmServer::On(DvmEvent event) {
  if (const auto next = Next(state_, event)) Enter(*next);
}

void DvmServer::Enter(DvmState state) {
  if (state_ == DvmState::kOver) return;
  Log(LogLevel::kInfo,
      "dvm state from=" + std::string(StateName(state_)) + " to=" + std::string(StateName(state)));
  state_ = state;
  idle_timer_.Cancel();
  switch (state) {
    case DvmState::kIdle:
      idle_since_ = loop_.clock().Now();
      if (order_.idle_timeout.count() > 0) idle_timer_.Set(order_.idle_timeout);
      return;
    case DvmState::kEnding:
      return EndJobs();
    case DvmState::kOver:
      // Whoever brought it about is on the stack below us.
      return loop_.Post([this] { Finish(); });
    case DvmState::kStarting:
    case DvmState::kBusy:
    case DvmState::kDraining:
      return;
  }
}

void DvmServer::EndJobs() {
  end_timer_.Set(kEndBound);
  core_.jobs().OnLost(why_, quick_);
}

void DvmServer::End(Failure failure, bool quick) {
  why_ = std::move(failure);
  quick_ = quick_ || quick;
  if (state_ == DvmState::kStarting) return FailStart(why_);
  if (state_ == DvmState::kEnding) return core_.jobs().OnLost(why_, quick_);
  On(DvmEvent::kStop);
}

HeadCore::Handlers DvmServer::MakeHandlers() {
  return {[this] {
            core_.GiveNodes();
            OnNodesUp();
          },
          [this](const Failure& failure) { FailStart(failure); },
          [this](const std::vector<NodeId>&, const Failure& failure) { OnNodesLost(failure); },
          [this](NodeId node, const Failure& failure) {
            core_.jobs().OnNodesLost({node}, failure);
            OnNodesLost(failure);
          },
          [this](const Notice& notice) {
            if (starter_ != 0) return ClientOf(starter_).Send(LaunchMessage::kNotice, notice);
            Log(LogLevel::kWarn, notice.text);
          },
          [this] {
            End(InternalFailure("the DVM's keeper (rexd) was killed",
                                "find out who kills processes here (`dmesg`), and start it anew"),
                true);
          },
          [this](const Failure& failure) { End(failure, false); },
          [](JobNumber, LaunchPart*) {},
          [this](NodeId node, const pmix::ToolConnected& tool) { return OnTool(node, tool); }};
}

void DvmServer::Finish() {
  if (finished_) return;
  finished_ = true;
  Log(LogLevel::kInfo, "dvm over");
  if (linked_) UnlinkDvm(link_, dir_);
  listening_.reset();
  listener_.Reset();
  const Clock::Time end = loop_.clock().Now() + kFlushBound;
  for (auto& [id, session] : sessions_) {
    session.client->DropJobs();
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - loop_.clock().Now());
    session.client->Flush(std::max(left, std::chrono::milliseconds(0)));
  }
  tools_.Clear();
  core_.Close();
  loop_.Stop();
}

}  // namespace rex
