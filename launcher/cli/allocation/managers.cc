#include "launcher/cli/allocation/managers.h"

#include <algorithm>

#include "launcher/values/host_list.h"
#include "launcher/wire/messages.h"

namespace rex {

std::optional<std::string> Variable(const Environment& env, std::string_view name) {
  const auto value = FindVariable(env, name);
  if (!value || value->empty()) return std::nullopt;
  return std::string(*value);
}

std::optional<std::string> Variable(const Environment& env, std::string_view name,
                                    std::string_view other) {
  auto value = Variable(env, name);
  return value ? value : Variable(env, other);
}

Error BadAllocation(const std::string& source, const std::string& trouble) {
  return Error{Errc::kInvalid, source + ": " + trouble + "; --allocation none ignores it"};
}

Error StartedSeveralTimes(Manager manager, const std::string& how, const std::string& remedy) {
  return Error{Errc::kInvalid, std::string(ManagerName(manager)) +
                                   " started rexlaunch several times at once (" + how +
                                   "); start it once: " + remedy +
                                   ". --allocation none lets each one run by itself"};
}

std::vector<std::string_view> WordsOf(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  std::vector<std::string_view> words;
  for (size_t from = 0; (from = text.find_first_not_of(kBlanks, from)) != text.npos;) {
    const size_t end = std::min(text.find_first_of(kBlanks, from), text.size());
    words.push_back(text.substr(from, end - from));
    from = end;
  }
  return words;
}

Status NodeTally::Add(std::string_view name, uint64_t slots) {
  if (auto trouble = HostNameTrouble(name); !trouble.empty()) {
    return Error{Errc::kInvalid, std::move(trouble)};
  }
  const auto [at, is_new] = index_.emplace(name, nodes_.size());
  if (is_new) {
    if (nodes_.size() == kMaxJobNodes) {
      return Error{Errc::kInvalid,
                   "more than " + std::to_string(kMaxJobNodes) + " nodes are listed"};
    }
    nodes_.push_back({std::string(name), 0});
  }
  AllocatedNode& node = nodes_[at->second];
  node.slots = static_cast<uint32_t>(std::min<uint64_t>(node.slots + slots, kMaxRanks));
  return Ok{};
}

Result<std::vector<AllocatedNode>> NodesOfMentions(std::string_view text, const std::string& source,
                                                   std::string_view separators) {
  NodeTally nodes;
  for (size_t from = 0; (from = text.find_first_not_of(separators, from)) != text.npos;) {
    const size_t end = std::min(text.find_first_of(separators, from), text.size());
    const Status added = nodes.Add(text.substr(from, end - from), 1);
    if (!added) return BadAllocation(source, added.error().text);
    from = end;
  }
  if (nodes.empty()) return BadAllocation(source, "no node is named in it");
  return nodes.Take();
}

}  // namespace rex
