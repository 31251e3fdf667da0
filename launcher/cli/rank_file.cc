#include "launcher/cli/rank_file.h"

#include <algorithm>
#include <map>
#include <optional>

#include "launcher/values/number.h"
#include "launcher/wire/messages.h"

namespace rex {

namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kListCharacters = "0123456789,-:;*sScC";

Error Bad(const std::string& file, size_t line, const std::string& what) {
  return Error{Errc::kInvalid, file + ":" + std::to_string(line) + ": " + what};
}

std::string Quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

std::string_view WithoutComment(std::string_view line) {
  line = line.substr(0, line.find('#'));
  return line.substr(0, line.find("//"));
}

// Words, and '=' as words of their own.
std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    if (kBlanks.find(line[0]) != std::string_view::npos) {
      line.remove_prefix(1);
      continue;
    }
    const size_t end = line[0] == '=' ? 1 : line.find_first_of(" \t\r=");
    words.push_back(line.substr(0, end));
    line.remove_prefix(words.back().size());
  }
  return words;
}

template <typename Take>
Status ForEachLine(std::string_view text, Take take) {
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    if (Status taken = take(text.substr(0, end), line); !taken) return taken;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return Ok{};
}

// One host, without slots of its own.
Result<HostEntry> HostOf(std::string_view word, const std::string& file, size_t line) {
  auto hosts = ParseHosts(word);
  if (!hosts) return Bad(file, line, hosts.error().text);
  HostEntry& host = hosts->front();
  const bool one = hosts->size() == 1 && host.slots == 1 && !host.all_cores &&
                   (host.kind == HostKind::kName || host.kind == HostKind::kNth);
  if (!one) return Bad(file, line, Quoted(word) + " is not one host; write its name, or +nNUMBER");
  return std::move(host);
}

constexpr std::string_view kHowToWrite =
    "; write rank N=HOST slot=CPUS, for example rank 0=n1 slot=0:1";

// The words of "rank N = HOST slot = LIST". `rank` is set.
Result<RankPlace> TakeRankLine(const std::vector<std::string_view>& words, const std::string& file,
                               size_t line, uint32_t* rank) {
  const auto number = words.size() > 1 ? ParseWhole(words[1]) : std::nullopt;
  if (words[0] != "rank" || !number) {
    return Bad(file, line, "it does not begin with a rank's number" + std::string(kHowToWrite));
  }
  if (*number >= kMaxRanks) {
    return Bad(file, line,
               "rank " + std::string(words[1]) + ": a job has at most " +
                   std::to_string(kMaxRanks) + " ranks");
  }
  *rank = static_cast<uint32_t>(*number);
  if (words.size() < 4 || words[2] != "=") {
    return Bad(file, line,
               "rank " + std::to_string(*rank) + " has no host" + std::string(kHowToWrite));
  }
  auto host = HostOf(words[3], file, line);
  if (!host) return host.error();
  const bool slot = words.size() > 4 && (words[4] == "slot" || words[4] == "slots");
  if (!slot || words.size() < 7 || words[5] != "=") {
    return Bad(file, line,
               "rank " + std::to_string(*rank) + " has no slot=CPUS" + std::string(kHowToWrite));
  }
  if (words.size() > 7)
    return Bad(file, line, Quoted(words[7]) + " is too much" + std::string(kHowToWrite));
  if (words[6].find_first_not_of(kListCharacters) != std::string_view::npos) {
    return Bad(file, line,
               Quoted(words[6]) +
                   " is not a list of cpus; write 1, 0-3, 0:1-2 "
                   "(socket 0, cores 1 and 2), 0:* or several with ';'");
  }
  return RankPlace{*std::move(host), std::string(words[6]), line};
}

bool IsCpuList(std::string_view word) {
  return !word.empty() && word.find_first_not_of(kListCharacters) == std::string_view::npos;
}

}  // namespace

Result<std::vector<RankPlace>> ParseRankfile(std::string_view text, const std::string& file) {
  std::map<uint32_t, RankPlace> places;
  const Status taken = ForEachLine(text, [&](std::string_view raw, size_t line) -> Status {
    const auto words = Words(WithoutComment(raw));
    if (words.empty()) return Ok{};
    uint32_t rank = 0;
    auto place = TakeRankLine(words, file, line, &rank);
    if (!place) return place.error();
    const auto [at, is_new] = places.emplace(rank, *std::move(place));
    if (is_new) return Ok{};
    return Bad(file, line,
               "rank " + std::to_string(rank) + " stands in line " +
                   std::to_string(at->second.line) + " already");
  });
  if (!taken) return taken.error();
  if (places.empty()) return Error{Errc::kInvalid, file + ": no rank is named in it"};
  std::vector<RankPlace> all;
  for (auto& [rank, place] : places) {
    if (rank != all.size()) {
      return Error{Errc::kInvalid, file + ": rank " + std::to_string(all.size()) +
                                       " is missing; every rank from 0 on needs a line"};
    }
    all.push_back(std::move(place));
  }
  return all;
}

std::vector<RankPlace> ParseSequence(std::string_view text, std::string* hostfile) {
  std::vector<RankPlace> places;
  hostfile->clear();
  const Status taken = ForEachLine(text, [&](std::string_view raw, size_t line) -> Status {
    const auto words = Words(WithoutComment(raw));
    const bool has_list = words.size() >= 2 && IsCpuList(words[1]);
    *hostfile += has_list ? words[0] : raw;
    *hostfile += '\n';
    if (words.empty() || words[0].starts_with('^')) return Ok{};
    auto hosts = ParseHosts(words[0]);
    if (!hosts || hosts->size() != 1) return Ok{};
    HostEntry host = std::move(hosts->front());
    host.slots = 1;
    places.push_back({std::move(host), has_list ? std::string(words[1]) : "", line});
    return Ok{};
  });
  REX_CHECK(taken.has_value());
  return places;
}

std::vector<RankPlace> SequenceOfHosts(std::string_view list) {
  std::vector<RankPlace> places;
  for (;;) {
    const size_t comma = list.find(',');
    const auto hosts = ParseHosts(list.substr(0, comma));
    for (const HostEntry& host : hosts ? *hosts : std::vector<HostEntry>{}) {
      HostEntry one = host;
      one.slots = 1;
      places.insert(places.end(), std::min(host.slots, kMaxRanks), RankPlace{one, "", 0});
    }
    if (comma == std::string_view::npos) return places;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace rex
