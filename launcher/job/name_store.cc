#include "launcher/job/name_store.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace rex {

namespace {
constexpr uint32_t kLastRange = static_cast<uint32_t>(PmixRange::kProcLocal);
constexpr uint32_t kLastPersistence = static_cast<uint32_t>(PmixPersistence::kSession);
constexpr uint32_t kUndefinedPersistence = UINT8_MAX;  // PMIX_PERSIST_INVALID

PmixRange RangeOf(uint32_t value) {
  if (value == 0 || value > kLastRange) return PmixRange::kSession;
  return static_cast<PmixRange>(value);
}

PmixPersistence PersistenceOf(uint32_t value) {
  if (value > kLastPersistence) return PmixPersistence::kApplication;
  return static_cast<PmixPersistence>(value);
}

// The narrower, the smaller.
int WidthOf(PmixRange range) {
  switch (range) {
    case PmixRange::kProcLocal:
      return 0;
    case PmixRange::kLocal:
      return 1;
    case PmixRange::kNamespace:
      return 2;
    case PmixRange::kSession:
      return 3;
    default:
      return 4;
  }
}

size_t BytesOf(const pmix::Published& item) { return item.key.size() + item.value.size(); }

// The keys in their order, each once.
std::vector<std::string> Distinct(const std::vector<std::string>& keys) {
  std::vector<std::string> distinct;
  std::set<std::string_view> seen;
  for (const auto& key : keys) {
    if (seen.insert(key).second) distinct.push_back(key);
  }
  return distinct;
}

// Ranges whose members only a resource manager, or nobody here, knows.
bool IsServed(PmixRange range) {
  return range != PmixRange::kCustom && range != PmixRange::kResourceManager;
}

bool HasRepeatedKey(const std::vector<pmix::Published>& items) {
  std::vector<std::string> keys;
  for (const auto& item : items) keys.push_back(item.key);
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}
}  // namespace

// Whether `range` as seen from `owner` takes in `other`.
bool NameStore::Covers(PmixRange range, const Place& owner, const Place& other) {
  switch (range) {
    case PmixRange::kProcLocal:
      return owner.proc == other.proc;
    case PmixRange::kLocal:
      return owner.node == other.node;
    case PmixRange::kNamespace:
      return owner.proc.name_space == other.proc.name_space;
    case PmixRange::kResourceManager:
    case PmixRange::kCustom:
      return false;
    default:
      return true;
  }
}

int32_t NameStore::CheckPublish(const pmix::Publish& m, NodeId node) const {
  const bool known = m.range <= kLastRange &&
                     (m.persistence <= kLastPersistence || m.persistence == kUndefinedPersistence);
  if (!known || m.items.empty()) return pmix::kErrBadParam;
  if (!IsServed(RangeOf(m.range))) return pmix::kErrNotSupported;
  size_t bytes = bytes_;
  for (const auto& item : m.items) {
    if (item.key.empty()) return pmix::kErrBadParam;
    if (IsTaken(item.key, RangeOf(m.range), {m.proc, node})) return pmix::kErrDuplicateKey;
    bytes += BytesOf(item);
  }
  if (HasRepeatedKey(m.items)) return pmix::kErrDuplicateKey;
  return bytes > kMaxNameStoreBytes ? kPmixErrOutOfResource : pmix::kSuccess;
}

bool NameStore::IsTaken(const std::string& key, PmixRange range, const Place& owner) const {
  const auto items = items_.find(key);
  if (items == items_.end()) return false;
  return std::any_of(items->second.begin(), items->second.end(), [&](const Item& item) {
    return item.range == range && Covers(range, owner, {item.published.owner, item.node});
  });
}

NameStore::Replies NameStore::Publish(const pmix::Publish& m, NodeId node) {
  const int32_t status = CheckPublish(m, node);
  Replies replies{{node, pmix::OpDone{m.request, status}}};
  if (status != pmix::kSuccess) return replies;
  for (const auto& item : m.items) {
    // The publisher is who sent it; what the item itself says of its owner is not believed.
    items_[item.key].push_back(
        {{item.key, item.value, m.proc}, node, RangeOf(m.range), PersistenceOf(m.persistence)});
    bytes_ += BytesOf(item);
  }
  AnswerWaiting(replies);
  return replies;
}

const NameStore::Item* NameStore::Find(const Waiting& asked, const std::string& key) const {
  const auto items = items_.find(key);
  if (items == items_.end()) return nullptr;
  const PmixRange range = RangeOf(asked.lookup.range);
  const Place asker{asked.lookup.proc, asked.node};
  const Item* best = nullptr;
  for (const Item& item : items->second) {
    const Place owner{item.published.owner, item.node};
    const bool seen = Covers(item.range, owner, asker) && Covers(range, asker, owner);
    if (seen && (best == nullptr || WidthOf(item.range) < WidthOf(best->range))) best = &item;
  }
  return best;
}

