// What a rank has put for the ranks of other nodes (direct modex): asked of the rank's own node,
// whose libpmix answers, when the rank has committed something.
//
// Every ask ends: with an answer, when its time is up (the asker's PMIX_TIMEOUT, else our bound),
// or when node, host or namespace is lost. Pure state: the caller says what time it is.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "launcher/base/clock.h"
#include "launcher/exchange/exchange_messages.h"
#include "launcher/exchange/exchange_port.h"
#include "launcher/exchange/namespace_maps.h"

namespace rex {

// How long an ask without PMIX_TIMEOUT waits. A rank may do much before its MPI_Init, while another
// has come as far as wanting to reach it.
inline constexpr std::chrono::seconds kModexBound{600};

class Modexes {
 public:
  struct Deps {
    const ExchangePort& port;
    const NamespaceMaps& maps;
    std::function<void(const pmix::HostMessage&)> to_host;
    uint64_t max_bytes;  // of one answer
  };
  explicit Modexes(Deps deps) : deps_(std::move(deps)) {}

  // Our host asks. Answered with ModexDone: kErrNotFound (no such namespace or rank, or a rank of
  // this node: libpmix answers for those itself), kErrTimeout, kErrLostConnection, or what the
  // rank's node says.
  void Ask(const pmix::DirectModex& ask, Clock::Time now);
  // Our host answers what another node asked.
  void OnServed(const pmix::ModexDone& done);
  Status OnAsk(NodeId from, std::string payload);
  Status OnAnswer(NodeId from, std::string payload);
  Status OnCancel(NodeId from, std::string payload);

  void OnNodesLost(const std::vector<NodeId>& nodes);
  void OnHostLost();
  void OnHostBack() { host_lost_ = false; }
  void OnNamespaceGone(const std::string& name);
  void Expire(Clock::Time now);
  std::optional<Clock::Time> NextDeadline() const;

  size_t count() const { return asked_.size() + served_.size(); }

 private:
  struct Asked {
    uint64_t request = 0;  // the host's
    NodeId node{0};
    pmix::ProcId proc;
    Clock::Time deadline{0};
  };
  struct Served {
    NodeId node{0};
    uint64_t id = 0;  // the asking node's
    pmix::ProcId proc;
  };
  // Answers the asks that `which` picks, and says so to their nodes if these may still answer.
  void EndAsked(int32_t status, bool cancel, const std::function<bool(const Asked&)>& which);
  void EndServed(int32_t status, const std::function<bool(const Served&)>& which);
  void Forget(uint64_t id);
  void Answer(const Served& served, int32_t status, std::string_view data) const;

  Deps deps_;
  uint64_t last_ = 0;
  std::map<uint64_t, Asked> asked_;
  std::set<std::pair<Clock::Time, uint64_t>> deadlines_;  // of the asked
  std::map<uint64_t, Served> served_;                     // by the number that our host was given
  std::map<std::pair<NodeId, uint64_t>, uint64_t> served_by_asker_;
  std::vector<NodeId> lost_;
  bool host_lost_ = false;
};

}  // namespace rex
