#include "sched/placement/node_places.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "launcher/base/fnv.h"
#include "launcher/base/text.h"
#include "sched/policy/policy_words.h"

namespace rex {

namespace {

constexpr uint32_t kNobody = UINT32_MAX;

Error NoResource(std::string text) { return Error{Errc::kResource, std::move(text)}; }

std::string CpuWord(bool threads) { return threads ? "hwthread" : "core"; }

void AddCpus(const Hardware& hardware, const CpuSpan& span, CpuWords* words) {
  for (uint32_t i = span.first; i < span.end(); ++i) {
    const size_t word = hardware.cpus[i] / 64;
    if (word >= words->size()) words->resize(word + 1);
    (*words)[word] |= uint64_t{1} << (hardware.cpus[i] % 64);
  }
}

const std::vector<CpuSpan>& CoresOf(const Hardware& hardware) {
  const auto& cores = hardware.Of(HwObject::kCore);
  return cores.empty() ? hardware.Of(HwObject::kHwthread) : cores;
}

// ---- ppr

HwObject LowestOf(const std::vector<PprPart>& parts) {
  HwObject lowest = HwObject::kNuma;
  for (const PprPart& part : parts) {
    if (!part.per_node) lowest = std::max(lowest, part.object);
  }
  return lowest;
}

bool OnlyPerNode(const std::vector<PprPart>& parts) {
  return std::all_of(parts.begin(), parts.end(), [](const PprPart& p) { return p.per_node; });
}

// One limit of a ppr: how many ranks the objects of a kind have and may have.
struct PprLimit {
  std::vector<CpuSpan> objects;
  std::vector<uint32_t> used;
  uint32_t most = 0;

  uint32_t* UsedAt(const CpuSpan& cpus) {
    for (size_t i = 0; i < objects.size(); ++i) {
      if (objects[i].Holds(cpus)) return &used[i];
    }
    return nullptr;
  }
};

std::vector<PprLimit> LimitsOf(const Hardware& hardware, const std::vector<PprPart>& parts) {
  std::vector<PprLimit> limits;
  for (const PprPart& part : parts) {
    PprLimit limit{.most = part.count};
    limit.objects =
        part.per_node ? std::vector<CpuSpan>{hardware.Whole()} : MapObjects(hardware, part.object);
    limit.used.assign(limit.objects.size(), 0);
    limits.push_back(std::move(limit));
  }
  return limits;
}

// How many ranks each of the lowest objects gets. In rounds of one each, so that the limits of
// larger objects leave the smaller ones equally full.
std::vector<uint32_t> PprCounts(const Hardware& hardware, const PlacePolicy& policy,
                                const std::vector<CpuSpan>& lowest) {
  std::vector<PprLimit> limits = LimitsOf(hardware, policy.ppr);
  std::vector<uint32_t> counts(lowest.size(), 0);
  for (bool any = true; any;) {
    any = false;
    for (size_t i = 0; i < lowest.size(); ++i) {
      std::vector<uint32_t*> holders;
      bool room = true;
      for (PprLimit& limit : limits) {
        uint32_t* used = limit.UsedAt(lowest[i]);
        room = room && used != nullptr && *used < limit.most;
        holders.push_back(used);
      }
      if (!room) continue;
      for (uint32_t* used : holders) ++*used;
      ++counts[i];
      any = true;
    }
  }
  return counts;
}

std::vector<CpuSpan> PprObjects(const Hardware& hardware, const PlacePolicy& policy) {
  if (OnlyPerNode(policy.ppr)) return {hardware.Whole()};
  return MapObjects(hardware, LowestOf(policy.ppr));
}

std::vector<Locale> PprLocales(const Hardware& hardware, const PlacePolicy& policy,
                               uint32_t count) {
  const std::vector<CpuSpan> objects = PprObjects(hardware, policy);
  const std::vector<uint32_t> counts = PprCounts(hardware, policy, objects);
  std::vector<Locale> locales;
  for (uint32_t i = 0; i < objects.size(); ++i) {
    for (uint32_t n = 0; n < counts[i] && locales.size() < count; ++n) {
      locales.push_back({objects[i], i});
    }
  }
  while (locales.size() < count) locales.push_back({hardware.Whole(), 0});
  return locales;
}

// ---- dist

// NUMA nodes, the nearest to the device first, each filled with as many ranks as it has processors.
std::vector<Locale> DistLocales(const Hardware& hardware, const PlacePolicy& policy,
                                uint32_t count) {
  std::vector<uint32_t> order = NumaOrder(hardware, policy.device);
  std::vector<Locale> locales;
  while (locales.size() < count) {
    const size_t before = locales.size();
    for (const uint32_t index : order) {
      const CpuSpan numa = hardware.Of(HwObject::kNuma)[index];
      const uint32_t cpus = CpusIn(hardware, numa, policy.hwthread_cpus);
      for (uint32_t n = 0; n < cpus && locales.size() < count; ++n) {
        locales.push_back({numa, index});
      }
    }
    if (locales.size() == before) locales.push_back({hardware.Whole(), 0});
  }
  return locales;
}

// ---- numbering

// One round over the objects: each numbers its first place that has no number.
uint32_t NumberRound(const std::vector<CpuSpan>& objects, const std::vector<Locale>& locales,
                     std::vector<bool>* numbered, std::vector<uint32_t>* order) {
  uint32_t count = 0;
  for (const CpuSpan& object : objects) {
    for (uint32_t place = 0; place < locales.size(); ++place) {
      if ((*numbered)[place] || !locales[place].cpus.Meets(object)) continue;
      (*numbered)[place] = true;
      order->push_back(place);
      ++count;
      break;
    }
  }
  return count;
}

void NumberFilling(const std::vector<CpuSpan>& objects, const std::vector<Locale>& locales,
                   std::vector<bool>* numbered, std::vector<uint32_t>* order) {
  for (const CpuSpan& object : objects) {
    for (uint32_t place = 0; place < locales.size(); ++place) {
      if ((*numbered)[place] || !locales[place].cpus.Meets(object)) continue;
      (*numbered)[place] = true;
      order->push_back(place);
    }
  }
}

// Places on processors that belong to no such object come last.
void NumberOutside(const std::vector<bool>& numbered, Numbering* numbering) {
  const size_t before = numbering->order.size();
  for (uint32_t place = 0; place < numbered.size(); ++place) {
    if (!numbered[place]) numbering->order.push_back(place);
  }
  const auto outside = static_cast<uint32_t>(numbering->order.size() - before);
  if (outside > 0) numbering->passes.push_back(outside);
}

// ---- binding

class Binder {
 public:
  Binder(const Hardware& hardware, const std::vector<uint32_t>& taken) : hardware_(hardware) {
    for (size_t kind = 0; kind < kHwObjects; ++kind) {
      bound_[kind].assign(ObjectsOf(static_cast<HwObject>(kind)).size(), 0);
    }
    for (const uint32_t cpu : taken) Take(cpu);
  }

