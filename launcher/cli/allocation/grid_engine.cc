// Grid Engine and its successors: sge_pe(5), $pe_hostfile. A line for each queue on a host: name,
// slots, queue, processor range.
#include "launcher/cli/allocation/managers.h"
#include "launcher/values/number.h"
#include "launcher/wire/messages.h"

namespace rex {

namespace {

Status TakeLine(std::string_view line, NodeTally& nodes) {
  const auto words = WordsOf(line);
  if (words.empty()) return Ok{};
  const auto slots = words.size() > 1 ? ParseWhole(words[1]) : std::nullopt;
  if (!slots || *slots == 0 || *slots > kMaxRanks) {
    return Error{Errc::kInvalid,
                 "'" + std::string(words[0]) + "' has no number of slots behind it"};
  }
  return nodes.Add(words[0], *slots);
}

}  // namespace

FoundAllocation FindGridEngine(const Outside& outside) {
  const auto job = Variable(outside.env, "JOB_ID");
  const auto file = Variable(outside.env, "PE_HOSTFILE");
  if (!job || !file) return std::optional<Allocation>();
  const auto text = outside.read_file(*file);
  if (!text) return BadAllocation("PE_HOSTFILE", text.error().text);
  NodeTally nodes;
  size_t number = 0;
  for (size_t from = 0; from < text->size();) {
    ++number;
    const size_t end = std::min(text->find('\n', from), text->size());
    const Status taken = TakeLine(std::string_view(*text).substr(from, end - from), nodes);
    if (!taken) {
      return BadAllocation("PE_HOSTFILE " + *file + ":" + std::to_string(number),
                           taken.error().text);
    }
    from = end + 1;
  }
  if (nodes.empty()) return BadAllocation("PE_HOSTFILE " + *file, "no node is named in it");
  Allocation found{.manager = Manager::kGridEngine, .job = *job, .source = "PE_HOSTFILE"};
  found.nodes = nodes.Take();
  return std::optional(std::move(found));
}

}  // namespace rex
