#include "pmix-server/host/host_process.h"

#include <pmix.h>
#include <pmix_server.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/base/log.h"
#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/progress_thread.h"

namespace rex::pmix {

namespace {

constexpr uint8_t kHostMessageKind = 1;  // host_client.cc agrees
constexpr std::chrono::milliseconds kAlongBound{500};
constexpr size_t kReleasesKept = 256;  // sets of participants; some are told again after that
constexpr int kReleasesTold = 3;       // MPI_Init has at most two, MPI_Finalize one

// The agent's side can't include libpmix's headers: here both meet.
static_assert(kSuccess == PMIX_SUCCESS);
static_assert(kError == PMIX_ERROR);
static_assert(kErrTimeout == PMIX_ERR_TIMEOUT);
static_assert(kErrBadParam == PMIX_ERR_BAD_PARAM);
static_assert(kErrNoPermissions == PMIX_ERR_NO_PERMISSIONS);
static_assert(kErrUnreach == PMIX_ERR_UNREACH);
static_assert(kErrOutOfResource == PMIX_ERR_OUT_OF_RESOURCE);
static_assert(kErrNotFound == PMIX_ERR_NOT_FOUND);
static_assert(kErrNotSupported == PMIX_ERR_NOT_SUPPORTED);
static_assert(kErrPartialSuccess == PMIX_ERR_PARTIAL_SUCCESS);
static_assert(kErrDuplicateKey == PMIX_ERR_DUPLICATE_KEY);
static_assert(kErrLostConnection == PMIX_ERR_LOST_CONNECTION);
static_assert(kErrJobExeNotRunnable == PMIX_ERR_JOB_APP_NOT_EXECUTABLE);
static_assert(kErrJobExeNotFound == PMIX_ERR_JOB_EXE_NOT_FOUND);
static_assert(kErrJobWdirNotFound == PMIX_ERR_JOB_WDIR_NOT_FOUND);
static_assert(kErrProcTermWoSync == PMIX_ERR_PROC_TERM_WO_SYNC);
static_assert(kRankWildcard == PMIX_RANK_WILDCARD);

void SetRequest(HostMessage& message, uint64_t request) {
  std::visit(
      [request](auto& m) {
        if constexpr (requires { m.request; }) m.request = request;
      },
      message);
}

bool Names(const std::vector<ProcId>& procs, const std::string& name_space) {
  return std::any_of(procs.begin(), procs.end(),
                     [&](const ProcId& proc) { return proc.name_space == name_space; });
}

// Whether the agent would take it. Processes, keys and texts in a message come from applications.
// A fence's data is opaque and can be large: it is left out of the look.
bool IsWithinBounds(const HostMessage& message) {
  if (const auto* fence = std::get_if<Fence>(&message)) {
    Fence bare;
    bare.participants = fence->participants;
    bare.timeout = fence->timeout;
    return DecodeHostMessage(EncodeHostMessage(bare)).has_value() &&
           fence->data.size() <= kMaxModexBytes;
  }
  const std::string payload = EncodeHostMessage(message);
  return payload.size() < kMaxHostMessageBytes && DecodeHostMessage(payload).has_value();
}

}  // namespace

Error HostProcess::Run(Options options) {
  requests_ = RequestTable(options.generation);
  auto server = PmixServer::Start(options.session_dir, options.node_name, options.one_job_ranks,
                                  options.takes_tools, *this, clock_);
  if (!server) return server.error();
  server_ = std::make_unique<PmixServer>(std::move(*server));
  event_base* const base = options.own_loop ? nullptr : ProgressBase();
  MakeLoop(base, std::move(options.agent));
  if (base == nullptr) loop_->Run();
  while (base != nullptr) ::pause();
  return Error{Errc::kInternal, "the loop ended"};
}

// Upcalls of tools may come before there is a loop: they wait for it.
void HostProcess::MakeLoop(event_base* base, UniqueFd agent) {
  loop_ = base == nullptr ? std::make_unique<EventLoop>() : std::make_unique<EventLoop>(base);
  loop_->Post([this, fd = agent.Release()] { Serve(UniqueFd(fd)); });
  loop_made_.count_down();
}

EventLoop& HostProcess::Loop() {
  loop_made_.wait();
  return *loop_;
}

void HostProcess::Serve(UniqueFd agent) {
  along_timer_ = std::make_unique<Timer>(*loop_, [this] { channel_->Push(); });
  registration_ = std::make_unique<Registration>(
      *loop_, *server_, [this](const HostMessage& message) { Send(message); });
  collectives_ = std::make_unique<OwnCollectives>(OwnCollectives::Deps{
      *loop_, [this](HostMessage done) { Answer(std::get<FenceDone>(done).request, done); },
      [this](const HostMessage& message) { Send(message); }});
  OpenChannel(std::move(agent));
  Send(HostReady{PmixServer::Version(), server_->init_begin(), server_->init_end(),
                 server_->rendezvous()});
}

void HostProcess::OpenChannel(UniqueFd agent) {
  FrameChannel::Handlers handlers;
  handlers.on_message = [this](uint8_t kind, FrameClass /*frame_class*/, std::string payload) {
    OnFrame(kind, payload);
  };
  handlers.on_closed = [this](const Error& error) { Leave(error); };
  channel_ = std::make_unique<FrameChannel>(*loop_, std::move(agent), kMaxHostMessageBytes,
                                            std::move(handlers));
  channel_->AllowFds();
}

void HostProcess::Leave(const Error& error) {
  if (error.code != Errc::kClosed) {
    Log(LogLevel::kError, "leaving: reason='" + error.text + "'");
    ::_exit(1);
  }
  ::_exit(0);
}

// When fences are released the agent hears for the timeline, of the first few of the same
// participants. It is worth no wake-up of its own: it goes with the next message, or soon.
void HostProcess::AwaitRelease(const Fence& fence) {
  if (releases_.size() > kReleasesKept) releases_.clear();
  if (++releases_[fence.participants] <= kReleasesTold) {
    release_of_.emplace(fence.request, fence.participants);
  }
}

void HostProcess::TellRelease(uint64_t request) {
  auto released = release_of_.extract(request);
  if (released.empty()) return;
  channel_->SendLater(kHostMessageKind, FrameClass::kControl,
                      EncodeHostMessage(FenceReleased{std::move(released.mapped()), clock_.Now()}));
  if (!along_timer_->pending()) along_timer_->Set(kAlongBound);
}

void HostProcess::Send(const HostMessage& message) {
  channel_->Send(kHostMessageKind, ClassOf(message), EncodeHostMessage(message));
}

void HostProcess::Request(HostMessage message, OnAnswer on_answer) {
  // A shared pointer because std::function wants its captures copyable; a fence can be large.
  auto shared = std::make_shared<HostMessage>(std::move(message));
  Loop().Post([this, shared, on_answer = std::move(on_answer)] {
    const uint64_t request = requests_.Add(on_answer);
    SetRequest(*shared, request);
    auto* fence = std::get_if<Fence>(shared.get());
    if (fence != nullptr && collectives_->Take(*fence)) return;
    if (!IsWithinBounds(*shared)) {
      HostMessage refused = OpDone{request, kErrBadParam};
      return Answer(request, refused);
    }
    if (fence != nullptr) AwaitRelease(*fence);
    Send(*shared);
  });
}

void HostProcess::Tell(HostMessage message, std::function<void()> then) {
  Loop().Post([this, message = std::move(message), then = std::move(then)] {
    Send(message);
    if (then) then();
  });
}

void HostProcess::OnFrame(uint8_t kind, const std::string& payload) {
  if (kind != kHostMessageKind) Leave(Error{Errc::kProtocol, "a frame of unknown kind"});
  auto message = DecodeHostMessage(payload);
  if (!message) Leave(message.error());
  OnMessage(std::move(*message));
}

void HostProcess::OnMessage(HostMessage message) {
  if (auto* job = std::get_if<RegisterJob>(&message))
    return registration_->Register(std::move(*job));
  if (const auto* job = std::get_if<DeregisterJob>(&message)) {
    std::erase_if(releases_, [&](const auto& told) { return Names(told.first, job->name_space); });
    collectives_->OnNamespaceGone(job->name_space);
    return registration_->Deregister(job->name_space);
  }
  if (std::holds_alternative<UseUplink>(message) || std::holds_alternative<SeriesGiven>(message) ||
      std::holds_alternative<FromAbove>(message)) {
    if (const rex::Status taken = OnAboutCollectives(message); !taken) Leave(taken.error());
    return;
  }
  if (const auto* ping = std::get_if<Ping>(&message)) return Send(Pong{ping->number});
  if (const auto* event = std::get_if<EventRaised>(&message)) return RaiseEvent(*event);
  if (const auto* request = std::get_if<ModexRequest>(&message)) return AskModex(*request);
  if (const auto* m = std::get_if<OpDone>(&message)) return Answer(m->request, message);
  if (const auto* m = std::get_if<FenceDone>(&message)) {
    const uint64_t request = m->request;
    Answer(request, message);
    return TellRelease(request);
  }
  if (const auto* m = std::get_if<ModexDone>(&message)) return Answer(m->request, message);
  if (const auto* m = std::get_if<LookupDone>(&message)) return Answer(m->request, message);
  if (const auto* m = std::get_if<QueryDone>(&message)) return Answer(m->request, message);
  if (const auto* m = std::get_if<SpawnDone>(&message)) return Answer(m->request, message);
  if (const auto* m = std::get_if<GroupDone>(&message)) return Answer(m->request, message);
  Leave(Error{Errc::kProtocol, "a message that only hosts send"});
}

rex::Status HostProcess::OnAboutCollectives(HostMessage& message) {
  if (const auto* uplink = std::get_if<UseUplink>(&message)) {
    return collectives_->OnUplink(*uplink, channel_->TakeFd());
  }
  if (const auto* given = std::get_if<SeriesGiven>(&message)) return collectives_->OnGiven(*given);
  return collectives_->OnDown(std::move(std::get<FromAbove>(message).payload));
}

void HostProcess::Answer(uint64_t request, HostMessage& message) {
  if (!requests_.Answer(request, message)) {
    Log(LogLevel::kWarn, "answer to no request: request=" + std::to_string(request));
  }
}

namespace {

// An event under way in libpmix: it copies the infos before it returns, so nothing has to be kept.
void OnNotified(pmix_status_t /*status*/, void* /*cbdata*/) noexcept {}

struct ModexCall {
  UpcallSink* sink;
  uint64_t request;
};

// Progress thread. libpmix frees `data` when this returns.
void OnModex(pmix_status_t status, char* data, size_t size, void* cbdata) noexcept {
  const std::unique_ptr<ModexCall> call(static_cast<ModexCall*>(cbdata));
  if (size > kMaxModexBytes) {
    call->sink->Tell(ModexDone{call->request, kErrOutOfResource, ""}, {});
    return;
  }
  std::string bytes = data == nullptr ? std::string() : std::string(data, size);
  call->sink->Tell(ModexDone{call->request, status, std::move(bytes)}, {});
}

}  // namespace

// Rex's own: which signal ended a process that PMIX_EVENT_PROC_TERMINATED tells of; 0: none.
static constexpr const char* kExitSignalKey = "rex.signal";
// What a tool's jobs have written, or what there is to say to it.
static constexpr const char* kBytesKey = "rex.bytes";
static constexpr const char* kToStderrKey = "rex.stderr";

void HostProcess::RaiseEvent(const EventRaised& event) {
  InfoList infos;
  if (!infos.AddPacked(event.info, event.info_count)) {
    Log(LogLevel::kWarn, "event dropped: reason='its infos are malformed'");
    return;
  }
  if (event.exit) {
    infos.AddInt(PMIX_EXIT_CODE,
                 event.exit->signo != 0 ? 128 + event.exit->signo : event.exit->code);
    infos.AddInt(kExitSignalKey, event.exit->signo);
  }
  if (event.text) {
    infos.AddBytes(kBytesKey, event.text->bytes);
    infos.AddBool(kToStderrKey, event.text->to_stderr);
    infos.AddBool(PMIX_EVENT_DO_NOT_CACHE, true);
  }
  pmix_data_range_t range = static_cast<pmix_data_range_t>(event.range);
  if (!event.targets.empty()) {
    infos.AddProcs(PMIX_EVENT_CUSTOM_RANGE, event.targets);
    range = PMIX_RANGE_CUSTOM;
  }
  const pmix_proc_t source = ToPmix(event.source);
  PMIx_Notify_event(event.code, &source, range, infos.data(), infos.size(), &OnNotified, nullptr);
}

void HostProcess::AskModex(const ModexRequest& request) {
  const pmix_proc_t proc = ToPmix(request.proc);
  auto call = std::make_unique<ModexCall>(ModexCall{this, request.request});
  const pmix_status_t status = PMIx_server_dmodex_request(&proc, &OnModex, call.get());
  if (status == PMIX_SUCCESS) {
    call.release();
  } else {
    Send(ModexDone{request.request, status, ""});
  }
}

}  // namespace rex::pmix