  // Errors: kResource; kNotFound: it was only a default and there are too few processors.
  Result<CpuWords> Bind(const PlacePolicy& policy, const Locale& locale) {
    const auto& objects = ObjectsOf(policy.bind_object);
    if (objects.empty()) return NoObject(policy);
    return BindsInPlace(policy) ? InPlace(policy, objects, locale.index)
                                : Below(policy, objects, locale.cpus);
  }

 private:
  const std::vector<CpuSpan>& ObjectsOf(HwObject object) const {
    return object == HwObject::kCore ? CoresOf(hardware_) : hardware_.Of(object);
  }

  // Somebody else's: all objects around it have one rank more.
  void Take(uint32_t cpu) {
    for (size_t kind = 0; kind < kHwObjects; ++kind) {
      const auto& objects = ObjectsOf(static_cast<HwObject>(kind));
      for (size_t i = 0; i < objects.size(); ++i) {
        if (objects[i].Holds({cpu, 1})) ++bound_[kind][i];
      }
    }
  }

  static bool BindsInPlace(const PlacePolicy& policy) {
    if (policy.map == MapBy::kObject) return policy.map_object == policy.bind_object;
    if (policy.map == MapBy::kDist) return policy.bind_object == HwObject::kNuma;
    return policy.map == MapBy::kPpr && !OnlyPerNode(policy.ppr) &&
           LowestOf(policy.ppr) == policy.bind_object;
  }

  uint32_t& Bound(const PlacePolicy& policy, size_t index) {
    return bound_[static_cast<size_t>(policy.bind_object)][index];
  }

  bool HasRoom(const PlacePolicy& policy, const std::vector<CpuSpan>& objects, size_t index) {
    return Bound(policy, index) < CpusIn(hardware_, objects[index], policy.hwthread_cpus);
  }

