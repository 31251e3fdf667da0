#include "sched/policy/policy_words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <vector>

namespace rex {

namespace {

Error Bad(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

std::string Quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::vector<std::string_view> Split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find_first_of(separators);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// A number from 1 to `most`.
std::optional<uint32_t> Number(std::string_view text, uint32_t most) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || number == 0 || number > most) return std::nullopt;
  return number;
}

constexpr std::array kObjectNames = std::to_array<std::string_view>(
    {"numa", "socket", "l3cache", "l2cache", "l1cache", "core", "hwthread"});
static_assert(kObjectNames.size() == kHwObjects);

std::optional<HwObject> ObjectOf(std::string_view name) {
  const auto* at = std::find(kObjectNames.begin(), kObjectNames.end(), name);
  if (at == kObjectNames.end()) return std::nullopt;
  return static_cast<HwObject>(at - kObjectNames.begin());
}

// The first word that begins with `text`, which is not empty, as mpirun looks for it; package is
// another name of socket.
std::optional<std::string_view> Match(const std::string& text,
                                      std::span<const std::string_view> words) {
  if (text.empty()) return std::nullopt;
  for (const std::string_view word : words) {
    if (word.starts_with(text)) return word == "package" ? "socket" : word;
  }
  return std::nullopt;
}

// In mpirun's order, which decides what a beginning means; what it does not have comes last.
constexpr std::array kMapWords = std::to_array<std::string_view>(
    {"slot", "node", "seq", "core", "l1cache", "l2cache", "l3cache", "socket", "numa", "board",
     "hwthread", "dist", "package", "rankfile", "load"});
constexpr std::array kRankWords =
    std::to_array<std::string_view>({"slot", "node", "hwthread", "core", "l1cache", "l2cache",
                                     "l3cache", "socket", "numa", "board", "package"});
constexpr std::array kPprWords =
    std::to_array<std::string_view>({"node", "hwthread", "thread", "core", "socket", "skt",
                                     "l1cache", "l2cache", "l3cache", "numa", "package"});

std::string ListOf(std::span<const std::string_view> words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + std::string(words[i]);
  }
  return text;
}

// ---- --map-by

Status TakePe(std::string_view word, PlacePolicy* policy) {
  const size_t equals = word.find('=');
  const auto number = equals == std::string_view::npos
                          ? std::nullopt
                          : Number(word.substr(equals + 1), kMaxCpusPerRank);
  if (!number) {
    return Bad(Quoted(word) +
               " has no number of processors for each rank; write PE=N with N from "
               "1 to " +
               std::to_string(kMaxCpusPerRank));
  }
  policy->cpus_per_rank = *number;
  return Ok{};
}

Status TakeMapModifier(std::string_view word, PlacePolicy* policy, MapModifiers* modifiers) {
  const std::string name = Lower(word);
  if (name.starts_with("pe")) return TakePe(word, policy);
  if (name == "span") {
    policy->span = true;
  } else if (name == "oversubscribe") {
    modifiers->oversubscribe = true;
  } else if (name == "nooversubscribe") {
    modifiers->nooversubscribe = true;
  } else if (name == "nolocal") {
    modifiers->nolocal = true;
  } else if (name == "hwtcpus") {
    policy->hwthread_cpus = true;
  } else {
    return Bad(Quoted(word) +
               " is not a modifier; write PE=N, SPAN, OVERSUBSCRIBE, NOOVERSUBSCRIBE, NOLOCAL or "
               "HWTCPUS");
  }
  return Ok{};
}

Status TakeMapModifiers(std::string_view text, PlacePolicy* policy, MapModifiers* modifiers) {
  for (const std::string_view word : Split(text, ",:")) {
    if (Status taken = TakeMapModifier(word, policy, modifiers); !taken) return taken;
  }
  return Ok{};
}

