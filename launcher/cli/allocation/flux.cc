// Flux: no variable has the nodes. A program of `flux alloc` or `flux batch` asks its instance, a
// job's task the job; the answer is R (RFC 20), JSON with the cores of each broker rank and the
// hosts in the order of ranks.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "launcher/cli/allocation/managers.h"
#include "launcher/cli/allocation/node_set.h"
#include "launcher/values/number.h"
#include "launcher/wire/messages.h"

namespace rex {

namespace {

using Json = nlohmann::json;
using RankCores = std::pair<uint32_t, uint32_t>;  // broker rank, cores

Error Bad(const char* what) {
  return Error{Errc::kInvalid, std::string("the resource set (R) has no usable ") + what};
}

// A text member, or nothing.
std::optional<std::string> TextOf(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

// The entries of `execution`'s member, which is an array.
const Json::array_t* ArrayOf(const Json& execution, const char* name) {
  const auto found = execution.find(name);
  return found == execution.end() ? nullptr : found->get_ptr<const Json::array_t*>();
}

Result<std::vector<RankCores>> CoresOf(const Json::array_t& entries) {
  std::vector<RankCores> cores;
  for (const Json& entry : entries) {
    const auto left = static_cast<uint32_t>(kMaxJobNodes - cores.size());
    const auto ranks = ExpandNumbers(TextOf(entry, "rank").value_or(""), left);
    if (!ranks) return Bad("ranks");
    const auto children = entry.find("children");
    const auto ids = children == entry.end() ? std::nullopt : TextOf(*children, "core");
    const auto count = CountNumbers(ids.value_or(""));
    if (!count) return Bad("cores");
    for (const uint32_t rank : *ranks) cores.emplace_back(rank, *count);
  }
  std::sort(cores.begin(), cores.end());
  return cores;
}

Result<std::vector<std::string>> HostsOf(const Json::array_t& entries) {
  std::vector<std::string> hosts;
  for (const Json& entry : entries) {
    const auto* text = entry.get_ptr<const Json::string_t*>();
    if (text == nullptr) return Bad("list of nodes");
    const auto more = ExpandNodeSet(*text, ZeroFill::kWholeBrackets);
    if (!more) return more.error();
    hosts.insert(hosts.end(), more->begin(), more->end());
    if (hosts.size() > kMaxJobNodes) return Bad("number of nodes");
  }
  return hosts;
}

Result<std::vector<AllocatedNode>> NodesOfR(const std::string& text) {
  const Json root = Json::parse(text, nullptr, false);
  const auto execution = root.is_object() ? root.find("execution") : root.end();
  if (execution == root.end() || !execution->is_object()) return Bad("execution part");
  const auto* entries = ArrayOf(*execution, "R_lite");
  const auto* lists = ArrayOf(*execution, "nodelist");
  if (entries == nullptr) return Bad("cores");
  if (lists == nullptr) return Bad("list of nodes");
  const auto cores = CoresOf(*entries);
  if (!cores) return cores.error();
  const auto hosts = HostsOf(*lists);
  if (!hosts) return hosts.error();
  if (hosts->size() != cores->size() || hosts->empty()) return Bad("list of nodes: one per rank");
  NodeTally nodes;
  for (size_t i = 0; i < hosts->size(); ++i) {
    if (Status added = nodes.Add((*hosts)[i], (*cores)[i].second); !added) return added.error();
  }
  return nodes.Take();
}

}  // namespace

FoundAllocation FindFlux(const Outside& outside) {
  const auto instance = Variable(outside.env, "FLUX_URI");
  if (!instance) return std::optional<Allocation>();
  const auto job = Variable(outside.env, "FLUX_JOB_ID");
  if (job && ParseWhole(Variable(outside.env, "FLUX_JOB_SIZE").value_or("1")).value_or(1) > 1) {
    return StartedSeveralTimes(Manager::kFlux, "by flux run or flux submit with several tasks",
                               "inside flux alloc or flux batch, or with flux run -n 1");
  }
  Allocation found{.manager = Manager::kFlux, .job = job.value_or("")};
  std::vector<std::string> words = {"flux", "resource", "R"};
  if (job) words = {"flux", "job", "info", *job, "R"};
  for (const std::string& word : words) found.source += (found.source.empty() ? "" : " ") + word;
  const auto text = outside.run(words);
  if (!text) return BadAllocation("FLUX_URI is set", text.error().text);
  auto nodes = NodesOfR(*text);
  if (!nodes) return BadAllocation(found.source, nodes.error().text);
  found.nodes = *std::move(nodes);
  return std::optional(std::move(found));
}

}  // namespace rex