  Error TooFew(const PlacePolicy& policy) const {
    if (policy.bind_is_default) return Error{Errc::kNotFound, "too few processors"};
    const std::string object(ObjectName(policy.bind_object));
    return NoResource("binding to " + object + " would put more ranks on a " + object +
                      " than it has usable " + CpuWord(policy.hwthread_cpus) +
                      "s; give --bind-to " + object +
                      ":overload-allowed to share them, or --bind-to none");
  }

  // Where it was mapped to; when that is full at the next one to the right, then to the left.
  Result<CpuWords> InPlace(const PlacePolicy& policy, const std::vector<CpuSpan>& objects,
                           uint32_t index) {
    REX_CHECK(index < objects.size());
    uint32_t chosen = kNobody;
    for (uint32_t i = index; i < objects.size() && chosen == kNobody; ++i) {
      if (HasRoom(policy, objects, i)) chosen = i;
    }
    for (uint32_t i = index; i > 0 && chosen == kNobody; --i) {
      if (HasRoom(policy, objects, i - 1)) chosen = i - 1;
    }
    if (chosen == kNobody && !policy.overload) return TooFew(policy);
    if (chosen == kNobody) chosen = index;
    ++Bound(policy, chosen);
    CpuWords words;
    AddCpus(hardware_, objects[chosen], &words);
    return words;
  }

  // The least bound object that meets where it was mapped to, and as many of the following as give
  // it cpus_per_rank processors.
  Result<CpuWords> Below(const PlacePolicy& policy, const std::vector<CpuSpan>& objects,
                         const CpuSpan& locale) {
    uint32_t best = kNobody;
    for (uint32_t i = 0; i < objects.size(); ++i) {
      if (!objects[i].Meets(locale)) continue;
      if (best == kNobody || Bound(policy, i) < Bound(policy, best)) best = i;
    }
    if (best == kNobody) return NoObject(policy);
    CpuWords words;
    uint32_t cpus = 0;
    uint32_t i = best;
    do {
      if (i >= objects.size()) return NotInARow(policy);
      const uint32_t here = CpusIn(hardware_, objects[i], policy.hwthread_cpus);
      if (++Bound(policy, i) > here && !policy.overload) return TooFew(policy);
      AddCpus(hardware_, objects[i], &words);
      cpus += here;
      ++i;
    } while (cpus < policy.cpus_per_rank);
    return words;
  }

  static Error NoObject(const PlacePolicy& policy) {
    return NoResource("there is no " + std::string(ObjectName(policy.bind_object)) +
                      " to bind a rank to; choose another object for --bind-to");
  }

  static Error NotInARow(const PlacePolicy& policy) {
    const std::string cpu = CpuWord(policy.hwthread_cpus);
    return NoResource("PE=" + std::to_string(policy.cpus_per_rank) + ": fewer than " +
                      std::to_string(policy.cpus_per_rank) + " usable " + cpu +
                      "s are left for a rank; lower PE, or start fewer ranks on the node");
  }

  const Hardware& hardware_;
  std::array<std::vector<uint32_t>, kHwObjects> bound_;  // ranks on each object
};

// ---- lists

struct Range {
  uint32_t first = 0;
  uint32_t last = 0;
};

std::optional<Range> ParseRange(std::string_view text) {
  const size_t dash = text.find('-');
  const auto number = [](std::string_view digits) -> std::optional<uint32_t> {
    if (digits.empty() || digits.size() > 6) return std::nullopt;
    uint32_t value = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + static_cast<uint32_t>(c - '0');
    }
    return value;
  };
  const auto first = number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return Range{*first, *last};
}

std::string_view WithoutLetter(std::string_view text, char letter) {
  const bool has = !text.empty() && (text[0] == letter || text[0] == letter - 'a' + 'A');
  return has ? text.substr(1) : text;
}

// Reads one slot list; what is wrong is kept.
class SlotList {
 public:
  SlotList(const Hardware& hardware, bool threads) : hardware_(hardware), threads_(threads) {}

  Result<CpuWords> Parse(const std::string& text) {
    for (const std::string_view item : Split(text, ';')) {
      if (Status taken = TakeItem(item); !taken) return taken.error();
    }
    return std::move(words_);
  }

