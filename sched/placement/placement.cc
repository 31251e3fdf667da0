#include "sched/placement/placement.h"

#include <algorithm>
#include <map>
#include <optional>
#include <queue>
#include <tuple>

#include "sched/placement/node_places.h"
#include "sched/placement/resolve.h"
#include "sched/policy/policy_words.h"

namespace rex {

namespace {

constexpr uint32_t kNoTurn = UINT32_MAX;
constexpr size_t kMostNamed = 3;  // nodes in a message; the others are counted
constexpr std::string_view kOversubscribe =
    "; give --oversubscribe (or set REX_OVERSUBSCRIBE=1) to run more ranks than slots";

Error Bad(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

std::string Count(uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

// One of an app's nodes while the app is placed.
struct Candidate {
  uint32_t node = 0;
  uint32_t count = 0;   // ranks of this app so far
  uint32_t before = 0;  // of the apps before it
  uint32_t free = 0;    // how many fit into slots
  uint32_t room = 0;    // how many are allowed at all, at least `free`
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

// For mapping by load: what a node's load would be with one rank more. As a fraction, so that
// equal loads are equal whatever the numbers.
struct LoadWithRank {
  uint64_t threads = 0;  // hundredths
  uint64_t cores = 0;    // hundredths
  size_t candidate = 0;
};

// The least load comes out of a std::priority_queue first; among equals the first candidate.
struct IsHeavier {
  bool operator()(const LoadWithRank& a, const LoadWithRank& b) const {
    const uint64_t left = a.threads * b.cores;
    const uint64_t right = b.threads * a.cores;
    return left != right ? left > right : a.candidate > b.candidate;
  }
};

constexpr uint64_t kHundredths = 100;

class Placer {
 public:
  Placer(const PlacementRequest& request, uint32_t most_total)
      : request_(request), most_total_(most_total) {
    placement_.node_ranks.assign(request.nodes.size(), 0);
    turn_.assign(request.nodes.size(), kNoTurn);
    threads_.assign(request.nodes.size(), 0);
    for (const PlacementApp& app : request.apps) placement_.policies.push_back(app.policy);
  }

  Result<Placement> Run() {
    if (request_.apps.empty() || request_.nodes.empty()) {
      return Bad("there is nothing to place: no program or no node");
    }
    if (Status counted = CountRanks(); !counted) return counted.error();
    for (size_t i = 0; i < request_.apps.size(); ++i) {
      const Status resolved = ResolveMapping(&placement_.policies[i], total_);
      if (!resolved) return Bad(OfApp(i) + resolved.error().text);
      if (Status placed = PlaceApp(i); !placed) return placed.error();
    }
    Judge();
    for (PlacePolicy& policy : placement_.policies) {
      ResolveBinding(&policy, total_, placement_.oversubscribed, request_.oversubscribe);
    }
    return std::move(placement_);
  }

 private:
  // Ranks on it, of this job and of others.
  uint32_t Used(uint32_t node) const {
    return placement_.node_ranks[node] + request_.nodes[node].used;
  }

  Status CountRanks() {
    for (size_t i = 0; i < request_.apps.size(); ++i) {
      const auto ranks = RanksOf(i);
      if (!ranks) return ranks.error();
      total_ += *ranks;
      if (total_ > most_total_) {
        return Bad("too many ranks: " + std::to_string(total_) + "; a job has at most " +
                   std::to_string(most_total_));
      }
      placement_.app_ranks.push_back(static_cast<uint32_t>(*ranks));
    }
    return Ok{};
  }

  Status PlaceApp(size_t index) {
    const PlacementApp& app = request_.apps[index];
    if (!app.fixed.empty()) return PlaceFixed(index);
    const PlacePolicy& policy = placement_.policies[index];
    Candidates candidates = CandidatesOf(app);
    const uint32_t ranks = placement_.app_ranks[index];
    if (Status status = Check(index, ranks, candidates); !status) return status;
    if (!MayOversubscribe(candidates)) {
      std::erase_if(candidates, [this](const Candidate& c) { return Crowd(c) >= 0; });
    }
    if (request_.lightest_first && policy.map_is_default) {
      LightestFirst(candidates);
    } else {
      BeginAtBookmark(candidates);
    }
    if (policy.map == MapBy::kPpr) {
      if (Status status = ShareByPpr(index, ranks, candidates); !status) return status;
    } else if (policy.map == MapBy::kObject && policy.span) {
      ShareOverObjects(policy, ranks, candidates);
    } else if (policy.map == MapBy::kLoad) {
      const uint32_t left = ShareByLoad(policy, ranks, candidates, &Candidate::free);
      ShareByLoad(policy, left, candidates, &Candidate::room);
    } else {
      Share(policy, ranks, candidates);
    }
    if (Status status = CheckPe(index, candidates); !status) return status;
    Number(policy, candidates);
    return Ok{};
  }

  // ---- how many on which node

  static void Share(const PlacePolicy& policy, uint32_t ranks, Candidates& candidates) {
    const bool dealt = policy.map == MapBy::kNode || (policy.map == MapBy::kDist && policy.span);
    const uint64_t free = SumOf(candidates, &Candidate::free);
    if (dealt) {
      Spread(candidates, ranks, free >= ranks ? &Candidate::free : &Candidate::room);
      return;
    }
    const uint32_t left = Fill(candidates, ranks, &Candidate::free);
    Spread(candidates, left, &Candidate::room);
  }

  // Rank by rank, never above `limit`; what does not fit is the answer.
  uint32_t ShareByLoad(const PlacePolicy& policy, uint32_t left, Candidates& candidates,
                       uint32_t Candidate::*limit) const {
    const uint64_t each = kHundredths * std::max(policy.cpus_per_rank, 1U);
    std::priority_queue<LoadWithRank, std::vector<LoadWithRank>, IsHeavier> queue;
    for (size_t i = 0; left > 0 && i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      if (c.*limit <= c.count) continue;
      const NodeLoad load = LoadNow(c.node);
      const uint64_t here = load.ranks * kHundredths + load.foreign + c.count * each;
      queue.push({here + each, std::max<uint64_t>(load.capacity, 1), i});
    }
    for (; left > 0 && !queue.empty(); --left) {
      LoadWithRank next = queue.top();
      queue.pop();
      Candidate& c = candidates[next.candidate];
      next.threads += each;
      if (++c.count < c.*limit) queue.push(next);
    }
    return left;
  }

  // Evenly over all objects of all nodes, the first of them one more.
  void ShareOverObjects(const PlacePolicy& policy, uint32_t ranks, Candidates& candidates) {
    uint64_t objects = 0;
    for (const Candidate& c : candidates) objects += ObjectCount(c.node, policy.map_object);
    const auto each = static_cast<uint32_t>(std::max<uint64_t>(ranks / objects, 1));
    uint64_t one_more = ranks > each * objects ? ranks - each * objects : 0;
    uint32_t left = ranks;
    for (Candidate& c : candidates) {
      const uint64_t here = ObjectCount(c.node, policy.map_object);
      const uint64_t wanted = here * each + std::min(one_more, here);
      one_more -= std::min(one_more, here);
      c.count = static_cast<uint32_t>(std::min<uint64_t>({wanted, left, c.room}));
      left -= c.count;
      if (c.count > 0) bookmark_ = c.node;
    }
    Spread(candidates, left, &Candidate::room);  // what per_node or most_ranks kept out
  }

  Status ShareByPpr(size_t index, uint32_t ranks, Candidates& candidates) {
    for (Candidate& c : candidates) {
      c.room = std::min(c.room, PprRoomOf(index, c.node));
    }
    const uint32_t left = Fill(candidates, ranks, &Candidate::room);
    const std::string ppr = MapName(placement_.policies[index]);
    if (left > 0) {
      return Bad(OfApp(index) + "-n " + std::to_string(ranks) + " is more than --map-by " + ppr +
                 " allows: " + std::to_string(ranks - left) + " on " +
                 Count(candidates.size(), "node") + "; lower -n, raise the ppr or name more nodes");
    }
    if (MayOversubscribe(candidates)) return Ok{};
    for (const Candidate& c : candidates) {
      if (c.count <= c.free) continue;
      return Bad(OfApp(index) + "not enough slots" + OnNode(c.node) + ": --map-by " + ppr +
                 " puts " + Count(c.count, "rank") + " there, but " + Count(c.free, "slot") +
                 (c.free == 1 ? " is" : " are") + " free" + std::string(kOversubscribe));
    }
    return Ok{};
  }

  // Ranks whose nodes the user has named one by one.
  Status PlaceFixed(size_t index) {
    const PlacementApp& app = request_.apps[index];
    for (const uint32_t node : app.fixed) {
      REX_CHECK(node < request_.nodes.size());
      placement_.node_of_rank.push_back(request_.nodes[node].id);
      ++placement_.node_ranks[node];
      ++threads_[node];
      if (turn_[node] == kNoTurn) turn_[node] = turns_++;
    }
    for (const uint32_t node : app.fixed) {
      if (!IsTooBusy(node)) continue;
      return Bad(OfApp(index) + "ranks are named for node " + request_.nodes[node].name +
                 ", which does not have " + OfAtMost() + Loads(app));
    }
    for (const uint32_t node : app.fixed) {
      const PlacementNode& facts = request_.nodes[node];
      const bool may = request_.oversubscribe || facts.slots_from_cores;
      const uint32_t ranks = Used(node);
      if ((may || ranks <= facts.slots) && (facts.most_ranks == 0 || ranks <= facts.most_ranks)) {
        continue;
      }
      return Bad(OfApp(index) + "not enough slots" + OnNode(node) + ": " + Count(ranks, "rank") +
                 " named for it, but " + Count(facts.slots, "slot") + std::string(kOversubscribe));
    }
    return Ok{};
  }

  // PE processors must be in the objects by which ranks are mapped.
  Status CheckPe(size_t index, const Candidates& candidates) const {
    const PlacePolicy& policy = placement_.policies[index];
    if (policy.map != MapBy::kObject || policy.cpus_per_rank < 2) return Ok{};
    for (const Candidate& c : candidates) {
      const Hardware& hardware = HardwareAt(c.node);
      const auto objects = MapObjects(hardware, policy.map_object);
      const uint64_t used = std::min<uint64_t>(objects.size(), c.count);
      for (uint64_t i = 0; i < used; ++i) {
        const CpuSpan& object = objects[(c.before + i) % objects.size()];
        const uint32_t cpus = CpusIn(hardware, object, policy.hwthread_cpus);
        if (cpus >= policy.cpus_per_rank) continue;
        const std::string name(ObjectName(policy.map_object));
        return Bad(OfApp(index) + "PE=" + std::to_string(policy.cpus_per_rank) + ": a " + name +
                   OnNode(c.node) + " has only " +
                   Count(cpus, policy.hwthread_cpus ? "usable hwthread" : "usable core") +
                   "; lower PE, or map by something larger, such as --map-by slot:PE=" +
                   std::to_string(policy.cpus_per_rank));
      }
    }
    return Ok{};
  }

  // ---- loads

  // With the ranks of the apps before.
  NodeLoad LoadNow(uint32_t node) const {
    NodeLoad load = request_.nodes[node].load;
    if (load.capacity == 0) load.capacity = kHundredths;
    load.ranks += static_cast<uint32_t>(threads_[node]);
    return load;
  }

  void LightestFirst(Candidates& candidates) const {
    std::vector<std::pair<uint64_t, Candidate>> keyed;
    keyed.reserve(candidates.size());
    for (const Candidate& c : candidates) keyed.emplace_back(LoadTenths(LoadNow(c.node)), c);
    std::stable_sort(keyed.begin(), keyed.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (size_t i = 0; i < keyed.size(); ++i) candidates[i] = keyed[i].second;
  }

  bool IsTooBusy(uint32_t node) const {
    return request_.max_load != kNoMaxLoad &&
           LoadHundredths(request_.nodes[node].load) > request_.max_load;
  }

  std::string OfAtMost() const { return "a load of at most " + LoadText(request_.max_load); }

  std::string Loads(const PlacementApp& app) const {
    std::vector<std::pair<std::string, NodeLoad>> loads;
    const bool all = app.nodes.empty();
    const size_t size = all ? request_.nodes.size() : app.nodes.size();
    for (size_t i = 0; i < size; ++i) {
      const PlacementNode& node = request_.nodes[all ? i : app.nodes[i]];
      loads.emplace_back(node.name.empty() ? "a node" : node.name, node.load);
    }
    return "; the loads: " + ListedLoads(std::move(loads));
  }

  // Some nodes were left out for their loads, and without them there is too little.
  Status CheckLoads(size_t index, uint32_t ranks, const Candidates& candidates) const {
    const PlacementApp& app = request_.apps[index];
    const size_t all = app.nodes.empty() ? request_.nodes.size() : app.nodes.size();
    if (request_.max_load == kNoMaxLoad || candidates.size() == all) return Ok{};
    const bool may = !candidates.empty() && MayOversubscribe(candidates);
    const uint64_t room = SumOf(candidates, may ? &Candidate::room : &Candidate::free);
    if (room >= ranks) return Ok{};
    const std::string has = candidates.empty()
                                ? "no node has " + OfAtMost()
                                : "not enough slots: " + Count(ranks, "rank") + ", but " +
                                      Count(room, "free slot") + " on the " +
                                      Count(candidates.size(), "node") + " with " + OfAtMost();
    return Bad(OfApp(index) + has + Loads(app));
  }

  // ---- hardware

  const Hardware& HardwareAt(uint32_t node) const {
    static const Hardware unknown = PlainHardware(1);
    const auto& hardware = request_.nodes[node].hardware;
    return hardware ? *hardware : unknown;
  }

  uint64_t ObjectCount(uint32_t node, HwObject object) const {
    const Hardware& hardware = HardwareAt(node);
    const size_t count = hardware.Of(object).size();
    return count > 0 ? count : MapObjects(hardware, object).size();
  }

  uint32_t PprRoomOf(size_t app, uint32_t node) {
    const auto key = std::make_pair(app, &HardwareAt(node));
    const auto known = ppr_rooms_.find(key);
    if (known != ppr_rooms_.end()) return known->second;
    return ppr_rooms_[key] = PprRoom(*key.second, request_.apps[app].policy);
  }

  Candidates CandidatesOf(const PlacementApp& app) const {
    Candidates candidates;
    const bool all = app.nodes.empty();
    const size_t size = all ? request_.nodes.size() : app.nodes.size();
    candidates.reserve(size);
    for (size_t i = 0; i < size; ++i) {
      const uint32_t node = all ? static_cast<uint32_t>(i) : app.nodes[i];
      REX_CHECK(node < request_.nodes.size());
      if (!IsTooBusy(node)) candidates.push_back(CandidateOf(app, node));
    }
    return candidates;
  }

  Candidate CandidateOf(const PlacementApp& app, uint32_t node) const {
    const PlacementNode& facts = request_.nodes[node];
    const uint32_t used = Used(node);
    uint32_t room = UINT32_MAX - used;
    if (facts.most_ranks > 0) room = facts.most_ranks > used ? facts.most_ranks - used : 0;
    if (app.per_node > 0) room = std::min(room, app.per_node);
    const uint32_t free = facts.slots > used ? facts.slots - used : 0;
    return {node, 0, placement_.node_ranks[node], std::min(free, room), room};
  }

  Result<uint64_t> RanksOf(size_t index) {
    const PlacementApp& app = request_.apps[index];
    if (!app.fixed.empty()) return uint64_t{app.fixed.size()};
    if (app.ranks > 0) return uint64_t{app.ranks};
    uint64_t ranks = 0;
    const size_t size = app.nodes.empty() ? request_.nodes.size() : app.nodes.size();
    for (uint32_t i = 0; i < size; ++i) {
      const uint32_t node = app.nodes.empty() ? i : app.nodes[i];
      REX_CHECK(node < request_.nodes.size());
      if (IsTooBusy(node)) continue;
      uint32_t here = app.per_node > 0 ? app.per_node : request_.nodes[node].slots;
      if (app.policy.map == MapBy::kPpr) {
        const uint32_t room = PprRoomOf(index, node);
        here = app.per_node > 0 ? std::min(room, app.per_node) : room;
      }
      ranks += here;
    }
    if (Status loads = CheckLoads(index, ranks == 0 ? 1 : 0, {}); !loads) return loads.error();
    if (ranks == 0) return Bad("a program without ranks cannot be placed; give -n 1 or more");
    return ranks;
  }

  // ---- refusals

  Status Check(size_t index, uint32_t ranks, const Candidates& candidates) const {
    const PlacementApp& app = request_.apps[index];
    if (Status status = CheckLoads(index, ranks, candidates); !status) return status;
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
    constexpr std::string_view kRemedy = kOversubscribe;
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
      wanted += Used(c.node);
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
    return int64_t{Used(c.node)} - int64_t{request_.nodes[c.node].slots};
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

  void Number(const PlacePolicy& policy, Candidates& candidates) {
    std::erase_if(candidates, [](const Candidate& c) { return c.count == 0; });
    for (const Candidate& c : candidates) {
      placement_.node_ranks[c.node] += c.count;
      threads_[c.node] += uint64_t{c.count} * std::max(policy.cpus_per_rank, 1U);
      if (turn_[c.node] == kNoTurn) turn_[c.node] = turns_++;
    }
    std::sort(candidates.begin(), candidates.end(), [this](const Candidate& a, const Candidate& b) {
      return turn_[a.node] < turn_[b.node];
    });
    if (policy.rank == RankBy::kNode) return NumberInTurn(candidates);
    const bool over_all = policy.rank == RankBy::kObject && policy.rank_order == RankOrder::kSpan;
    if (over_all && candidates.size() > 1) return NumberOverObjects(policy, candidates);
    for (const Candidate& c : candidates) {
      placement_.node_of_rank.insert(placement_.node_of_rank.end(), c.count,
                                     request_.nodes[c.node].id);
    }
  }

  // One rank for each object of each node, then the next for each.
  void NumberOverObjects(const PlacePolicy& policy, const Candidates& candidates) {
    using Key = std::tuple<const Hardware*, uint32_t, uint32_t>;
    std::map<Key, std::vector<uint32_t>> known;  // nodes of a kind with equal counts
    std::vector<const std::vector<uint32_t>*> passes;
    size_t most = 0;
    for (const Candidate& c : candidates) {
      const Hardware& hardware = HardwareAt(c.node);
      const auto [at, is_new] = known.try_emplace(Key{&hardware, c.before, c.count});
      if (is_new) {
        const auto locales = LocalesOf(hardware, policy, c.before, c.count);
        at->second = NumberPlaces(hardware, policy, locales).passes;
      }
      passes.push_back(&at->second);
      most = std::max(most, at->second.size());
    }
    for (size_t pass = 0; pass < most; ++pass) {
      for (size_t i = 0; i < candidates.size(); ++i) {
        if (pass >= passes[i]->size()) continue;
        placement_.node_of_rank.insert(placement_.node_of_rank.end(), (*passes[i])[pass],
                                       request_.nodes[candidates[i].node].id);
      }
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
    for (uint32_t i = 0; i < request_.nodes.size(); ++i) {
      const bool over = placement_.node_ranks[i] > 0 && Used(i) > request_.nodes[i].slots;
      placement_.node_oversubscribed.push_back(over);
      placement_.oversubscribed = placement_.oversubscribed || over;
    }
  }

  const PlacementRequest& request_;
  const uint32_t most_total_;
  std::optional<uint32_t> bookmark_;  // where the app before began
  std::vector<uint32_t> turn_;        // by node: the order in which nodes got their first ranks
  uint32_t turns_ = 0;
  uint64_t total_ = 0;             // ranks of all apps
  std::vector<uint64_t> threads_;  // by node: of this job's ranks so far
  std::map<std::pair<size_t, const Hardware*>, uint32_t> ppr_rooms_;
  Placement placement_;
};

}  // namespace

Result<Placement> Place(const PlacementRequest& request, uint32_t most_total) {
  return Placer(request, most_total).Run();
}

}  // namespace rex
