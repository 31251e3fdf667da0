#include "launcher/cli/host_list.h"

#include <algorithm>
#include <array>
#include <optional>

#include "launcher/cli/number.h"
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

// Why a name can't be taken; empty: it can.
std::string NameTrouble(std::string_view name) {
  if (name.empty()) return "a host's name is empty";
  if (name[0] == '^') return Quoted(name) + ": excluding hosts is not supported yet";
  if (name[0] == '+') return Quoted(name) + ": relative host names are not supported yet";
  return "";
}

void Add(std::vector<HostEntry>& hosts, HostEntry entry) {
  const auto same = std::find_if(hosts.begin(), hosts.end(),
                                 [&](const HostEntry& h) { return h.name == entry.name; });
  if (same == hosts.end()) {
    hosts.push_back(std::move(entry));
    return;
  }
  same->slots = std::min(same->slots + entry.slots, kMaxRanks);
  same->all_cores = same->all_cores && entry.all_cores;
}

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

template <size_t n>
bool IsOneOf(std::string_view key, const std::array<std::string_view, n>& keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// One attribute of a line. Empty: taken; else what is wrong with it.
std::string TakeAttribute(std::string_view word, HostEntry& entry, std::optional<uint32_t>& most) {
  const size_t equals = word.find('=');
  const std::string_view key = word.substr(0, equals);
  const bool slots = IsOneOf(key, kSlotKeys);
  if (equals == std::string_view::npos || (!slots && !IsOneOf(key, kMaxKeys))) {
    return Quoted(word) + " is not supported here; write slots=N or max_slots=N";
  }
  const auto number = SlotNumber(word.substr(equals + 1));
  if (!number) return Quoted(word) + " has no number of slots, which is at least 1";
  if (slots) {
    entry.slots = *number;
    entry.all_cores = false;
  } else {
    most = number;
  }
  return "";
}

}  // namespace

Result<std::vector<HostEntry>> ParseHosts(std::string_view text) {
  std::vector<HostEntry> hosts;
  for (;;) {
    const size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    const size_t colon = word.rfind(':');
    // More than one colon: an IPv6 address without slots.
    const bool has_slots = colon != std::string_view::npos && word.find(':') == colon;
    HostEntry entry{std::string(has_slots ? word.substr(0, colon) : word), 1, false};
    if (const std::string trouble = NameTrouble(entry.name); !trouble.empty()) return Bad(trouble);
    if (has_slots) {
      const auto slots = SlotNumber(word.substr(colon + 1));
      if (!slots) return Bad(Quoted(word) + " has no number of slots after ':'");
      entry.slots = *slots;
    }
    Add(hosts, std::move(entry));
    if (comma == std::string_view::npos) return hosts;
    text.remove_prefix(comma + 1);
  }
}

Result<std::vector<HostEntry>> ParseHostfile(std::string_view text, const std::string& file) {
  const std::string clean = BlankComments(text);
  std::vector<HostEntry> hosts;
  size_t number = 0;
  for (size_t from = 0; from < clean.size();) {
    ++number;
    const size_t end = std::min(clean.find('\n', from), clean.size());
    const std::vector<Word> words = SplitLine(std::string_view(clean).substr(from, end - from));
    from = end + 1;
    if (words.empty()) continue;
    const auto bad = [&](const Word& word, const std::string& why) {
      return Bad(file + ":" + std::to_string(number) + ":" + std::to_string(word.column) + ": " +
                 why);
    };
    HostEntry entry{words[0].text, 1, true};
    if (const auto trouble = NameTrouble(entry.name); !trouble.empty())
      return bad(words[0], trouble);
    std::optional<uint32_t> most;
    for (size_t i = 1; i < words.size(); ++i) {
      const std::string trouble = TakeAttribute(words[i].text, entry, most);
      if (!trouble.empty()) return bad(words[i], trouble);
    }
    if (most && !entry.all_cores && entry.slots > *most) {
      return bad(words[0], "more slots than max_slots");
    }
    Add(hosts, std::move(entry));
  }
  if (hosts.empty()) return Bad(file + ": no host is named in it");
  return hosts;
}

}  // namespace rex