 private:
  Status TakeItem(std::string_view item) {
    const bool socket = !item.empty() && (item[0] == 's' || item[0] == 'S');
    if (!socket && item.find(':') == std::string_view::npos) {
      const auto& cpus = threads_ ? hardware_.Of(HwObject::kHwthread) : CoresOf(hardware_);
      return TakeRanges(item, cpus, hardware_.Whole(), CpuWord(threads_).c_str());
    }
    std::string_view where;  // the socket of "0:1,2" holds for the 2, too
    for (std::string_view part : Split(WithoutLetter(item, 's'), ',')) {
      part = WithoutLetter(part, 's');
      const size_t colon = part.find(':');
      if (colon != std::string_view::npos) where = part.substr(0, colon);
      Status taken = Ok{};
      if (colon == std::string_view::npos && where.empty()) {
        taken = TakeSockets(part);
      } else {
        taken = TakeCores(where, colon == std::string_view::npos ? part : part.substr(colon + 1));
      }
      if (!taken) return taken;
    }
    return Ok{};
  }

  Status TakeSockets(std::string_view part) {
    return TakeRanges(part, hardware_.Of(HwObject::kSocket), hardware_.Whole(), "socket");
  }

  Status TakeCores(std::string_view socket, std::string_view cores) {
    const auto which = ParseRange(socket);
    const auto& sockets = hardware_.Of(HwObject::kSocket);
    if (!which) return Bad("'" + std::string(socket) + "' is not a socket's number");
    if (which->last >= sockets.size()) return None("socket", which->last, sockets.size());
    std::vector<CpuSpan> inside;
    for (const CpuSpan& core : CoresOf(hardware_)) {
      if (sockets[which->first].Holds(core)) inside.push_back(core);
    }
    const std::string what = "core of socket " + std::to_string(which->first);
    for (const std::string_view range : Split(cores, ':')) {
      const Status taken =
          TakeRanges(WithoutLetter(range, 'c'), inside, sockets[which->first], what.c_str());
      if (!taken) return taken;
    }
    return Ok{};
  }

  Status TakeRanges(std::string_view text, const std::vector<CpuSpan>& objects, const CpuSpan& all,
                    const char* what) {
    if (text.starts_with('*')) {
      AddCpus(hardware_, all, &words_);
      return Ok{};
    }
    for (const std::string_view part : Split(text, ',')) {
      const auto range = ParseRange(part);
      if (!range) return Bad("'" + std::string(part) + "' is not a number or a range of numbers");
      if (range->last >= objects.size()) return None(what, range->last, objects.size());
      for (uint32_t i = range->first; i <= range->last; ++i) {
        AddCpus(hardware_, objects[i], &words_);
      }
    }
    return Ok{};
  }

  static Error Bad(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }
  static Error None(const std::string& what, uint32_t number, size_t there) {
    return Bad("there is no " + what + " number " + std::to_string(number) + "; usable are " +
               std::to_string(there) + ", counted from 0");
  }

  const Hardware& hardware_;
  const bool threads_;
  CpuWords words_;
};

// An app's ranks with their places, in the order of mapping.
struct PlacedApp {
  std::vector<Locale> locales;
  std::vector<uint32_t> ranks;  // by place
};

PlacedApp PlaceOf(const Hardware& hardware, const NodeApp& app, uint32_t before) {
  PlacedApp placed;
  const auto count = static_cast<uint32_t>(app.ranks.size());
  placed.locales = LocalesOf(hardware, *app.policy, before, count);
  const Numbering numbering = NumberPlaces(hardware, *app.policy, placed.locales);
  placed.ranks.resize(count);
  for (uint32_t k = 0; k < count; ++k) placed.ranks[numbering.order[k]] = app.ranks[k];
  return placed;
}

// Binding to the job's list of cpus: each rank to all, or in order one each.
class ListBinder {
 public:
  explicit ListBinder(const Hardware& hardware) : hardware_(hardware) {}

  // `local`: the rank's number among all of the node's.
  Result<CpuWords> Bind(const PlacePolicy& policy, uint32_t local) const {
    const auto cpus = CpusOfList(hardware_, policy);
    if (!cpus) return cpus.error();
    CpuWords words;
    if (policy.ordered && local >= cpus->size()) {
      return NoResource("the cpu list has " + std::to_string(cpus->size()) +
                        " usable hwthreads on the node, too few for one each; name more, or "
                        "leave out ordered");
    }
    for (size_t i = 0; i < cpus->size(); ++i) {
      if (!policy.ordered || i == local) AddCpus(hardware_, {(*cpus)[i], 1}, &words);
    }
    return words;
  }

