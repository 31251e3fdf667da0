#include "launcher/exchange/exchange.h"

#include <algorithm>
#include <utility>

#include "launcher/exchange/collectives.h"
#include "launcher/exchange/modexes.h"
#include "launcher/exchange/namespace_maps.h"

namespace rex {

namespace {

constexpr size_t kLargestControlBytes = 32 << 10;

// pmix_data_range_t, pmix_common.h
enum : uint32_t { kRangeLocal = 2, kRangeNamespace = 3, kRangeCustom = 6, kRangeProcLocal = 7 };

// What a host may ask of the head.
template <typename T>
constexpr bool kIsForHead =
    std::is_same_v<T, pmix::Publish> || std::is_same_v<T, pmix::Lookup> ||
    std::is_same_v<T, pmix::Unpublish> || std::is_same_v<T, pmix::Query> ||
    std::is_same_v<T, pmix::Abort> || std::is_same_v<T, pmix::JobControl> ||
    std::is_same_v<T, pmix::EventRaised> || std::is_same_v<T, pmix::Spawn> ||
    std::is_same_v<T, pmix::Group> || std::is_same_v<T, pmix::ToolConnected> ||
    std::is_same_v<T, pmix::ToolGone> || std::is_same_v<T, pmix::ToolRead> ||
    std::is_same_v<T, pmix::ToolDrain>;
// What the head may say to a host.
template <typename T>
constexpr bool kIsFromHead =
    std::is_same_v<T, pmix::OpDone> || std::is_same_v<T, pmix::LookupDone> ||
    std::is_same_v<T, pmix::QueryDone> || std::is_same_v<T, pmix::EventRaised> ||
    std::is_same_v<T, pmix::SpawnDone> || std::is_same_v<T, pmix::GroupDone>;

bool IsForHead(const pmix::HostMessage& message) {
  return std::visit([](const auto& m) { return kIsForHead<std::decay_t<decltype(m)>>; }, message);
}
bool IsFromHead(const pmix::HostMessage& message) {
  return std::visit([](const auto& m) { return kIsFromHead<std::decay_t<decltype(m)>>; }, message);
}

// libpmix has told all whom it concerns.
bool IsOfThisNode(const pmix::EventRaised& event) {
  return event.range == kRangeLocal || event.range == kRangeProcLocal;
}

Error Nonsense(const char* what) {
  return Error{Errc::kProtocol, std::string("message between agents: ") + what};
}

}  // namespace

struct Exchange::Parts {
  explicit Parts(Deps d)
      : deps(std::move(d)),
        collectives({deps.port, maps, deps.to_host, deps.max_modex_bytes,
                     [this](const CollectiveHeader& next) {
                       deps.to_host(pmix::SeriesGiven{Index(deps.port.self),
                                                      Index(deps.port.parent), deps.max_modex_bytes,
                                                      EncodeCollective(next, 0)});
                     },
                     deps.want_uplink, deps.give_after}),
        modexes({deps.port, maps, deps.to_host, deps.max_modex_bytes}),
        timer(deps.loop, [this] {
          const Clock::Time now = deps.loop.clock().Now();
          collectives.Expire(now);
          modexes.Expire(now);
          SetTimer();
        }) {}

  bool is_head() const { return deps.port.self == deps.port.parent; }
  void SetTimer();
  // `message` is one of kIsForHead.
  void ToHead(NodeId from, pmix::HostMessage message);
  void Send(NodeId to, ExchangeMessage kind, const pmix::HostMessage& message);
  void AnswerTo(NodeId node, const pmix::HostMessage& message);
  void RaiseEvent(const pmix::EventRaised& event, NodeId except);
  std::vector<NodeId> NodesInRange(const pmix::EventRaised& event) const;
  Status AtHead(NodeId from, const std::string& payload);
  Status FromHead(const std::string& payload);

