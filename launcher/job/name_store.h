// What processes of a DVM publish for each other by name: PMIx publish, lookup, unpublish
// (MPI_Publish_name and the ports of MPI_Comm_accept come this way). Lives at the head.
//
// Pure state: each call returns the answers to send, each with the node whose host asked: request
// numbers are a host's own. One thread. Every request is answered once: at once, or a waiting
// lookup by a later Publish, Expire or OnProcGone.
//
// Rules, where the PMIx Standard (4.1, chapter "Publish/Lookup Operations") leaves a choice:
// - A key is taken when an item with the same key and the same range is there that the same
//   processes could see. A Publish stores all of its items or none.
// - Undefined range and persistence mean session and application, the Standard's defaults.
// - Of several items with the key that a process may see, the one with the narrowest range is
//   found, then the oldest. A lookup's own range limits whose items are considered.
// - kFirstRead items are removed when a lookup is answered with them, never by one that fails.
// - Unpublishing what is not there succeeds, as with mpirun 4.1.4.
// - An end of a session is the end of the store.
// - The local range is the processes of the node that the request came from.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/clock.h"
#include "launcher/base/node_id.h"
#include "pmix-server/proto/host_types.h"

namespace rex {

// pmix_data_range_t. Source: pmix_common.h of libpmix 4.2.2.
enum class PmixRange : uint8_t {
  kUndefined = 0,
  kResourceManager = 1,
  kLocal = 2,
  kNamespace = 3,
  kSession = 4,
  kGlobal = 5,
  kCustom = 6,
  kProcLocal = 7,
};

// pmix_persistence_t. Source: as above.
enum class PmixPersistence : uint8_t {
  kIndefinite = 0,
  kFirstRead = 1,
  kProcess = 2,
  kApplication = 3,
  kSession = 4,
};

inline constexpr int32_t kPmixErrOutOfResource = -29;  // PMIX_ERR_OUT_OF_RESOURCE, pmix_common.h

// Keys and values held at most; a publish beyond it gets kPmixErrOutOfResource.
inline constexpr size_t kMaxNameStoreBytes = 64 << 20;

class NameStore {
 public:
  struct Reply {
    NodeId node{0};
    pmix::HostMessage message;
  };
  using Replies = std::vector<Reply>;

  // `clock` is borrowed.
  explicit NameStore(const Clock& clock) : clock_(clock) {}

  // One OpDone, then a LookupDone for each waiting lookup that is complete now.
  // Status: kErrDuplicateKey; kErrBadParam: no item, an empty key, unknown range or persistence;
  // kErrNotSupported: custom range (its members are not told to us) or resource manager's (none
  // here).
  Replies Publish(const pmix::Publish& m, NodeId node);

  // One LookupDone, now or later. Without `wait`: kSuccess (all keys), kErrPartialSuccess (some),
  // kErrNotFound (none). With it: once wait_count keys (0 or too many: all) are there, or
  // kErrTimeout; a timeout of 0 waits as long as the asking process lives.
  Replies Lookup(const pmix::Lookup& m, NodeId node);

  // One OpDone. Only the publisher's own items go: the named keys in the named range, or in every
  // range if there is none in that one; no keys: all of the range (undefined: all).
  Replies Unpublish(const pmix::Unpublish& m, NodeId node);

  // Removes what the process published for its lifetime. Its own waiting lookups are answered
  // kErrLostConnection, so that the host can let go of them. kRankWildcard: the namespace is gone,
  // and what was published for the application's lifetime goes too.
  Replies OnProcGone(const pmix::ProcId& proc);

  // Answers waiting lookups whose time is up.
  Replies Expire(Clock::Time now);
  // When Expire has to be called next; may be in the past.
  std::optional<Clock::Time> NextDeadline() const;

  size_t item_count() const;
  size_t waiting_count() const { return waiting_.size(); }

 private:
  // A process and where it is.
  struct Place {
    const pmix::ProcId& proc;
    NodeId node;
  };
  struct Item {
    pmix::Published published;
    NodeId node{0};
    PmixRange range;
    PmixPersistence persistence;
  };
  struct Waiting {
    pmix::Lookup lookup;
    NodeId node{0};
    std::optional<Clock::Time> deadline;
  };

  static bool Covers(PmixRange range, const Place& owner, const Place& other);

  using Items = std::map<std::string, std::list<Item>>;  // by key, oldest first

  int32_t CheckPublish(const pmix::Publish& m, NodeId node) const;
  bool IsTaken(const std::string& key, PmixRange range, const Place& owner) const;
  // The item that answers `key` for this lookup, or none.
  const Item* Find(const Waiting& asked, const std::string& key) const;
  // The answer if it can be given now; consumes first-read items.
  std::optional<pmix::LookupDone> Answer(const Waiting& asked);
  void AnswerWaiting(Replies& replies);
  // Answers with `status`, and drops, the waiting lookups that `which` picks.
  Replies EndWaiting(int32_t status, const std::function<bool(const Waiting&)>& which);
  // Removes the items that `which` picks.
  void Remove(const std::function<bool(const Item&)>& which);

  const Clock& clock_;
  Items items_;
  std::list<Waiting> waiting_;  // oldest first
  size_t bytes_ = 0;            // of the items' keys and values
};

}  // namespace rex
