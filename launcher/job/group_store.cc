#include "launcher/job/group_store.h"

#include <algorithm>

namespace rex {

GroupStore::Replies GroupStore::OnGroup(const pmix::Group& m, NodeId from, Clock::Time now) {
  const auto refuse = [&](int32_t status) {
    return Replies{{from, pmix::GroupDone{m.request, status, 0, ""}}};
  };
  std::vector<pmix::ProcId> members = m.members;
  std::sort(members.begin(), members.end());
  const Key key{m.id, m.operation};
  auto at = open_.find(key);
  if (at == open_.end()) {
    auto nodes = nodes_of_(members);
    if (!nodes) return refuse(pmix::kErrNotFound);
    at = open_.emplace(key, Open{members, *std::move(nodes), {}, "", false, std::nullopt}).first;
  }
  Open& open = at->second;
  const auto missing = std::find(open.missing.begin(), open.missing.end(), from);
  if (open.members != members || missing == open.missing.end()) {
    if (open.asked.empty()) open_.erase(at);  // nobody's: it was just made
    return refuse(pmix::kErrBadParam);
  }
  open.missing.erase(missing);
  open.asked.emplace_back(from, m.request);
  open.want_context |= m.want_context;
  if (m.timeout.count() > 0) {
    const Clock::Time deadline = now + m.timeout;
    open.deadline = std::min(open.deadline.value_or(deadline), deadline);
  }
  if (m.data.size() > kMaxDataBytes - open.data.size()) return End(at, pmix::kErrOutOfResource);
  open.data += m.data;
  return open.missing.empty() ? End(at, pmix::kSuccess) : Replies{};
}

GroupStore::Replies GroupStore::End(OpenMap::iterator at, int32_t status) {
  const Open open = std::move(at->second);
  open_.erase(at);
  const bool good = status == pmix::kSuccess;
  const uint64_t context = good && open.want_context ? ++last_context_ : 0;
  Replies replies;
  for (const auto& [node, request] : open.asked) {
    replies.push_back({node, pmix::GroupDone{request, status, context, good ? open.data : ""}});
  }
  return replies;
}

GroupStore::Replies GroupStore::OnProcGone(const pmix::ProcId& proc) {
  const bool whole = proc.rank == pmix::kRankWildcard;
  const auto is_it = [&](const pmix::ProcId& member) {
    if (member.name_space != proc.name_space) return false;
    return whole || member.rank == proc.rank || member.rank == pmix::kRankWildcard;
  };
  Replies replies;
  for (auto at = open_.begin(); at != open_.end();) {
    const auto next = std::next(at);
    const auto& members = at->second.members;
    if (std::any_of(members.begin(), members.end(), is_it)) {
      const Replies ended = End(at, pmix::kErrLostConnection);
      replies.insert(replies.end(), ended.begin(), ended.end());
    }
    at = next;
  }
  return replies;
}

GroupStore::Replies GroupStore::Expire(Clock::Time now) {
  Replies replies;
  for (auto at = open_.begin(); at != open_.end();) {
    const auto next = std::next(at);
    if (at->second.deadline && *at->second.deadline <= now) {
      const Replies ended = End(at, pmix::kErrTimeout);
      replies.insert(replies.end(), ended.begin(), ended.end());
    }
    at = next;
  }
  return replies;
}

std::optional<Clock::Time> GroupStore::NextDeadline() const {
  std::optional<Clock::Time> next;
  for (const auto& [key, open] : open_) {
    if (open.deadline && (!next || *open.deadline < *next)) next = open.deadline;
  }
  return next;
}

}  // namespace rex
