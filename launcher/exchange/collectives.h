// Fences, connects and disconnects over the nodes of their participants.
//
// A collective is known by its kind, its participants (sorted) and a number, which every agent
// counts by itself per kind and participants: a series. Each node with participants contributes
// once, when its host says that its ranks are there. An agent sends its parent one message up when
// its own ranks (if any take part) and all children whose subtree has participants have
// contributed. At the top, the lowest agent whose subtree holds all of them, it turns around.
//
// A failure is decided at the top alone, so that all nodes get the same answer: whoever sees one
// (too much data, a lost node, a timeout) sends it up at once, and the top sends it down, unless
// the collective is over already. A node whose ranks come later gets the failure then.
//
// Data is appended, never merged: contributions are kept as the messages that they came in, and
// copied once into what goes up, or at the top into what goes down.
//
// A series has one owner on a node. The agent gives those that meet often to the host, if nobody
// below needs them (docs/design/uplinks.md); the host has a Collectives of its own for them, whose
// port leads to the agent above by the uplink.
//
// Messages have what a relay needs to know: the nodes with participants. Series are forgotten with
// their namespace; those of namespaces that are not known here (a relay's), when there are many.
//
// Pure state: the caller says what time it is.
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

class Collectives {
 public:
  struct Deps {
    const ExchangePort& port;
    const NamespaceMaps& maps;
    std::function<void(const pmix::HostMessage&)> to_host;
    uint64_t max_bytes;  // of the data of one collective, all nodes together
    // A series is the host's from now on; `next` is its next collective. Called before the answer
    // to the last one goes to the host. Empty: none is given away.
    std::function<void(const CollectiveHeader& next)> give = {};
    // One could be given away, but for the uplink. Called again each time.
    std::function<void()> want_uplink = {};
    uint32_t give_after = 8;  // collectives that a series has had
  };
  explicit Collectives(Deps deps) : deps_(std::move(deps)) {}

  // This node's ranks are all there. Answered with FenceDone, at once when there can't be another
  // answer.
  void Contribute(pmix::Fence fence, Clock::Time now);
  // The owner's: the series was given to it.
  void Adopt(const CollectiveHeader& next);
  // As Contribute, if it is of a series that is known here; false: not, and `fence` is as it was.
  bool ContributeIfKnown(pmix::Fence& fence, Clock::Time now);
  void SetUplink(bool stands) { uplink_ = stands; }

  enum class Way : uint8_t { kLink, kUplink };
  // kProtocol: not from a child, or nothing that it may say.
  Status OnUp(NodeId from, std::string payload, Way way = Way::kLink);
  Status OnDown(NodeId from, std::string payload);
  Status OnHostState(NodeId from, const std::string& payload);

  void OnNodesLost(const std::vector<NodeId>& nodes);
  void OnHostLost();
  void OnHostBack();
  // The namespace is not among the maps any more.
  void OnNamespaceGone(const std::string& name);

  // Fails what is overdue.
  void Expire(Clock::Time now);
  std::optional<Clock::Time> NextDeadline() const;

  size_t open_count() const;
  size_t held_bytes() const;
  size_t series_count() const { return series_.size(); }

 private:
  using Deadlines = std::multimap<Clock::Time, std::pair<std::string, uint64_t>>;  // series, number

  // A collective that is not over.
  struct Open {
    std::optional<uint64_t> request;  // the host's, once it has contributed
    std::vector<NodeId> missing;      // children that have not
    bool sent = false;                // up
    bool failing = false;             // a failure has been sent up
    std::vector<Bulk> parts;
    size_t bytes = 0;  // of the parts
    std::optional<Deadlines::iterator> deadline;
  };
  struct Series {
    std::string encoded;  // EncodeSeries
    CollectiveKind kind;
    std::vector<ProcRun> participants;
    std::vector<NodeId> nodes;     // with participants, ascending
    std::vector<NodeId> children;  // whose subtree has some
    bool own = false;              // this node has some
    std::set<NodeId> by_uplink;    // those of them whose host is the owner there
    bool top = false;              // it turns around here
    bool given = false;            // the host is the owner
    uint64_t next = 0;             // number of the host's next contribution
    uint64_t over = 0;             // all before this number are over
    std::set<uint64_t> over_early;
    std::map<uint64_t, int32_t> failed;  // over, but the host has not contributed yet
    std::map<uint64_t, Open> open;
  };
  using SeriesMap = std::map<std::string, Series>;

  // What another agent sent. Of a series that is known here the header has number and status alone.
  struct Message {
    Series* series = nullptr;
    CollectiveHeader header;
    Bulk bulk;
  };
  // Errors: kProtocol.
  Result<Message> Read(std::string payload);
  Series* FindKnown(CollectiveKind kind, const std::vector<ProcRun>& participants);
  Series& Add(const CollectiveHeader& header);
  Series Make(const CollectiveHeader& header) const;
  void ForgetIdleRelays();
  std::vector<NodeId> ChildrenWith(const std::vector<NodeId>& nodes) const;
  Status CheckUp(NodeId from, const Message& message) const;
  Status CheckFirstUp(NodeId from, const CollectiveHeader& header) const;
  // `series`: none is known.
  void SendDown(const std::vector<NodeId>& children, const Series* series, std::string payload);
  void Contribute(Series& series, pmix::Fence fence, Clock::Time now);
  void GiveIfDue(Series& series);
  Open& OpenOf(Series& series, uint64_t sequence);
  static bool IsOver(const Series& series, uint64_t sequence);
  bool NeedsLost(const Series& series) const;
  // Adds a contribution, fails when that is too much or comes too late, sends on when it was the
  // last one.
  void Add(Series& series, uint64_t sequence, Bulk bulk);
  void SendUp(Series& series, uint64_t sequence, Open& open);
  void Fail(Series& series, uint64_t sequence, int32_t status, const std::string& why);
  void FailAll(const std::function<bool(const Series&)>& which, int32_t status,
               const std::string& why);
  void TurnAround(Series& series, uint64_t sequence, int32_t status);
  // The outcome is here: answers the host and closes. `data` is everybody's.
  void Close(Series& series, uint64_t sequence, int32_t status, std::string data);
  void StopClock(Open& open);
  void SetHostLost(NodeId node, bool lost);

  Deps deps_;
  SeriesMap series_;
  Series* recent_ = nullptr;  // of series_, of which something came last
  Deadlines deadlines_;
  std::set<NodeId> lost_nodes_;
  std::set<NodeId> lost_hosts_;
  bool uplink_ = false;
};

}  // namespace rex