std::optional<pmix::LookupDone> NameStore::Answer(const Waiting& asked) {
  const pmix::Lookup& lookup = asked.lookup;
  std::set<const Item*> found;
  pmix::LookupDone done{lookup.request, pmix::kSuccess, {}};
  for (const std::string& key : lookup.keys) {
    const Item* item = Find(asked, key);
    if (item == nullptr) continue;
    found.insert(item);
    done.items.push_back(item->published);
  }
  const size_t all = lookup.keys.size();
  const size_t needed = lookup.wait_count == 0 ? all : std::min<size_t>(lookup.wait_count, all);
  if (lookup.wait && found.size() < needed) return std::nullopt;
  if (found.size() < all) {
    done.status = found.empty() ? pmix::kErrNotFound : pmix::kErrPartialSuccess;
  }
  const bool consume = std::any_of(found.begin(), found.end(), [](const Item* item) {
    return item->persistence == PmixPersistence::kFirstRead;
  });
  if (consume) {
    Remove([&found](const Item& item) {
      return item.persistence == PmixPersistence::kFirstRead && found.contains(&item);
    });
  }
  return done;
}

NameStore::Replies NameStore::Lookup(const pmix::Lookup& m, NodeId node) {
  const auto refuse = [&](int32_t status) {
    return Replies{{node, pmix::LookupDone{m.request, status, {}}}};
  };
  if (m.keys.empty() || m.range > kLastRange) return refuse(pmix::kErrBadParam);
  if (!IsServed(RangeOf(m.range))) return refuse(pmix::kErrNotSupported);
  Waiting asked{m, node, std::nullopt};
  asked.lookup.keys = Distinct(m.keys);
  if (std::optional<pmix::LookupDone> done = Answer(asked)) return {{node, *std::move(done)}};
  if (m.timeout.count() > 0) asked.deadline = clock_.Now() + m.timeout;
  waiting_.push_back(std::move(asked));
  return {};
}

void NameStore::AnswerWaiting(Replies& replies) {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    std::optional<pmix::LookupDone> done = Answer(*it);
    if (!done) {
      ++it;
      continue;
    }
    replies.push_back({it->node, *std::move(done)});
    it = waiting_.erase(it);
  }
}

void NameStore::Remove(const std::function<bool(const Item&)>& which) {
  for (auto items = items_.begin(); items != items_.end();) {
    items->second.remove_if([&](const Item& item) {
      if (!which(item)) return false;
      bytes_ -= BytesOf(item.published);
      return true;
    });
    items = items->second.empty() ? items_.erase(items) : std::next(items);
  }
}

size_t NameStore::item_count() const {
  size_t count = 0;
  for (const auto& [key, items] : items_) count += items.size();
  return count;
}

NameStore::Replies NameStore::Unpublish(const pmix::Unpublish& m, NodeId node) {
  if (m.range > kLastRange) return {{node, pmix::OpDone{m.request, pmix::kErrBadParam}}};
  const PmixRange range = RangeOf(m.range);
  const auto is_mine = [&m](const Item& item) { return item.published.owner == m.proc; };
  if (m.keys.empty()) {
    Remove(
        [&](const Item& item) { return is_mine(item) && (m.range == 0 || item.range == range); });
  }
  for (const std::string& key : Distinct(m.keys)) {
    const auto items = items_.find(key);
    if (items == items_.end()) continue;
    // A client that names no range sends its library's default, whatever it published with.
    const bool exact = std::any_of(items->second.begin(), items->second.end(),
                                   [&](const Item& i) { return is_mine(i) && i.range == range; });
    Remove([&](const Item& item) {
      return item.published.key == key && is_mine(item) && (!exact || item.range == range);
    });
  }
  return {{node, pmix::OpDone{m.request, pmix::kSuccess}}};
}

NameStore::Replies NameStore::EndWaiting(int32_t status,
                                         const std::function<bool(const Waiting&)>& which) {
  Replies replies;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (!which(*it)) {
      ++it;
      continue;
    }
    replies.push_back({it->node, pmix::LookupDone{it->lookup.request, status, {}}});
    it = waiting_.erase(it);
  }
  return replies;
}

NameStore::Replies NameStore::OnProcGone(const pmix::ProcId& proc) {
  const bool whole = proc.rank == pmix::kRankWildcard;
  const auto is_gone = [&](const pmix::ProcId& other) {
    return whole ? other.name_space == proc.name_space : other == proc;
  };
  Remove([&](const Item& item) {
    const bool ends = item.persistence == PmixPersistence::kProcess ||
                      (whole && item.persistence == PmixPersistence::kApplication);
    return ends && is_gone(item.published.owner);
  });
  return EndWaiting(pmix::kErrLostConnection,
                    [&](const Waiting& waiting) { return is_gone(waiting.lookup.proc); });
}

NameStore::Replies NameStore::Expire(Clock::Time now) {
  return EndWaiting(pmix::kErrTimeout, [now](const Waiting& waiting) {
    return waiting.deadline && *waiting.deadline <= now;
  });
}

std::optional<Clock::Time> NameStore::NextDeadline() const {
  std::optional<Clock::Time> next;
  for (const Waiting& waiting : waiting_) {
    if (waiting.deadline && (!next || *waiting.deadline < *next)) next = waiting.deadline;
  }
  return next;
}

}  // namespace rex