  Deps deps;
  NamespaceMaps maps;
  Collectives collectives;
  Modexes modexes;
  Timer timer;
  std::optional<Clock::Time> timer_at;
};

void Exchange::Parts::SetTimer() {
  std::optional<Clock::Time> next = collectives.NextDeadline();
  const std::optional<Clock::Time> other = modexes.NextDeadline();
  if (!next || (other && *other < *next)) next = other;
  if (next == timer_at && (!next || timer.pending())) return;
  timer_at = next;
  if (!next) return timer.Cancel();
  timer.Set(std::max(*next - deps.loop.clock().Now(), Clock::Time(0)));
}

void Exchange::Parts::Send(NodeId to, ExchangeMessage kind, const pmix::HostMessage& message) {
  std::string payload = pmix::EncodeHostMessage(message);
  const FrameClass frame_class =
      payload.size() <= kLargestControlBytes ? FrameClass::kControl : FrameClass::kData;
  deps.port.send(to, static_cast<uint8_t>(kind), frame_class, std::move(payload));
}

Exchange::Exchange(Deps deps) : parts_(std::make_unique<Parts>(std::move(deps))) {}
Exchange::~Exchange() = default;

void Exchange::AddNamespace(const std::string& name, std::shared_ptr<const JobMap> map) {
  parts_->maps.Add(name, std::move(map));
  parts_->collectives.OnHostBack();
  parts_->modexes.OnHostBack();
}

void Exchange::RemoveNamespace(const std::string& name) {
  parts_->maps.Remove(name);
  parts_->collectives.OnNamespaceGone(name);
  parts_->modexes.OnNamespaceGone(name);
  parts_->SetTimer();
}

// ----- this node's host -----------------------------------------------------------------------

bool Exchange::FromHost(const pmix::HostMessage& message) {
  if (std::holds_alternative<pmix::Fence>(message)) return FromHost(pmix::HostMessage(message));
  const Clock::Time now = parts_->deps.loop.clock().Now();
  if (const auto* ask = std::get_if<pmix::DirectModex>(&message)) {
    parts_->modexes.Ask(*ask, now);
  } else if (const auto* done = std::get_if<pmix::ModexDone>(&message)) {
    parts_->modexes.OnServed(*done);
  } else if (IsForHead(message)) {
    parts_->ToHead(parts_->deps.port.self, message);
  } else {
    return false;
  }
  parts_->SetTimer();
  return true;
}

bool Exchange::FromHost(pmix::HostMessage&& message) {
  auto* fence = std::get_if<pmix::Fence>(&message);
  if (fence == nullptr) return FromHost(std::as_const(message));
  parts_->collectives.Contribute(std::move(*fence), parts_->deps.loop.clock().Now());
  parts_->SetTimer();
  return true;
}

void Exchange::Parts::ToHead(NodeId from, pmix::HostMessage message) {
  const auto* event = std::get_if<pmix::EventRaised>(&message);
  if (event != nullptr && IsOfThisNode(*event)) {
    return deps.to_host(pmix::OpDone{event->request, pmix::kSuccess});
  }
  if (!is_head()) return Send(kHeadNode, ExchangeMessage::kToHead, message);
  if (event == nullptr) return deps.to_head(from, std::move(message));
  RaiseEvent(*event, from);
  AnswerTo(from, pmix::OpDone{event->request, pmix::kSuccess});
}

// ----- other nodes ----------------------------------------------------------------------------

Status Exchange::FromNode(NodeId from, uint8_t kind, std::string payload) {
  Parts& p = *parts_;
  Status status = Nonsense("unknown kind");
  switch (static_cast<ExchangeMessage>(kind)) {
    case ExchangeMessage::kCollectiveUp:
      status = p.collectives.OnUp(from, std::move(payload));
      break;
    case ExchangeMessage::kCollectiveDown:
      status = p.collectives.OnDown(from, std::move(payload));
      break;
    case ExchangeMessage::kHostState:
      status = p.collectives.OnHostState(from, payload);
      break;
    case ExchangeMessage::kModexAsk:
      status = p.modexes.OnAsk(from, std::move(payload));
      break;
    case ExchangeMessage::kModexAnswer:
      status = p.modexes.OnAnswer(from, std::move(payload));
      break;
    case ExchangeMessage::kModexCancel:
      status = p.modexes.OnCancel(from, std::move(payload));
      break;
    case ExchangeMessage::kToHead:
      status = p.is_head() ? p.AtHead(from, payload) : Nonsense("for the head, which is not here");
      break;
    case ExchangeMessage::kFromHead:
      status = from == kHeadNode && !p.is_head() ? p.FromHead(payload)
                                                 : Nonsense("an answer that is not the head's");
      break;
  }
  p.SetTimer();
  return status;
}

Status Exchange::FromUplink(NodeId child, uint8_t kind, std::string payload) {
  if (kind != static_cast<uint8_t>(ExchangeMessage::kCollectiveUp)) return Nonsense("by an uplink");
  const Status status =
      parts_->collectives.OnUp(child, std::move(payload), Collectives::Way::kUplink);
  parts_->SetTimer();
  return status;
}

void Exchange::SetUplink(bool stands) { parts_->collectives.SetUplink(stands); }

Status Exchange::Parts::AtHead(NodeId from, const std::string& payload) {
  auto message = pmix::DecodeHostMessage(payload);
  if (!message) return message.error();
  if (!IsForHead(*message)) return Nonsense("not for the head");
  ToHead(from, *std::move(message));
  return Ok{};
}

Status Exchange::Parts::FromHead(const std::string& payload) {
  const auto message = pmix::DecodeHostMessage(payload);
  if (!message) return message.error();
  if (!IsFromHead(*message)) return Nonsense("not from the head");
  deps.to_host(*message);
  return Ok{};
}

void Exchange::AnswerTo(NodeId node, const pmix::HostMessage& message) {
  parts_->AnswerTo(node, message);
}

void Exchange::Parts::AnswerTo(NodeId node, const pmix::HostMessage& message) {
  REX_CHECK(is_head() && IsFromHead(message));
  if (node == deps.port.self) return deps.to_host(message);
  Send(node, ExchangeMessage::kFromHead, message);
}

// ----- events ---------------------------------------------------------------------------------

void Exchange::RaiseEvent(const pmix::EventRaised& event, NodeId except) {
  parts_->RaiseEvent(event, except);
}

void Exchange::Parts::RaiseEvent(const pmix::EventRaised& event, NodeId except) {
  pmix::EventRaised copy = event;
  copy.request = 0;  // nobody is to answer
  for (const NodeId node : NodesInRange(event)) {
    if (node != except) AnswerTo(node, copy);
  }
}

std::vector<NodeId> Exchange::Parts::NodesInRange(const pmix::EventRaised& event) const {
  std::vector<NodeId> nodes;
  const auto add = [&](const pmix::ProcId& proc) {
    const auto of_proc = maps.NodesOf({{proc.name_space, proc.rank, 1}});
    if (of_proc) nodes.insert(nodes.end(), of_proc->begin(), of_proc->end());
  };
  if (event.range == kRangeCustom) {
    for (const pmix::ProcId& target : event.targets) add(target);
  } else if (event.range == kRangeNamespace) {
    add({event.source.name_space, pmix::kRankWildcard});
  } else {
    return maps.AllNodes();
  }
  MakeDistinct(nodes);
  return nodes;
}

// ----- losses ---------------------------------------------------------------------------------

void Exchange::OnNodesLost(const std::vector<NodeId>& nodes) {
  parts_->collectives.OnNodesLost(nodes);
  parts_->modexes.OnNodesLost(nodes);
  parts_->SetTimer();
}

void Exchange::OnHostLost() {
  parts_->collectives.OnHostLost();
  parts_->modexes.OnHostLost();
  parts_->SetTimer();
}

Exchange::Counts Exchange::counts() const {
  return {parts_->collectives.open_count(), parts_->modexes.count(),
          parts_->collectives.held_bytes()};
}

}  // namespace rex
