// What one agent knows of the others' loads when nobody is in the middle: peers tell each other
// along the tree what has changed. A pure state machine: its owner sends what NewsFor returns once
// a round to the peers that NextPeers names, and hands in what comes. docs/design/sched.md,
// "Gossip", has the rules and what they cost.
//
// Each entry has the version that its node gave it; a newer one replaces an older one, whatever way
// it came, so the order of messages and detours do not matter. A link delivers what was sent, in
// order, or ends: so a peer is told each change once, and is told nothing that it told itself.
// A table that is limited keeps the lightest nodes: who places ranks wants those.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "launcher/base/node_id.h"

namespace rex {

struct GossipLimits {
  size_t entries = SIZE_MAX;    // kept in the table, the own one not counted
  size_t per_message = 1024;    // told at once; the rest in later rounds
  size_t peers_per_round = 16;  // told in a round
  uint32_t old_rounds = 0;      // not heard of for so many rounds: forgotten; 0: never
};

// `Load` is what is told, with ==; `Lighter` orders it.
template <typename Load, typename Lighter>
class GossipTable {
 public:
  struct Entry {
    NodeId node{0};
    uint64_t version = 0;  // of its node; 0: nothing was told
    uint32_t age = 0;      // rounds since its node said so
    Load load{};
  };

  GossipTable(NodeId self, GossipLimits limits) : self_(self), limits_(limits) {
    own_.entry.node = self;
  }

  // The own load; also when it is as before, so that others do not forget it.
  void SetOwn(const Load& load) {
    own_.entry.load = load;
    ++own_.entry.version;
    own_.entry.age = 0;
    Change(&own_, self_);
  }

  // A peer is told everything at first.
  void AddPeer(NodeId peer) { peers_.push_back({peer, 0, 0}); }
  // What it told stays until it is old.
  void RemovePeer(NodeId peer) {
    std::erase_if(peers_, [peer](const Peer& p) { return p.id == peer; });
  }
  // A lost node: nothing of it is believed that was told before, by whatever way it still comes.
  void Forget(NodeId node) {
    const auto found = known_.find(node);
    if (found == known_.end()) return;
    buried_[node] = found->second.entry.version;
    known_.erase(found);
  }

  // Everything is a round older, and what is too old goes.
  void BeginRound() {
    ++round_;
    ++own_.entry.age;
    for (auto it = known_.begin(); it != known_.end();) {
      const bool old = ++it->second.entry.age >= limits_.old_rounds && limits_.old_rounds > 0;
      it = old ? known_.erase(it) : std::next(it);
    }
  }

  // To whom to speak in this round: of the peers that have not been told all, those that have
  // waited longest.
  std::vector<NodeId> NextPeers() {
    std::vector<Peer*> waiting;
    for (Peer& peer : peers_) {
      if (HasNewsFor(peer)) waiting.push_back(&peer);
    }
    std::stable_sort(waiting.begin(), waiting.end(),
                     [](const Peer* a, const Peer* b) { return a->told_round < b->told_round; });
    if (waiting.size() > limits_.peers_per_round) waiting.resize(limits_.peers_per_round);
    std::vector<NodeId> ids;
    for (Peer* peer : waiting) ids.push_back(peer->id);
    return ids;
  }

  // The oldest changes that the peer was not told, and counts them as told.
  std::vector<Entry> NewsFor(NodeId peer_id) {
    std::vector<Entry> news;
    const auto peer = std::find_if(peers_.begin(), peers_.end(),
                                   [peer_id](const Peer& p) { return p.id == peer_id; });
    if (peer == peers_.end()) return news;
    std::vector<const Known*> changed = ChangedFor(*peer);
    std::sort(changed.begin(), changed.end(),
              [](const Known* a, const Known* b) { return a->change < b->change; });
    uint64_t upto = change_;
    if (changed.size() > limits_.per_message) {
      changed.resize(limits_.per_message);
      upto = changed.back()->change;
    }
    for (const Known* known : changed) news.push_back(known->entry);
    peer->told_change = upto;
    peer->told_round = round_;
    return news;
  }

