// LSF: "Environment variables set for job execution". LSB_MCPU_HOSTS is the one for large jobs;
// LSB_DJOB_HOSTFILE names a file with a line for each slot; LSB_HOSTS has a word for each.
#include "launcher/cli/allocation/managers.h"
#include "launcher/values/number.h"
#include "launcher/wire/messages.h"

namespace rex {

namespace {

// "hostA 2 hostB 4".
Result<std::vector<AllocatedNode>> NodesWithCounts(const std::string& text) {
  constexpr const char* kName = "LSB_MCPU_HOSTS";
  const auto words = WordsOf(text);
  NodeTally nodes;
  for (size_t i = 0; i < words.size(); i += 2) {
    const auto count = i + 1 < words.size() ? ParseWhole(words[i + 1]) : std::nullopt;
    if (!count || *count == 0 || *count > kMaxRanks) {
      return BadAllocation(kName,
                           "'" + std::string(words[i]) + "' has no number of slots behind it");
    }
    const Status added = nodes.Add(words[i], *count);
    if (!added) return BadAllocation(kName, added.error().text);
  }
  if (nodes.empty()) return BadAllocation(kName, "no node is named in it");
  return nodes.Take();
}

}  // namespace

FoundAllocation FindLsf(const Outside& outside) {
  const auto job = Variable(outside.env, "LSB_JOBID");
  const auto counts = Variable(outside.env, "LSB_MCPU_HOSTS");
  const auto file = Variable(outside.env, "LSB_DJOB_HOSTFILE");
  const auto words = Variable(outside.env, "LSB_HOSTS");
  if (!job || (!counts && !file && !words)) return std::optional<Allocation>();
  Allocation found{.manager = Manager::kLsf, .job = *job};
  found.source = counts ? "LSB_MCPU_HOSTS" : file ? "LSB_DJOB_HOSTFILE" : "LSB_HOSTS";
  std::string mentions = words.value_or("");
  if (!counts && file) {
    const auto text = outside.read_file(*file);
    if (!text) return BadAllocation(found.source, text.error().text);
    mentions = *text;
  }
  auto nodes =
      counts ? NodesWithCounts(*counts) : NodesOfMentions(mentions, found.source, " \t\r\n");
  if (!nodes) return nodes.error();
  found.nodes = *std::move(nodes);
  return std::optional(std::move(found));
}

}  // namespace rex
