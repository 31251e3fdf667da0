#include "sched/placement/placement.h"

#include <algorithm>
#include <optional>

namespace rex {

namespace {

constexpr uint32_t kNoTurn = UINT32_MAX;
constexpr size_t kMostNamed = 3;  // nodes in a message; the others are counted

Error Bad(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

std::string Count(uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

// One of an app's nodes while the app is placed.
struct Candidate {
  uint32_t node = 0;
  uint32_t count = 0;  // ranks of this app so far
  uint32_t free = 0;   // how many fit into slots
  uint32_t room = 0;   // how many are allowed at all, at least `free`
};
using Candidates = std::vector<Candidate>;

uint64_t SumOf(const Candidates& candidates, uint32_t Candidate::*limit) {
  uint64_t sum = 0;
  for (const Candidate& c : candidates) sum += c.*limit;
  return sum;
}

// Fills up to `limit`, one after the other; what does not fit is the answer.
uint32_t Fill(Candidates& candidates, uint32_t left, uint32_t Candidate::*limit) {
  for (Candidate& c : candidates) {
    const uint32_t take = std::min(left, c.*limit - c.count);
    c.count += take;
    left -= take;
  }
  return left;
}

// Shares `left` out evenly, never above `limit`, which together hold that many more. As mpirun
// counts: a round's share is that of all nodes in the first round, full ones too, and later of
// those that got some in the round before, even if they are full now.
void Spread(Candidates& candidates, uint32_t left, uint32_t Candidate::*limit) {
  auto sharing = static_cast<uint32_t>(candidates.size());
  while (left > 0) {
    REX_CHECK(sharing > 0);
    const uint32_t each = std::max(left / sharing, 1U);
    uint32_t one_more = left / sharing > 0 ? left % sharing : 0;
    sharing = 0;
    for (Candidate& c : candidates) {
      const uint32_t fits = std::min(c.*limit - c.count, left);
      if (fits == 0) continue;
      const uint32_t take = std::min(each + (one_more > 0 ? 1 : 0), fits);
      one_more -= one_more > 0 ? 1 : 0;
      ++sharing;
      c.count += take;
      left -= take;
    }
  }
}

class Placer {
 public:
  Placer(const PlacementRequest& request, uint32_t most_total)
      : request_(request), most_total_(most_total) {
    placement_.node_ranks.assign(request.nodes.size(), 0);
    turn_.assign(request.nodes.size(), kNoTurn);
  }

  Result<Placement> Run() {
    if (request_.apps.empty() || request_.nodes.empty()) {
      return Bad("there is nothing to place: no program or no node");
    }
    for (size_t i = 0; i < request_.apps.size(); ++i) {
      if (Status placed = PlaceApp(i); !placed) return placed.error();
    }
    Judge();
    return std::move(placement_);
  }

 private:
  Status PlaceApp(size_t index) {
    const PlacementApp& app = request_.apps[index];
    Candidates candidates = CandidatesOf(app);
    const auto ranks = RanksOf(app, candidates);
    if (!ranks) return ranks.error();
    if (Status status = Check(index, *ranks, candidates); !status) return status;
    if (!MayOversubscribe(candidates)) {
      std::erase_if(candidates, [this](const Candidate& c) { return Crowd(c) >= 0; });
    }
    BeginAtBookmark(candidates);
    const uint64_t free = SumOf(candidates, &Candidate::free);
    if (request_.policy == PlacementPolicy::kSlot) {
      const uint32_t left = Fill(candidates, *ranks, &Candidate::free);
      Spread(candidates, left, &Candidate::room);
    } else {
      Spread(candidates, *ranks, free >= *ranks ? &Candidate::free : &Candidate::room);
    }
    Number(candidates);
    placement_.app_ranks.push_back(*ranks);
    return Ok{};
  }

  Candidates CandidatesOf(const PlacementApp& app) const {
    Candidates candidates;
    const bool all = app.nodes.empty();
    const size_t size = all ? request_.nodes.size() : app.nodes.size();
    candidates.reserve(size);
    for (size_t i = 0; i < size; ++i) {
      const uint32_t node = all ? static_cast<uint32_t>(i) : app.nodes[i];
      REX_CHECK(node < request_.nodes.size());
      candidates.push_back(CandidateOf(app, node));
    }
    return candidates;
  }

  Candidate CandidateOf(const PlacementApp& app, uint32_t node) const {
    const PlacementNode& facts = request_.nodes[node];
    const uint32_t used = placement_.node_ranks[node];
    uint32_t room = UINT32_MAX - used;
    if (facts.most_ranks > 0) room = facts.most_ranks > used ? facts.most_ranks - used : 0;
    if (app.per_node > 0) room = std::min(room, app.per_node);
    const uint32_t free = facts.slots > used ? facts.slots - used : 0;
    return {node, 0, std::min(free, room), room};
  }

  Result<uint32_t> RanksOf(const PlacementApp& app, const Candidates& candidates) const {
    uint64_t ranks = app.ranks;
    if (ranks == 0) {
      for (const Candidate& c : candidates) {
        ranks += app.per_node > 0 ? app.per_node : request_.nodes[c.node].slots;
      }
    }
    if (ranks == 0) return Bad("a program without ranks cannot be placed; give -n 1 or more");
    const uint64_t total = ranks + placement_.node_of_rank.size();
    if (total > most_total_) {
      return Bad("too many ranks: " + std::to_string(total) + "; a job has at most " +
                 std::to_string(most_total_));
    }
    return static_cast<uint32_t>(ranks);
  }

  // ---- refusals

  Status Check(size_t index, uint32_t ranks, const Candidates& candidates) const {
    const PlacementApp& app = request_.apps[index];
    if (app.per_node > 0 && uint64_t{app.per_node} * candidates.size() < ranks) {
      return Bad(OfApp(index) + "-n " + std::to_string(ranks) + " is more than -N " +
                 std::to_string(app.per_node) + " allows on " + Count(candidates.size(), "node") +
                 "; raise -N, lower -n or name more nodes");
    }
    if (SumOf(candidates, &Candidate::room) < ranks) return NoRoom(index, ranks, candidates);
    if (MayOversubscribe(candidates)) return Ok{};
    if (SumOf(candidates, &Candidate::free) < ranks) return NoSlots(index, ranks, candidates);
    return Ok{};
  }

  bool MayOversubscribe(const Candidates& candidates) const {
    return request_.oversubscribe ||
           std::all_of(candidates.begin(), candidates.end(), [this](const Candidate& c) {
             return request_.nodes[c.node].slots_from_cores;
           });
  }

  Error NoRoom(size_t index, uint32_t ranks, const Candidates& candidates) const {
    return Bad(OfApp(index) + "no room for " + Count(ranks, "rank") + ": the limits of " +
               Names(candidates, &PlacementNode::most_ranks) + " leave room for " +
               std::to_string(SumOf(candidates, &Candidate::room)) +
               "; raise max_slots in the hostfile" +
               (request_.apps[index].per_node > 0 ? " or -N" : "") + ", or name more nodes");
  }

  Error NoSlots(size_t index, uint32_t ranks, const Candidates& candidates) const {
    constexpr std::string_view kRemedy =
        "; give --oversubscribe (or set REX_OVERSUBSCRIBE=1) to run more ranks than slots";
    const PlacementApp& app = request_.apps[index];
    if (app.per_node > 0) {
      for (const Candidate& c : candidates) {
        if (c.free >= std::min(app.per_node, ranks)) continue;
        return Bad(OfApp(index) + "not enough slots" + OnNode(c.node) + ": -N " +
                   std::to_string(app.per_node) + ", but " + Count(c.free, "free slot") + " there" +
                   std::string(kRemedy));
      }
    }
    uint64_t wanted = ranks;
    uint64_t slots = 0;
    for (const Candidate& c : candidates) {
      wanted += placement_.node_ranks[c.node];
      slots += request_.nodes[c.node].slots;
    }
    return Bad(OfApp(index) + "not enough slots: " + Count(wanted, "rank") + ", but " +
               Count(slots, "slot") + " on " + Names(candidates, &PlacementNode::slots) +
               std::string(kRemedy));
  }

  std::string OfApp(size_t index) const {
    return request_.apps.size() == 1 ? "" : "program " + std::to_string(index + 1) + ": ";
  }

  std::string OnNode(uint32_t node) const {
    const std::string& name = request_.nodes[node].name;
    return name.empty() ? " on a node" : " on node " + name;
  }

  // "2 nodes (n1: 2, n2: 4)"; without names only "2 nodes".
  std::string Names(const Candidates& candidates, uint32_t PlacementNode::*number) const {
    std::string text = Count(candidates.size(), "node");
    std::string names;
    for (size_t i = 0; i < std::min(candidates.size(), kMostNamed); ++i) {
      const PlacementNode& node = request_.nodes[candidates[i].node];
      if (node.name.empty()) return text;
      names += (i == 0 ? "" : ", ") + node.name + ": " + std::to_string(node.*number);
    }
    if (candidates.size() > kMostNamed) names += ", …";
    return text + " (" + names + ")";
  }

  // ---- where an app begins

  // Ranks above the slots; negative: free slots.
  int64_t Crowd(const Candidate& c) const {
    return int64_t{placement_.node_ranks[c.node]} - int64_t{request_.nodes[c.node].slots};
  }

  void BeginAtBookmark(Candidates& candidates) {
    auto begin = std::find_if(candidates.begin(), candidates.end(),
                              [this](const Candidate& c) { return c.node == bookmark_; });
    if (begin == candidates.end()) begin = candidates.begin();
    std::rotate(candidates.begin(), begin, candidates.end());
    std::rotate(candidates.begin(), Beginning(candidates), candidates.end());
    bookmark_ = candidates.front().node;
  }

  Candidates::iterator Beginning(Candidates& candidates) const {
    const auto free = std::find_if(candidates.begin(), candidates.end(),
                                   [this](const Candidate& c) { return Crowd(c) < 0; });
    if (free != candidates.end()) return free;
    const bool before_is_better = Crowd(candidates.back()) < Crowd(candidates.front());
    return before_is_better ? candidates.end() - 1 : candidates.begin();
  }

  // ---- which rank is where

  void Number(Candidates& candidates) {
    std::erase_if(candidates, [](const Candidate& c) { return c.count == 0; });
    for (const Candidate& c : candidates) {
      placement_.node_ranks[c.node] += c.count;
      if (turn_[c.node] == kNoTurn) turn_[c.node] = turns_++;
    }
    std::sort(candidates.begin(), candidates.end(), [this](const Candidate& a, const Candidate& b) {
      return turn_[a.node] < turn_[b.node];
    });
    if (request_.policy == PlacementPolicy::kNode) return NumberInTurn(candidates);
    for (const Candidate& c : candidates) {
      placement_.node_of_rank.insert(placement_.node_of_rank.end(), c.count,
                                     request_.nodes[c.node].id);
    }
  }

  void NumberInTurn(Candidates& candidates) {
    while (!candidates.empty()) {
      for (Candidate& c : candidates) {
        placement_.node_of_rank.push_back(request_.nodes[c.node].id);
        --c.count;
      }
      std::erase_if(candidates, [](const Candidate& c) { return c.count == 0; });
    }
  }

  void Judge() {
    for (size_t i = 0; i < request_.nodes.size(); ++i) {
      const bool over = placement_.node_ranks[i] > request_.nodes[i].slots;
      placement_.node_oversubscribed.push_back(over);
      placement_.oversubscribed = placement_.oversubscribed || over;
    }
  }

  const PlacementRequest& request_;
  const uint32_t most_total_;
  std::optional<uint32_t> bookmark_;  // where the app before began
  std::vector<uint32_t> turn_;        // by node: the order in which nodes got their first ranks
  uint32_t turns_ = 0;
  Placement placement_;
};

}  // namespace

Result<Placement> Place(const PlacementRequest& request, uint32_t most_total) {
  return Placer(request, most_total).Run();
}

}  // namespace rex