 private:
  const Hardware& hardware_;
};

class NodePlanner {
 public:
  NodePlanner(const Hardware& hardware, const std::vector<NodeApp>& apps,
              const std::vector<uint32_t>& taken)
      : hardware_(hardware), apps_(apps), binder_(hardware, taken), list_binder_(hardware) {}

  Result<NodePlan> Run() {
    uint32_t before = 0;
    for (uint32_t app = 0; app < apps_.size(); ++app) {
      if (Status planned = PlanApp(app, before); !planned) return planned.error();
      before += static_cast<uint32_t>(apps_[app].ranks.size());
    }
    std::sort(plan_.ranks.begin(), plan_.ranks.end(),
              [](const NodeRank& a, const NodeRank& b) { return a.rank < b.rank; });
    if (Status bound = BindByOrder(); !bound) return bound.error();
    if (plan_.default_left_out) LeaveDefaultsOut();
    return std::move(plan_);
  }

 private:
  // Ranks are bound in the order in which they were mapped, not by number.
  Status PlanApp(uint32_t index, uint32_t before) {
    const NodeApp& app = apps_[index];
    const PlacedApp placed = PlaceOf(hardware_, app, before);
    for (size_t place = 0; place < placed.ranks.size(); ++place) {
      NodeRank rank{.rank = placed.ranks[place], .app = index};
      if (app.policy->bind == BindTo::kObject && app.slot_lists.empty()) {
        auto cpus = binder_.Bind(*app.policy, placed.locales[place]);
        if (cpus) {
          rank.cpus = *std::move(cpus);
        } else if (cpus.error().code == Errc::kNotFound) {
          plan_.default_left_out = true;
        } else {
          return cpus.error();
        }
      }
      plan_.ranks.push_back(std::move(rank));
    }
    return Ok{};
  }

  // What goes by the rank's number on the node, or is said for each rank.
  Status BindByOrder() {
    std::vector<size_t> next(apps_.size(), 0);
    for (uint32_t local = 0; local < plan_.ranks.size(); ++local) {
      NodeRank& rank = plan_.ranks[local];
      const NodeApp& app = apps_[rank.app];
      const size_t of_app = next[rank.app]++;
      Result<CpuWords> cpus = CpuWords{};
      if (of_app < app.slot_lists.size() && !app.slot_lists[of_app].empty()) {
        cpus = ParseSlotList(hardware_, app.slot_lists[of_app], app.policy->hwthread_cpus);
      } else if (app.policy->bind == BindTo::kCpuList) {
        cpus = list_binder_.Bind(*app.policy, local);
      } else {
        continue;
      }
      if (!cpus) {
        return NoResource("rank " + std::to_string(rank.rank) + ": " + cpus.error().text);
      }
      rank.cpus = *std::move(cpus);
    }
    return Ok{};
  }

  void LeaveDefaultsOut() {
    for (NodeRank& rank : plan_.ranks) {
      if (apps_[rank.app].policy->bind_is_default) rank.cpus.clear();
    }
  }

  const Hardware& hardware_;
  const std::vector<NodeApp>& apps_;
  Binder binder_;
  ListBinder list_binder_;
  NodePlan plan_;
};

}  // namespace

std::vector<CpuSpan> MapObjects(const Hardware& hardware, HwObject object) {
  const auto& objects = object == HwObject::kCore ? CoresOf(hardware) : hardware.Of(object);
  return objects.empty() ? std::vector<CpuSpan>{hardware.Whole()} : objects;
}

uint32_t CpusIn(const Hardware& hardware, const CpuSpan& span, bool threads) {
  if (threads) return span.count;
  const auto& cores = CoresOf(hardware);  // ascending, apart
  const auto first = std::partition_point(
      cores.begin(), cores.end(), [&](const CpuSpan& core) { return core.first < span.first; });
  const auto last = std::partition_point(
      first, cores.end(), [&](const CpuSpan& core) { return core.end() <= span.end(); });
  return static_cast<uint32_t>(last - first);
}

uint32_t CpusIn(const Hardware& hardware, const CpuWords& cpus, bool threads) {
  const auto has = [&cpus](uint32_t cpu) {
    return cpu / 64 < cpus.size() && (cpus[cpu / 64] >> (cpu % 64) & 1) != 0;
  };
  const auto& units = threads ? hardware.Of(HwObject::kHwthread) : CoresOf(hardware);
  uint32_t count = 0;
  for (const CpuSpan& unit : units) {
    bool any = false;
    for (uint32_t i = unit.first; i < unit.end(); ++i) any = any || has(hardware.cpus[i]);
    count += any ? 1 : 0;
  }
  return std::max(count, 1U);
}