void SetMap(std::string_view word, PlacePolicy* policy) {
  policy->ppr.clear();
  policy->map_is_default = false;
  if (word == "slot") policy->map = MapBy::kSlot;
  if (word == "node" || word == "board") policy->map = MapBy::kNode;
  if (word == "seq") policy->map = MapBy::kSeq;
  if (word == "dist") policy->map = MapBy::kDist;
  if (word == "load") policy->map = MapBy::kLoad;
  if (word == "rankfile") policy->map = MapBy::kRankfile;
  if (const auto object = ObjectOf(word)) {
    policy->map = MapBy::kObject;
    policy->map_object = *object;
    // Ranks on threads of their own make threads the processors that are counted.
    if (*object == HwObject::kHwthread) policy->hwthread_cpus = true;
  }
}

std::optional<PprPart> PprPartOf(std::string_view count, std::string_view object) {
  const auto number = Number(count, 1 << 20);
  const auto word = Match(Lower(object), kPprWords);
  if (!number || !word) return std::nullopt;
  PprPart part{.count = *number, .per_node = *word == "node"};
  if (*word == "thread") part.object = HwObject::kHwthread;
  if (*word == "skt") part.object = HwObject::kSocket;
  if (const auto named = ObjectOf(*word)) part.object = *named;
  return part;
}

// "ppr:2:socket,1:core:PE=2" without "ppr:": the parts end where a ':' is not between a number and
// an object.
Status TakePprAndRest(std::string_view text, PlacePolicy* policy, MapModifiers* modifiers) {
  size_t end = text.find(':');
  if (end != std::string_view::npos) {
    // Each further "N:" needs a comma before its number.
    for (;;) {
      const size_t next = text.find(':', end + 1);
      const size_t comma = text.find(',', end + 1);
      end = next;
      if (next == std::string_view::npos || comma == std::string_view::npos || comma > next) break;
    }
  }
  if (Status taken = TakePpr(text.substr(0, end), policy); !taken) return taken;
  if (end == std::string_view::npos) return Ok{};
  return TakeMapModifiers(text.substr(end + 1), policy, modifiers);
}

// ---- --bind-to

Status TakeBindQualifiers(std::string_view text, PlacePolicy* policy) {
  for (const std::string_view word : Split(text, ",:")) {
    const std::string name = Lower(word);
    if (name == "overload-allowed" || name == "oversubscribe-allowed") {
      policy->overload = true;
    } else if (name == "ordered") {
      policy->ordered = true;
    } else if (name != "if-supported") {  // Linux always supports it
      return Bad(Quoted(word) +
                 " is not a qualifier; write overload-allowed, if-supported or ordered");
    }
  }
  return Ok{};
}

bool SetBind(const std::string& name, PlacePolicy* policy) {
  const std::string word = name == "package" ? "socket" : name;
  if (word == "none" || word == "board") {  // a board is the node: nothing to bind to
    policy->bind = BindTo::kNone;
  } else if (word == "cpu-list" || word == "cpulist") {
    policy->bind = BindTo::kCpuList;
  } else if (const auto object = ObjectOf(word)) {
    policy->bind = BindTo::kObject;
    policy->bind_object = *object;
    if (*object == HwObject::kHwthread) policy->hwthread_cpus = true;
  } else {
    return false;
  }
  return true;
}

}  // namespace

Status TakeMapBy(std::string_view text, PlacePolicy* policy, MapModifiers* modifiers) {
  const size_t colon = text.find(':');
  const std::string object = Lower(text.substr(0, colon));
  const std::string_view rest = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (object == "ppr") return TakePprAndRest(rest, policy, modifiers);
  if (!object.empty() || colon == std::string_view::npos) {
    const auto word = Match(object, kMapWords);
    if (!word) {
      return Bad(Quoted(text.substr(0, colon)) + " is not something to map by; write " +
                 ListOf(kMapWords) + ", or ppr:N:OBJECT");
    }
    SetMap(*word, policy);
  } else if (policy->map == MapBy::kUnset) {  // as mpirun: then it is by socket
    SetMap("socket", policy);
    policy->map_is_default = true;
  }
  if (colon == std::string_view::npos) return Ok{};
  return TakeMapModifiers(rest, policy, modifiers);
}

