#include "launcher/exchange/collectives.h"

#include <algorithm>

#include "launcher/base/log.h"

namespace rex {

namespace {

// Hosts have one collective of a series under way at a time; what is further ahead is nonsense.
constexpr uint64_t kMaxAhead = 1024;
// Idle series of namespaces that are not known here.
constexpr size_t kMaxIdleRelays = 4096;

std::string KeyOf(CollectiveKind kind, const std::vector<ProcRun>& participants) {
  std::string key(1, static_cast<char>('0' + static_cast<int>(kind)));
  for (const ProcRun& run : participants) {
    key += run.name_space;
    key += '\0';
    key += std::to_string(run.first) + '+' + std::to_string(run.count) + ' ';
  }
  return key;
}

const char* NameOf(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::kFence:
      return "fence";
    case CollectiveKind::kConnect:
      return "connect";
    case CollectiveKind::kDisconnect:
      return "disconnect";
  }
  return "?";
}

bool Has(const std::vector<NodeId>& sorted, NodeId node) {
  return std::binary_search(sorted.begin(), sorted.end(), node);
}

bool Contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

bool HasAny(const std::vector<NodeId>& sorted, const std::set<NodeId>& nodes) {
  return std::any_of(nodes.begin(), nodes.end(), [&](NodeId node) { return Has(sorted, node); });
}

Error BadUp(const char* what) {
  return Error{Errc::kProtocol, std::string("collective from below: ") + what};
}

std::string Concatenate(const std::vector<Bulk>& parts, std::string into) {
  for (const Bulk& part : parts) into += part.view();
  return into;
}

}  // namespace

// ----- series ---------------------------------------------------------------------------------

std::vector<NodeId> Collectives::ChildrenWith(const std::vector<NodeId>& nodes) const {
  std::vector<NodeId> children;
  for (const NodeId child : deps_.port.children()) {
    const std::vector<NodeId>& below = deps_.port.below(child);
    const bool has = Has(nodes, child) || std::any_of(below.begin(), below.end(), [&](NodeId node) {
                       return Has(nodes, node);
                     });
    if (has) children.push_back(child);
  }
  return children;
}

Collectives::Series& Collectives::Add(const CollectiveHeader& header) {
  ForgetIdleRelays();
  return series_.emplace(KeyOf(header.kind, header.participants), Make(header)).first->second;
}

Collectives::Series* Collectives::FindKnown(CollectiveKind kind,
                                            const std::vector<ProcRun>& participants) {
  const auto it = series_.find(KeyOf(kind, participants));
  return it == series_.end() ? nullptr : &it->second;
}

// Most messages are of the series that the last one was of.
Result<Collectives::Message> Collectives::Read(std::string payload) {
  if (const auto own =
          recent_ != nullptr ? DecodeOfSeries(payload, recent_->encoded) : std::nullopt) {
    Message message{recent_, {}, {std::move(payload), own->bulk_offset}};
    message.header.sequence = own->sequence;
    message.header.status = own->status;
    return message;
  }
  auto decoded = DecodeCollective(std::move(payload));
  if (!decoded) return decoded.error();
  Series* const series = FindKnown(decoded->header.kind, decoded->header.participants);
  if (series != nullptr && series->nodes != decoded->header.nodes) {
    return Error{Errc::kProtocol, "a collective of other nodes than known"};
  }
  recent_ = series;
  return Message{series, std::move(decoded->header), std::move(decoded->bulk)};
}

Collectives::Series Collectives::Make(const CollectiveHeader& header) const {
  Series series;
  series.encoded = EncodeSeries(header);
  series.kind = header.kind;
  series.participants = header.participants;
  series.nodes = header.nodes;
  series.children = ChildrenWith(header.nodes);
  series.own = Has(header.nodes, deps_.port.self);
  size_t here = series.own ? 1 : 0;
  for (const NodeId child : series.children) {
    const std::vector<NodeId>& below = deps_.port.below(child);
    here += Has(header.nodes, child) ? 1 : 0;
    here += static_cast<size_t>(std::count_if(
        below.begin(), below.end(), [&](NodeId node) { return Has(header.nodes, node); }));
  }
  series.top = here == header.nodes.size() || deps_.port.self == deps_.port.parent;
  // A relay may have forgotten the series.
  if (!deps_.maps.KnowsAll(header.participants)) series.over = header.sequence;
  return series;
}

