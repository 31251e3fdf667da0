#include "launcher/values/host_list.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>

#include "launcher/values/number.h"
#include "launcher/wire/messages.h"

namespace rex {

namespace {

Error Bad(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

std::string Quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

std::optional<uint32_t> SlotNumber(std::string_view text) {
  const auto number = ParseWhole(text);
  if (!number || *number == 0 || *number > kMaxRanks) return std::nullopt;
  return static_cast<uint32_t>(*number);
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
}

// Why a name of a host or user can't be taken; empty: it can. A word that begins with '-' would be
// an option to ssh.
std::string NameTrouble(std::string_view name, std::string_view what) {
  const std::string whose = "a " + std::string(what) + "'s name";
  if (name.empty()) return whose + " is empty";
  if (HasControl(name)) return whose + " has control characters in it";
  if (name[0] == '-') return Quoted(name) + " is not " + whose + ": it begins with '-'";
  if (name.size() > kMaxHostNameBytes) {
    return whose + " is longer than " + std::to_string(kMaxHostNameBytes) + " bytes";
  }
  return "";
}

// "[fe80::1]" without its brackets.
std::string_view Unbracketed(std::string_view name) {
  const bool bracketed = name.size() > 2 && name.front() == '[' && name.back() == ']';
  return bracketed ? name.substr(1, name.size() - 2) : name;
}

// "user@host" or "^host" into `entry`. Empty: taken; else what is wrong with it.
std::string TakeName(std::string_view word, HostEntry& entry) {
  if (word.starts_with('^')) {
    entry.kind = HostKind::kExcluded;
    word.remove_prefix(1);
  }
  const size_t at = word.rfind('@');
  if (at != std::string_view::npos) {
    entry.user = word.substr(0, at);
    if (auto trouble = NameTrouble(entry.user, "user"); !trouble.empty()) return trouble;
    word.remove_prefix(at + 1);
  }
  entry.name = Unbracketed(word);
  return HostNameTrouble(entry.name);
}

// Hosts in order, each once: a name that comes again adds its slots, as with mpirun.
class HostCollector {
 public:
  void Add(HostEntry entry) {
    if (entry.kind == HostKind::kNth || entry.kind == HostKind::kEmpty) {
      hosts_.push_back(std::move(entry));
      return;
    }
    const std::string key = (entry.kind == HostKind::kExcluded ? "^" : "") + entry.user + "\n" +
                            entry.name + "\n" + std::to_string(entry.port);  // no '\n' in names
    const auto [at, is_new] = index_.emplace(key, hosts_.size());
    if (is_new) {
      hosts_.push_back(std::move(entry));
      return;
    }
    HostEntry& same = hosts_[at->second];
    same.slots = std::min(same.slots + entry.slots, kMaxRanks);
    same.max_slots = std::max(same.max_slots, entry.max_slots);
    same.all_cores = false;  // named once for each slot
  }
  std::vector<HostEntry> Take() { return std::move(hosts_); }

 private:
  std::vector<HostEntry> hosts_;
  std::unordered_map<std::string, size_t> index_;
};

// A hostfile's text without its comments; columns and lines stay where they are.
std::string BlankComments(std::string_view text) {
  std::string out(text);
  bool in_block = false;
  bool in_line = false;
  bool in_quotes = false;
  for (size_t i = 0; i < out.size(); ++i) {
    const std::string_view rest = text.substr(i);
    if (out[i] == '\n') {
      in_line = false;
      in_quotes = false;
      continue;
    }
    if (!in_block && !in_line && out[i] == '"') in_quotes = !in_quotes;
    if (in_block && rest.starts_with("*/")) {
      out[i] = out[i + 1] = ' ';
      ++i;
      in_block = false;
      continue;
    }
    if (!in_block && !in_quotes && rest.starts_with("/*")) in_block = true;
    if (!in_block && !in_quotes && (rest.starts_with("//") || out[i] == '#')) in_line = true;
    if (in_block || in_line) out[i] = ' ';
  }
  return out;
}

struct Word {
  std::string text;
  size_t column;  // from 1
};

// Words of a line; "name = value" is one word.
std::vector<Word> SplitLine(std::string_view line) {
  std::vector<Word> words;
  for (size_t i = 0; i < line.size();) {
    if (line[i] == ' ' || line[i] == '\t' || line[i] == '\r') {
      ++i;
      continue;
    }
    const bool joins = line[i] == '=' || (!words.empty() && words.back().text.ends_with('='));
    if (!joins || words.empty()) words.push_back({"", i + 1});
    const bool quoted = line[i] == '"';
    const size_t from = quoted ? i + 1 : i;
    size_t end = line.find_first_of(quoted ? "\"" : " \t\r", from);
    if (end == std::string_view::npos) end = line.size();
    words.back().text += line.substr(from, end - from);
    i = quoted ? end + 1 : end;
  }
  return words;
}

constexpr std::array<std::string_view, 5> kSlotKeys = {"slots", "slot", "cpu", "cpus", "count"};
constexpr std::array<std::string_view, 4> kMaxKeys = {"max_slots", "max-slots", "slots_max",
                                                      "slots-max"};
constexpr std::array<std::string_view, 3> kUserKeys = {"username", "user-name", "user_name"};

template <size_t n>
bool IsOneOf(std::string_view key, const std::array<std::string_view, n>& keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// What a line of a hostfile says beside the name.
struct Attributes {
  std::optional<uint32_t> slots;
  std::optional<uint32_t> max_slots;
};

std::string TakeUser(std::string_view name, HostEntry& entry) {
  if (auto trouble = NameTrouble(name, "user"); !trouble.empty()) return trouble;
  entry.user = name;
  return "";
}

std::string TakePort(std::string_view word, std::string_view text, HostEntry& entry) {
  const auto port = ParseWhole(text);
  if (!port || *port == 0 || *port > UINT16_MAX) {
    return Quoted(word) + " has no port, which is 1 to 65535";
  }
  entry.port = static_cast<uint32_t>(*port);
  return "";
}

// One attribute of a line. Empty: taken; else what is wrong with it.
std::string TakeAttribute(std::string_view word, HostEntry& entry, Attributes& attributes) {
  const size_t equals = word.find('=');
  const std::string_view key = word.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
  if (equals != std::string_view::npos && IsOneOf(key, kUserKeys)) return TakeUser(value, entry);
  if (equals != std::string_view::npos && key == "port") return TakePort(word, value, entry);
  const bool slots = IsOneOf(key, kSlotKeys);
  if (equals == std::string_view::npos || (!slots && !IsOneOf(key, kMaxKeys))) {
    return Quoted(word) +
           " is not supported here; write slots=N, max_slots=N, username=NAME or port=N";
  }
  const auto number = SlotNumber(value);
  if (!number) return Quoted(word) + " has no number of slots, which is at least 1";
  (slots ? attributes.slots : attributes.max_slots) = number;
  return "";
}

// "+e", "+e:COUNT", "+nNUMBER" or "+nNUMBER:SLOTS". Empty: taken; else what is wrong with it.
std::string TakeRelative(std::string_view word, HostEntry& entry) {
  const size_t colon = word.find(':');
  const std::string_view behind = colon == word.npos ? std::string_view() : word.substr(colon + 1);
  const auto count = SlotNumber(behind);
  const std::string_view head = word.substr(0, colon);
  const bool empty = head == "+e" || head == "+E";
  const bool nth = head.starts_with("+n") || head.starts_with("+N");
  const auto number = nth ? ParseWhole(head.substr(2)) : std::nullopt;
  const bool known = empty || (number && *number < kMaxJobNodes);
  if (!known) return Quoted(word) + " is no relative host; write +nNUMBER, +e or +e:COUNT";
  if (colon != word.npos && !count) return Quoted(word) + " has no number after ':'";
  entry.kind = empty ? HostKind::kEmpty : HostKind::kNth;
  entry.number = empty ? count.value_or(0) : static_cast<uint32_t>(*number);
  entry.slots_given = nth && count;
  if (nth) entry.slots = count.value_or(1);
  return "";
}

// "name[:slots]" of --host. Empty: taken; else what is wrong with it.
std::string TakeHost(std::string_view word, HostEntry& entry) {
  if (word.starts_with('+')) return TakeRelative(word, entry);
  const size_t bracket = word.rfind(']');
  const size_t from = bracket == std::string_view::npos ? 0 : bracket;
  const size_t colon = word.find(':', from);
  // More than one colon: an IPv6 address without slots.
  const bool has_slots =
      colon != std::string_view::npos && word.find(':', colon + 1) == std::string_view::npos;
  if (has_slots) {
    const std::string_view text = word.substr(colon + 1);
    const auto slots = SlotNumber(text);
    entry.all_cores = text == "*" || text == "auto";
    if (!slots && !entry.all_cores) return Quoted(word) + " has no number of slots after ':'";
    entry.slots = slots.value_or(1);
    word = word.substr(0, colon);
  }
  return TakeName(word, entry);
}

// "name:N", as MPICH and Intel MPI write it. Empty: taken, if there was one.
std::string TakeColonSlots(std::string_view* name, Attributes& attributes) {
  const size_t colon = name->find(':', name->rfind(']') == name->npos ? 0 : name->rfind(']'));
  if (colon == name->npos || name->find(':', colon + 1) != name->npos) return "";
  attributes.slots = SlotNumber(name->substr(colon + 1));
  if (!attributes.slots) return Quoted(*name) + " has no number of slots after ':'";
  *name = name->substr(0, colon);
  return "";
}

// The words of a hostfile's line into `entry`; else what is wrong, and with which word.
std::string TakeLine(const std::vector<Word>& words, HostEntry& entry, size_t* bad_word) {
  *bad_word = 0;
  std::string_view name = words[0].text;
  if (name.starts_with('+')) return Quoted(name) + ": relative names belong to --host";
  Attributes attributes;
  if (auto trouble = TakeColonSlots(&name, attributes); !trouble.empty()) return trouble;
  if (auto trouble = TakeName(name, entry); !trouble.empty()) return trouble;
  for (size_t i = 1; i < words.size(); ++i) {
    *bad_word = i;
    const std::string trouble = TakeAttribute(words[i].text, entry, attributes);
    if (!trouble.empty()) return trouble;
  }
  *bad_word = 0;
  if (attributes.slots && attributes.max_slots && *attributes.slots > *attributes.max_slots) {
    return "more slots than max_slots";
  }
  entry.max_slots = attributes.max_slots.value_or(0);
  entry.all_cores = !attributes.slots && !attributes.max_slots;
  entry.slots = attributes.slots.value_or(attributes.max_slots.value_or(1));
  return "";
}

}  // namespace

std::string HostNameTrouble(std::string_view name) { return NameTrouble(name, "host"); }

Result<std::vector<HostEntry>> ParseHosts(std::string_view text) {
  HostCollector hosts;
  for (;;) {
    const size_t comma = text.find(',');
    HostEntry entry;
    const std::string trouble = TakeHost(text.substr(0, comma), entry);
    if (!trouble.empty()) return Bad(trouble);
    hosts.Add(std::move(entry));
    if (comma == std::string_view::npos) return hosts.Take();
    text.remove_prefix(comma + 1);
  }
}

Result<std::vector<HostEntry>> ParseHostfile(std::string_view text, const std::string& file) {
  auto hosts = ParseHostfileOrNothing(text, file);
  if (hosts && hosts->empty()) return Bad(file + ": no host is named in it");
  return hosts;
}

Result<std::vector<HostEntry>> ParseHostfileOrNothing(std::string_view text,
                                                      const std::string& file) {
  const std::string clean = BlankComments(text);
  HostCollector hosts;
  size_t number = 0;
  for (size_t from = 0; from < clean.size();) {
    ++number;
    const size_t end = std::min(clean.find('\n', from), clean.size());
    const std::vector<Word> words = SplitLine(std::string_view(clean).substr(from, end - from));
    from = end + 1;
    if (words.empty()) continue;
    HostEntry entry;
    size_t bad_word = 0;
    const std::string trouble = TakeLine(words, entry, &bad_word);
    if (!trouble.empty()) {
      return Bad(file + ":" + std::to_string(number) + ":" +
                 std::to_string(words[bad_word].column) + ": " + trouble);
    }
    hosts.Add(std::move(entry));
  }
  return hosts.Take();
}

void AppendHosts(std::vector<HostEntry> more, std::vector<HostEntry>* all) {
  HostCollector hosts;
  for (HostEntry& host : *all) hosts.Add(std::move(host));
  for (HostEntry& host : more) hosts.Add(std::move(host));
  *all = hosts.Take();
}

}  // namespace rex