Status TakePpr(std::string_view text, PlacePolicy* policy) {
  std::vector<PprPart> parts;
  for (const std::string_view part : Split(text, ",")) {
    const size_t colon = part.find(':');
    const auto taken = colon == std::string_view::npos
                           ? std::nullopt
                           : PprPartOf(part.substr(0, colon), part.substr(colon + 1));
    if (!taken) {
      return Bad(Quoted(part) +
                 " is not a number of ranks for each object; write N:OBJECT with "
                 "OBJECT one of " +
                 ListOf(kPprWords));
    }
    parts.push_back(*taken);
  }
  policy->map = MapBy::kPpr;
  policy->map_is_default = false;
  policy->ppr = std::move(parts);
  return Ok{};
}

Status TakeRankBy(std::string_view text, PlacePolicy* policy) {
  const size_t colon = text.find(':');
  const auto word = Match(Lower(text.substr(0, colon)), kRankWords);
  if (!word) {
    return Bad(Quoted(text.substr(0, colon)) + " is not something to rank by; write " +
               ListOf(kRankWords));
  }
  const std::string order = colon == std::string_view::npos ? "" : Lower(text.substr(colon + 1));
  if (colon != std::string_view::npos && order != "span" && order != "fill") {
    return Bad(Quoted(text.substr(colon + 1)) + " is not a modifier; write SPAN or FILL");
  }
  policy->rank_order = order == "span"   ? RankOrder::kSpan
                       : order == "fill" ? RankOrder::kFill
                                         : RankOrder::kAcross;
  policy->rank = *word == "slot" ? RankBy::kSlot : RankBy::kNode;
  if (const auto object = ObjectOf(*word)) {
    policy->rank = RankBy::kObject;
    policy->rank_object = *object;
  }
  return Ok{};
}

Status TakeBindTo(std::string_view text, PlacePolicy* policy) {
  const size_t colon = text.find(':');
  const std::string object = Lower(text.substr(0, colon));
  const bool only_qualifiers = object.empty() && colon != std::string_view::npos;
  if (!only_qualifiers && !SetBind(object, policy)) {
    return Bad(Quoted(text.substr(0, colon)) + " is not something to bind to; write none, " +
               ListOf(kObjectNames) + ", package, board or cpu-list");
  }
  if (colon == std::string_view::npos) return Ok{};
  return TakeBindQualifiers(text.substr(colon + 1), policy);
}

Status TakeCpuList(std::string_view text, PlacePolicy* policy) {
  for (const std::string_view part : Split(text, ",")) {
    const auto ends = Split(part, "-");
    for (const std::string_view end : ends) {
      const bool digits = !end.empty() && end.size() < 7 &&
                          end.find_first_not_of("0123456789") == std::string_view::npos;
      if (!digits || ends.size() > 2) {
        return Bad(Quoted(part) +
                   " is not a cpu's number or a range of them; write for example "
                   "0,2-5");
      }
    }
  }
  policy->cpu_list = text;
  return Ok{};
}

std::string_view ObjectName(HwObject object) { return kObjectNames[static_cast<size_t>(object)]; }

std::string MapName(const PlacePolicy& policy) {
  switch (policy.map) {
    case MapBy::kUnset:
    case MapBy::kSlot:
      return "slot";
    case MapBy::kNode:
      return "node";
    case MapBy::kObject:
      return std::string(ObjectName(policy.map_object));
    case MapBy::kSeq:
      return "seq";
    case MapBy::kDist:
      return "dist";
    case MapBy::kRankfile:
      return "rankfile";
    case MapBy::kLoad:
      return "load";
    case MapBy::kPpr:
      break;
  }
  std::string text = "ppr";
  for (const PprPart& part : policy.ppr) {
    text += (text == "ppr" ? ":" : ",") + std::to_string(part.count) + ":" +
            (part.per_node ? "node" : std::string(ObjectName(part.object)));
  }
  return text;
}

std::string BindName(const PlacePolicy& policy) {
  if (policy.bind == BindTo::kObject) return std::string(ObjectName(policy.bind_object));
  return policy.bind == BindTo::kCpuList ? "cpu-list" : "none";
}

}  // namespace rex