void Collectives::ForgetIdleRelays() {
  if (series_.size() < kMaxIdleRelays) return;
  recent_ = nullptr;
  std::erase_if(series_, [this](const auto& entry) {
    return entry.second.open.empty() && !deps_.maps.KnowsAll(entry.second.participants);
  });
}

bool Collectives::IsOver(const Series& series, uint64_t sequence) {
  return sequence < series.over || series.over_early.contains(sequence);
}

bool Collectives::NeedsLost(const Series& series) const {
  return HasAny(series.nodes, lost_nodes_) || HasAny(series.nodes, lost_hosts_);
}

Collectives::Open& Collectives::OpenOf(Series& series, uint64_t sequence) {
  const auto [it, is_new] = series.open.try_emplace(sequence);
  if (is_new) it->second.missing = series.children;
  return it->second;
}

// ----- contributions --------------------------------------------------------------------------

bool Collectives::ContributeIfKnown(pmix::Fence& fence, Clock::Time now) {
  Series* const known = FindKnown(fence.kind, RunsOfProcs(fence.participants));
  if (known == nullptr) return false;
  Contribute(*known, std::move(fence), now);
  return true;
}

void Collectives::Contribute(pmix::Fence fence, Clock::Time now) {
  if (ContributeIfKnown(fence, now)) return;
  std::vector<ProcRun> participants = RunsOfProcs(std::move(fence.participants));
  auto nodes = deps_.maps.NodesOf(participants);
  if (!nodes || !Has(*nodes, deps_.port.self)) {
    Log(LogLevel::kError, std::string("a ") + NameOf(fence.kind) +
                              " of ranks that are not known here: first='" +
                              participants.front().name_space + "'");
    return deps_.to_host(pmix::FenceDone{fence.request, pmix::kErrNotFound, ""});
  }
  Series& series = Add({fence.kind, std::move(participants), 0, *std::move(nodes), 0});
  Contribute(series, std::move(fence), now);
}

void Collectives::Contribute(Series& series, pmix::Fence fence, Clock::Time now) {
  if (series.given) {
    Log(LogLevel::kError, std::string("a ") + NameOf(fence.kind) + " that is the host's own");
    return deps_.to_host(pmix::FenceDone{fence.request, pmix::kError, ""});
  }
  const uint64_t sequence = series.next++;
  if (IsOver(series, sequence)) {
    const auto failed = series.failed.extract(sequence);
    const int32_t status = failed.empty() ? pmix::kError : failed.mapped();
    return deps_.to_host(pmix::FenceDone{fence.request, status, ""});
  }
  Open& open = OpenOf(series, sequence);
  open.request = fence.request;
  if (fence.timeout.count() > 0) {
    const std::string key = KeyOf(series.kind, series.participants);
    open.deadline = deadlines_.emplace(now + fence.timeout, std::pair(key, sequence));
  }
  Add(series, sequence, Bulk{std::move(fence.data), 0});
}

void Collectives::Add(Series& series, uint64_t sequence, Bulk bulk) {
  Open& open = OpenOf(series, sequence);
  if (open.failing) return;
  if (NeedsLost(series)) {
    return Fail(series, sequence, pmix::kErrLostConnection, "a node that it needs is lost");
  }
  const size_t bytes = bulk.view().size();
  if (bytes > deps_.max_bytes || open.bytes > deps_.max_bytes - bytes) {
    return Fail(
        series, sequence, pmix::kErrOutOfResource,
        "its data is more than --max-modex allows, " + std::to_string(deps_.max_bytes) + " bytes");
  }
  open.bytes += bytes;
  if (bytes > 0) open.parts.push_back(std::move(bulk));
  const bool complete = open.missing.empty() && (!series.own || open.request);
  if (!complete || open.sent) return;
  if (series.top) return TurnAround(series, sequence, pmix::kSuccess);
  SendUp(series, sequence, open);
}