  // What `from` told. True: something is new here.
  bool Merge(NodeId from, const std::vector<Entry>& news) {
    bool any = false;
    for (const Entry& entry : news) any = MergeOne(from, entry) || any;
    return any;
  }

  // Of a node whose ranks were just placed from here: what is known until it speaks itself.
  void Guess(NodeId node, const Load& load) {
    if (node == self_) return;
    const auto found = known_.find(node);
    if (found != known_.end()) found->second.entry.load = load;
  }

  // The own entry first, then by node.
  std::vector<Entry> Entries() const {
    std::vector<Entry> entries = {own_.entry};
    for (const auto& [node, known] : known_) entries.push_back(known.entry);
    return entries;
  }
  const Entry* Find(NodeId node) const {
    if (node == self_) return &own_.entry;
    const auto found = known_.find(node);
    return found == known_.end() ? nullptr : &found->second.entry;
  }
  size_t size() const { return known_.size() + 1; }

 private:
  struct Known {
    Entry entry;
    uint64_t change = 0;  // when it changed here, counted
    NodeId from{0};       // who told
  };
  struct Peer {
    NodeId id;
    uint64_t told_change;
    uint64_t told_round;
  };

  void Change(Known* known, NodeId from) {
    known->change = ++change_;
    known->from = from;
  }

  static bool IsNewsFor(const Known& known, const Peer& peer) {
    return known.change > peer.told_change && known.from != peer.id && known.entry.node != peer.id;
  }

  bool HasNewsFor(const Peer& peer) const {
    if (peer.told_change == change_) return false;
    return IsNewsFor(own_, peer) ||
           std::any_of(known_.begin(), known_.end(),
                       [&peer](const auto& known) { return IsNewsFor(known.second, peer); });
  }

  std::vector<const Known*> ChangedFor(const Peer& peer) const {
    std::vector<const Known*> changed;
    if (IsNewsFor(own_, peer)) changed.push_back(&own_);
    for (const auto& [node, known] : known_) {
      if (IsNewsFor(known, peer)) changed.push_back(&known);
    }
    return changed;
  }

  bool MergeOne(NodeId from, const Entry& entry) {
    if (entry.node == self_ || entry.version == 0) return false;
    if (limits_.old_rounds > 0 && entry.age >= limits_.old_rounds) return false;
    const auto buried = buried_.find(entry.node);
    if (buried != buried_.end() && entry.version <= buried->second) return false;
    const auto found = known_.find(entry.node);
    if (found != known_.end()) {
      if (entry.version <= found->second.entry.version) return false;
      found->second.entry = entry;
      Change(&found->second, from);
      return true;
    }
    if (known_.size() >= limits_.entries && !MakeRoomFor(entry)) return false;
    Known& known = known_[entry.node];
    known.entry = entry;
    Change(&known, from);
    return true;
  }

  // Gives up the heaviest entry that everybody was told of, if the new one is lighter.
  bool MakeRoomFor(const Entry& entry) {
    auto heaviest = known_.end();
    for (auto it = known_.begin(); it != known_.end(); ++it) {
      const bool told = std::none_of(peers_.begin(), peers_.end(),
                                     [&](const Peer& peer) { return IsNewsFor(it->second, peer); });
      if (!told) continue;
      if (heaviest == known_.end() ||
          Lighter()(heaviest->second.entry.load, it->second.entry.load)) {
        heaviest = it;
      }
    }
    if (heaviest == known_.end() || !Lighter()(entry.load, heaviest->second.entry.load)) {
      return false;
    }
    known_.erase(heaviest);
    return true;
  }

  const NodeId self_;
  const GossipLimits limits_;
  uint64_t round_ = 0;
  uint64_t change_ = 0;
  Known own_;
  std::map<NodeId, Known> known_;
  std::map<NodeId, uint64_t> buried_;  // versions of forgotten nodes
  std::vector<Peer> peers_;
};

}  // namespace rex
