#include "launcher/exchange/modexes.h"

#include <algorithm>

#include "launcher/base/log.h"

namespace rex {

namespace {
bool Contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}
uint8_t KindOf(ExchangeMessage message) { return static_cast<uint8_t>(message); }
}  // namespace

void Modexes::Ask(const pmix::DirectModex& ask, Clock::Time now) {
  const auto refuse = [&](int32_t status) {
    deps_.to_host(pmix::ModexDone{ask.request, status, ""});
  };
  const JobMap* map = deps_.maps.Find(ask.proc.name_space);
  if (map == nullptr || ask.proc.rank >= map->total()) return refuse(pmix::kErrNotFound);
  const NodeId node = map->NodeOf(ask.proc.rank);
  if (node == deps_.port.self) return refuse(pmix::kErrNotFound);
  if (Contains(lost_, node)) return refuse(pmix::kErrLostConnection);
  const std::chrono::seconds bound = ask.timeout.count() > 0 ? ask.timeout : kModexBound;
  const uint64_t id = ++last_;
  asked_[id] = {ask.request, node, ask.proc, now + bound};
  deadlines_.emplace(now + bound, id);
  deps_.port.send(node, KindOf(ExchangeMessage::kModexAsk), FrameClass::kData,
                  EncodeModex({id, ask.proc, 0}, ""));
}

Status Modexes::OnAsk(NodeId from, std::string payload) {
  const auto message = DecodeModex(std::move(payload), true);
  if (!message) return message.error();
  const Served served{from, message->header.id, message->header.proc};
  const std::pair<NodeId, uint64_t> asker{from, served.id};
  if (served_by_asker_.contains(asker)) {
    return Error{Errc::kProtocol, "the same modex request twice"};
  }
  const JobMap* map = deps_.maps.Find(served.proc.name_space);
  const bool ours = map != nullptr && served.proc.rank < map->total() &&
                    map->NodeOf(served.proc.rank) == deps_.port.self;
  if (!ours || host_lost_) {
    Answer(served, ours ? pmix::kErrLostConnection : pmix::kErrNotFound, "");
    return Ok{};
  }
  const uint64_t number = ++last_;
  served_by_asker_[asker] = number;
  served_[number] = served;
  deps_.to_host(pmix::ModexRequest{number, served.proc});
  return Ok{};
}

void Modexes::OnServed(const pmix::ModexDone& done) {
  const auto served = served_.extract(done.request);
  if (served.empty()) return;  // cancelled
  served_by_asker_.erase({served.mapped().node, served.mapped().id});
  if (done.data.size() > deps_.max_bytes) {
    Log(LogLevel::kWarn, "modex refused: rank=" + std::to_string(served.mapped().proc.rank) +
                             " bytes=" + std::to_string(done.data.size()) +
                             " reason='more than --max-modex allows'");
    return Answer(served.mapped(), pmix::kErrOutOfResource, "");
  }
  Answer(served.mapped(), done.status, done.data);
}

void Modexes::Answer(const Served& served, int32_t status, std::string_view data) const {
  deps_.port.send(served.node, KindOf(ExchangeMessage::kModexAnswer), FrameClass::kData,
                  EncodeModex({served.id, {}, status}, data));
}

Status Modexes::OnAnswer(NodeId from, std::string payload) {
  auto message = DecodeModex(std::move(payload), false);
  if (!message) return message.error();
  const auto it = asked_.find(message->header.id);
  if (it == asked_.end()) return Ok{};  // its time was up
  if (it->second.node != from) {
    return Error{Errc::kProtocol, "modex answer from a node that was not asked"};
  }
  pmix::ModexDone done{it->second.request, message->header.status, ""};
  done.data = std::move(message->bulk.payload);
  done.data.erase(0, message->bulk.offset);
  Forget(message->header.id);
  deps_.to_host(done);
  return Ok{};
}

Status Modexes::OnCancel(NodeId from, std::string payload) {
  const auto message = DecodeModex(std::move(payload), false);
  if (!message) return message.error();
  const auto number = served_by_asker_.extract({from, message->header.id});
  if (!number.empty()) served_.erase(number.mapped());
  return Ok{};
}

void Modexes::Forget(uint64_t id) {
  const auto asked = asked_.extract(id);
  if (!asked.empty()) deadlines_.erase({asked.mapped().deadline, id});
}

void Modexes::EndAsked(int32_t status, bool cancel,
                       const std::function<bool(const Asked&)>& which) {
  std::vector<std::pair<uint64_t, Asked>> ended;
  for (const auto& entry : asked_) {
    if (which(entry.second)) ended.push_back(entry);
  }
  for (const auto& [id, asked] : ended) {
    Forget(id);
    if (cancel) {
      deps_.port.send(asked.node, KindOf(ExchangeMessage::kModexCancel), FrameClass::kData,
                      EncodeModex({id, {}, 0}, ""));
    }
    deps_.to_host(pmix::ModexDone{asked.request, status, ""});
  }
}

void Modexes::EndServed(int32_t status, const std::function<bool(const Served&)>& which) {
  std::vector<Served> ended;
  std::erase_if(served_, [&](const auto& entry) {
    if (!which(entry.second)) return false;
    ended.push_back(entry.second);
    return true;
  });
  for (const Served& served : ended) {
    served_by_asker_.erase({served.node, served.id});
    if (!Contains(lost_, served.node)) Answer(served, status, "");
  }
}

void Modexes::OnNodesLost(const std::vector<NodeId>& nodes) {
  lost_.insert(lost_.end(), nodes.begin(), nodes.end());
  EndAsked(pmix::kErrLostConnection, false,
           [&](const Asked& asked) { return Contains(nodes, asked.node); });
  EndServed(pmix::kErrLostConnection,
            [&](const Served& served) { return Contains(nodes, served.node); });
}

void Modexes::OnHostLost() {
  host_lost_ = true;
  asked_.clear();  // nobody is there to be answered
  deadlines_.clear();
  EndServed(pmix::kErrLostConnection, [](const Served&) { return true; });
}

void Modexes::OnNamespaceGone(const std::string& name) {
  EndAsked(pmix::kErrLostConnection, true,
           [&](const Asked& asked) { return asked.proc.name_space == name; });
  EndServed(pmix::kErrLostConnection,
            [&](const Served& served) { return served.proc.name_space == name; });
}

void Modexes::Expire(Clock::Time now) {
  if (deadlines_.empty() || deadlines_.begin()->first > now) return;
  EndAsked(pmix::kErrTimeout, true, [now](const Asked& asked) { return asked.deadline <= now; });
}

std::optional<Clock::Time> Modexes::NextDeadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

}  // namespace rex