void Collectives::SendUp(Series& series, uint64_t sequence, Open& open) {
  std::string payload = Concatenate(
      open.parts, EncodeCollective(series.encoded, sequence, pmix::kSuccess, open.bytes));
  open.sent = true;
  open.parts.clear();
  open.bytes = 0;
  deps_.port.send(deps_.port.parent, static_cast<uint8_t>(ExchangeMessage::kCollectiveUp),
                  FrameClass::kData, std::move(payload));
}

Status Collectives::CheckFirstUp(NodeId from, const CollectiveHeader& header) const {
  if (deps_.maps.KnowsAll(header.participants)) {
    if (deps_.maps.NodesOf(header.participants) != header.nodes) {
      return BadUp("other nodes than its ranks'");
    }
    if (header.sequence > kMaxAhead) return BadUp("too far ahead");
  }
  return Contains(ChildrenWith(header.nodes), from) ? Status(Ok{}) : BadUp("no participant there");
}

Status Collectives::CheckUp(NodeId from, const Message& message) const {
  const CollectiveHeader& header = message.header;
  if (message.series == nullptr) return CheckFirstUp(from, header);
  const Series& series = *message.series;
  if (!Contains(series.children, from)) return BadUp("no participant there");
  if (header.sequence > series.over + kMaxAhead) return BadUp("too far ahead");
  const auto open = series.open.find(header.sequence);
  if (header.status != pmix::kSuccess || open == series.open.end()) return Ok{};
  return Contains(open->second.missing, from) ? Status(Ok{}) : BadUp("contributed twice");
}

Status Collectives::OnUp(NodeId from, std::string payload, Way way) {
  auto message = Read(std::move(payload));
  if (!message) return message.error();
  const CollectiveHeader& header = message->header;
  if (Status s = CheckUp(from, *message); !s) return s;
  const bool is_head = deps_.port.self == deps_.port.parent;
  if (message->series == nullptr && is_head && !deps_.maps.KnowsAll(header.participants)) {
    // Its job has ended here. What is waiting below must not wait for ever.
    CollectiveHeader answer = header;
    answer.status = pmix::kErrNotFound;
    deps_.port.send(from, static_cast<uint8_t>(ExchangeMessage::kCollectiveDown), FrameClass::kData,
                    EncodeCollective(answer, 0));
    return Ok{};
  }
  Series& series = message->series != nullptr ? *message->series : Add(header);
  if (way == Way::kUplink) series.by_uplink.insert(from);
  if (header.status != pmix::kSuccess) {
    if (!IsOver(series, header.sequence)) {
      Fail(series, header.sequence, header.status, "node " + std::to_string(Index(from)) + " says");
    }
    return Ok{};
  }
  if (IsOver(series, header.sequence)) return Ok{};  // it failed meanwhile
  std::erase(OpenOf(series, header.sequence).missing, from);
  Add(series, header.sequence, std::move(message->bulk));
  return Ok{};
}

// ----- outcomes -------------------------------------------------------------------------------

void Collectives::Fail(Series& series, uint64_t sequence, int32_t status, const std::string& why) {
  const auto it = series.open.find(sequence);
  const bool told = it != series.open.end() && it->second.failing;
  if (told) return;
  // A node or namespace that is gone is told by whoever ends the job.
  const bool consequence = status == pmix::kErrLostConnection;
  Log(consequence ? LogLevel::kInfo : LogLevel::kWarn,
      std::string(NameOf(series.kind)) + " failed: namespace='" +
          series.participants.front().name_space + "' number=" + std::to_string(sequence) +
          " status=" + std::to_string(status) + " reason='" + why + "'");
  if (series.top) return TurnAround(series, sequence, status);
  if (it != series.open.end()) {
    it->second.failing = true;
    it->second.parts.clear();
    it->second.bytes = 0;
    StopClock(it->second);
  }
  deps_.port.send(deps_.port.parent, static_cast<uint8_t>(ExchangeMessage::kCollectiveUp),
                  FrameClass::kData, EncodeCollective(series.encoded, sequence, status, 0));
}

