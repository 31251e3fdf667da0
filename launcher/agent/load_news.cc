#include "launcher/agent/load_news.h"

#include <set>

#include "launcher/agent/load.pb.h"
#include "launcher/base/decode.h"
#include "sched/placement/node_load.h"

namespace rex {

std::string EncodeLoadNews(const std::vector<LoadNews>& news) {
  pb::LoadNews out;
  for (const LoadNews& one : news) {
    out.add_nodes(Index(one.node));
    out.add_foreign(one.foreign);
    out.add_capacity(one.capacity);
  }
  return out.SerializeAsString();
}

Result<std::vector<LoadNews>> DecodeLoadNews(const std::string& payload) {
  pb::LoadNews m;
  if (!m.ParseFromString(payload)) return Error{Errc::kProtocol, "malformed LoadNews"};
  const int count = m.nodes_size();
  if (count == 0 || m.foreign_size() != count || m.capacity_size() != count) {
    return Bad("LoadNews.nodes, foreign, capacity");
  }
  std::vector<LoadNews> news;
  std::set<uint32_t> seen;
  for (int i = 0; i < count; ++i) {
    if (m.nodes(i) >= kMaxNodes || !seen.insert(m.nodes(i)).second) return Bad("LoadNews.nodes");
    if (m.foreign(i) > kMaxForeign) return Bad("LoadNews.foreign");
    if (m.capacity(i) == 0 || m.capacity(i) > kMaxCapacity) return Bad("LoadNews.capacity");
    news.push_back({NodeId{m.nodes(i)}, m.foreign(i), m.capacity(i)});
  }
  return news;
}

std::optional<Clock::Time> LoadRelay::Due() const {
  if (held_.empty()) return std::nullopt;
  return sent_ ? *sent_ + kPause : Clock::Time(0);
}

std::vector<LoadNews> LoadRelay::Take(Clock::Time now) {
  std::vector<LoadNews> news;
  for (const auto& [node, one] : held_) news.push_back(one);
  held_.clear();
  sent_ = now;
  return news;
}

}  // namespace rex