uint32_t PprRoom(const Hardware& hardware, const PlacePolicy& policy) {
  uint32_t room = 0;
  for (const uint32_t count : PprCounts(hardware, policy, PprObjects(hardware, policy))) {
    room += count;
  }
  return room;
}

std::vector<Locale> LocalesOf(const Hardware& hardware, const PlacePolicy& policy, uint32_t before,
                              uint32_t count) {
  if (policy.map == MapBy::kPpr) return PprLocales(hardware, policy, count);
  if (policy.map == MapBy::kDist) return DistLocales(hardware, policy, count);
  const std::vector<CpuSpan> objects = policy.map == MapBy::kObject
                                           ? MapObjects(hardware, policy.map_object)
                                           : std::vector<CpuSpan>{hardware.Whole()};
  std::vector<Locale> locales;
  locales.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const auto index = static_cast<uint32_t>((uint64_t{before} + i) % objects.size());
    locales.push_back({objects[index], index});
  }
  return locales;
}

Numbering NumberPlaces(const Hardware& hardware, const PlacePolicy& policy,
                       const std::vector<Locale>& locales) {
  Numbering numbering;
  const auto count = static_cast<uint32_t>(locales.size());
  if (policy.rank != RankBy::kObject) {
    for (uint32_t i = 0; i < count; ++i) numbering.order.push_back(i);
    return numbering;
  }
  const std::vector<CpuSpan> objects = MapObjects(hardware, policy.rank_object);
  std::vector<bool> numbered(count, false);
  if (policy.rank_order == RankOrder::kFill) {
    NumberFilling(objects, locales, &numbered, &numbering.order);
    NumberOutside(numbered, &numbering);
    return numbering;
  }
  while (numbering.order.size() < count) {
    const uint32_t round = NumberRound(objects, locales, &numbered, &numbering.order);
    if (round == 0) break;
    numbering.passes.push_back(round);
  }
  NumberOutside(numbered, &numbering);
  return numbering;
}

Result<NodePlan> PlanNode(const Hardware& hardware, const std::vector<NodeApp>& apps,
                          const std::vector<uint32_t>& taken) {
  return NodePlanner(hardware, apps, taken).Run();
}

uint64_t Digest(const NodePlan& plan) {
  std::string bytes;
  const auto add = [&bytes](uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
      bytes.push_back(static_cast<char>(number >> shift & 0xff));
    }
  };
  for (const NodeRank& rank : plan.ranks) {
    add(rank.rank);
    add(rank.app);
    add(rank.cpus.size());
    for (const uint64_t word : rank.cpus) add(word);
  }
  return Fnv(bytes);
}

Result<CpuWords> ParseSlotList(const Hardware& hardware, const std::string& text, bool threads) {
  return SlotList(hardware, threads).Parse(text);
}

Result<std::vector<uint32_t>> CpusOfList(const Hardware& hardware, const PlacePolicy& policy) {
  std::vector<uint32_t> cpus;
  if (policy.cpu_list.empty()) {
    for (uint32_t i = 0; i < hardware.cpus.size(); ++i) cpus.push_back(i);
    return cpus;
  }
  const auto& units = policy.hwthread_cpus ? hardware.Of(HwObject::kHwthread) : CoresOf(hardware);
  for (const std::string_view part : Split(policy.cpu_list, ',')) {
    const auto range = ParseRange(part);
    if (!range) return Error{Errc::kInvalid, "the cpu list '" + policy.cpu_list + "' is malformed"};
    for (uint32_t i = range->first; i <= range->last && i < units.size(); ++i) {
      for (uint32_t cpu = units[i].first; cpu < units[i].end(); ++cpu) cpus.push_back(cpu);
    }
  }
  if (cpus.empty()) {
    return Error{Errc::kInvalid, "none of the cpus " + policy.cpu_list +
                                     " is usable there; usable "
                                     "are " +
                                     std::to_string(units.size()) + ", counted from 0"};
  }
  // By OS number, as mpirun's sets are: 'ordered' goes by that.
  std::sort(cpus.begin(), cpus.end(),
            [&hardware](uint32_t a, uint32_t b) { return hardware.cpus[a] < hardware.cpus[b]; });
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

}  // namespace rex