void Collectives::TurnAround(Series& series, uint64_t sequence, int32_t status) {
  std::vector<Bulk> parts;
  size_t bytes = 0;
  if (const auto it = series.open.find(sequence);
      it != series.open.end() && status == pmix::kSuccess) {
    parts = std::move(it->second.parts);
    bytes = it->second.bytes;
  }
  std::string payload =
      Concatenate(parts, EncodeCollective(series.encoded, sequence, status, bytes));
  const size_t offset = payload.size() - bytes;
  parts.clear();
  if (!series.own) {
    SendDown(series.children, &series, std::move(payload));
    return Close(series, sequence, status, "");
  }
  SendDown(series.children, &series, payload);
  payload.erase(0, offset);
  Close(series, sequence, status, std::move(payload));
}

void Collectives::SendDown(const std::vector<NodeId>& children, const Series* series,
                           std::string payload) {
  if (children.empty()) return;
  const auto send = [this, series](NodeId child, std::string bytes) {
    constexpr auto kKind = static_cast<uint8_t>(ExchangeMessage::kCollectiveDown);
    const bool by_uplink =
        series != nullptr && series->by_uplink.contains(child) && deps_.port.has_uplink(child);
    if (by_uplink) return deps_.port.send_by_uplink(child, kKind, std::move(bytes));
    deps_.port.send(child, kKind, FrameClass::kData, std::move(bytes));
  };
  for (size_t i = 0; i + 1 < children.size(); ++i) send(children[i], payload);
  send(children.back(), std::move(payload));  // the last one takes it without a copy
}

Status Collectives::OnDown(NodeId from, std::string payload) {
  if (from != deps_.port.parent || from == deps_.port.self) {
    return Error{Errc::kProtocol, "collective from above: not from the parent"};
  }
  auto message = Read(std::move(payload));
  if (!message) return message.error();
  const CollectiveHeader& header = message->header;
  Series* known = message->series;
  const bool own = known != nullptr ? known->own : Has(header.nodes, deps_.port.self);
  if (known != nullptr && known->given) {
    deps_.to_host(pmix::FromAbove{std::move(message->bulk.payload)});
    return Ok{};
  }
  SendDown(known != nullptr ? known->children : ChildrenWith(header.nodes), known,
           own ? message->bulk.payload : std::move(message->bulk.payload));
  if (known == nullptr) {
    // Nothing was under way here. Ranks that come later must hear of it all the same.
    if (!own || !deps_.maps.KnowsAll(header.participants)) return Ok{};
    known = &Add(header);
  }
  Series& series = *known;
  if (IsOver(series, header.sequence)) return Ok{};
  if (header.sequence > series.over + kMaxAhead) {
    return Error{Errc::kProtocol, "collective from above: too far ahead"};
  }
  std::string data;
  if (own) {
    data = std::move(message->bulk.payload);
    data.erase(0, message->bulk.offset);
  }
  Close(series, header.sequence, header.status, std::move(data));
  return Ok{};
}

void Collectives::Close(Series& series, uint64_t sequence, int32_t status, std::string data) {
  std::optional<uint64_t> request;
  if (const auto open = series.open.extract(sequence); !open.empty()) {
    request = open.mapped().request;
    StopClock(open.mapped());
  }
  if (series.own && !request && sequence >= series.next) {
    series.failed[sequence] = status == pmix::kSuccess ? pmix::kError : status;
  }
  series.over_early.insert(sequence);
  while (series.over_early.erase(series.over) > 0) ++series.over;
  if (request && status == pmix::kSuccess) GiveIfDue(series);
  if (request) deps_.to_host(pmix::FenceDone{*request, status, std::move(data)});
}

void Collectives::GiveIfDue(Series& series) {
  const bool may = deps_.give && deps_.give_after > 0 && series.over >= deps_.give_after;
  const bool idle = series.open.empty() && series.next == series.over && series.failed.empty();
  if (!may || !idle || !series.children.empty() || NeedsLost(series)) return;
  if (!series.top && !uplink_) return deps_.want_uplink();
  series.given = true;
  deps_.give({series.kind, series.participants, series.next, series.nodes, pmix::kSuccess});
}

void Collectives::Adopt(const CollectiveHeader& next) {
  Series series = Make(next);
  series.next = series.over = next.sequence;
  series_.insert_or_assign(KeyOf(next.kind, next.participants), std::move(series));
}

void Collectives::FailAll(const std::function<bool(const Series&)>& which, int32_t status,
                          const std::string& why) {
  for (auto& [key, series] : series_) {
    if (!which(series)) continue;
    std::vector<uint64_t> numbers;
    for (const auto& [number, open] : series.open) numbers.push_back(number);
    for (const uint64_t number : numbers) Fail(series, number, status, why);
  }
}

// ----- losses and ends ------------------------------------------------------------------------

void Collectives::OnNodesLost(const std::vector<NodeId>& nodes) {
  lost_nodes_.insert(nodes.begin(), nodes.end());
  const std::set<NodeId> lost(nodes.begin(), nodes.end());
  FailAll([&](const Series& series) { return HasAny(series.nodes, lost); },
          pmix::kErrLostConnection, "a node that it needs is lost");
}

void Collectives::SetHostLost(NodeId node, bool lost) {
  if (!lost) {
    lost_hosts_.erase(node);
  } else {
    lost_hosts_.insert(node);
    FailAll([&](const Series& series) { return Has(series.nodes, node); }, pmix::kErrLostConnection,
            "the host of node " + std::to_string(Index(node)) + " is lost");
  }
  if (deps_.port.parent == deps_.port.self) return;
  deps_.port.send(deps_.port.parent, static_cast<uint8_t>(ExchangeMessage::kHostState),
                  FrameClass::kData, EncodeHostState({node, lost}));
}

void Collectives::OnHostLost() {
  // Nobody is there to be answered.
  for (auto& [key, series] : series_) {
    for (auto& [number, open] : series.open) open.request.reset();
  }
  SetHostLost(deps_.port.self, true);
}

void Collectives::OnHostBack() {
  if (lost_hosts_.contains(deps_.port.self)) SetHostLost(deps_.port.self, false);
}

Status Collectives::OnHostState(NodeId from, const std::string& payload) {
  const Result<HostState> state = DecodeHostState(payload);
  if (!state) return state.error();
  const std::vector<NodeId> children = ChildrenWith({state->node});
  if (!Contains(children, from)) {
    return Error{Errc::kProtocol, "a host's state from a node that is not above it"};
  }
  SetHostLost(state->node, state->lost);
  return Ok{};
}

void Collectives::OnNamespaceGone(const std::string& name) {
  const auto names = [&name](const Series& series) {
    return std::any_of(series.participants.begin(), series.participants.end(),
                       [&name](const ProcRun& run) { return run.name_space == name; });
  };
  FailAll(names, pmix::kErrLostConnection, "the namespace is gone");
  std::vector<uint64_t> requests;
  for (auto& [key, series] : series_) {
    if (!names(series)) continue;
    for (auto& [number, open] : series.open) {
      StopClock(open);
      if (open.request) requests.push_back(*open.request);
    }
  }
  recent_ = nullptr;
  std::erase_if(series_, [&](const auto& entry) { return names(entry.second); });
  for (const uint64_t request : requests) {
    deps_.to_host(pmix::FenceDone{request, pmix::kErrLostConnection, ""});
  }
}

void Collectives::Expire(Clock::Time now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto [key, sequence] = deadlines_.begin()->second;
    Series& series = series_.at(key);
    StopClock(series.open.at(sequence));
    Fail(series, sequence, pmix::kErrTimeout, "the PMIX_TIMEOUT of its ranks ran out");
  }
}

std::optional<Clock::Time> Collectives::NextDeadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

void Collectives::StopClock(Open& open) {
  if (open.deadline) deadlines_.erase(*open.deadline);
  open.deadline.reset();
}

size_t Collectives::open_count() const {
  size_t count = 0;
  for (const auto& [key, series] : series_) count += series.open.size();
  return count;
}

size_t Collectives::held_bytes() const {
  size_t bytes = 0;
  for (const auto& [key, series] : series_) {
    for (const auto& [number, open] : series.open) bytes += open.bytes;
  }
  return bytes;
}

}  // namespace rex
