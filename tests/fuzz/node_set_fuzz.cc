// The compressed lists of resource managers. Input: u8 which (modulo 4: nodes of Slurm, nodes of
// Flux, counts, numbers), then the text.
#include "launcher/cli/allocation/node_set.h"

#include "launcher/cli/console.h"
#include "launcher/values/host_list.h"
#include "launcher/wire/messages.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

void CheckError(const Error& error) {
  REX_CHECK(error.code == Errc::kInvalid && !error.text.empty());
  const std::string shown = ConsoleLine(error.text);
  REX_CHECK(shown.find('\n') == shown.size() - 1);
}

// Names written out one by one are the same list.
void CheckNames(const std::vector<std::string>& names, ZeroFill fill) {
  REX_CHECK(names.size() <= kMaxJobNodes);
  std::string text;
  for (const std::string& name : names) {
    REX_CHECK(HostNameTrouble(name).empty() && name.find_first_of("[],") == name.npos);
    text += (text.empty() ? "" : ",") + name;
  }
  const auto again = ExpandNodeSet(text, fill);
  REX_CHECK(again.has_value() && *again == names);
}

void CheckNodeSet(std::string_view text, ZeroFill fill) {
  const auto names = ExpandNodeSet(text, fill);
  if (!names) return CheckError(names.error());
  CheckNames(*names, fill);
}

void CheckCounts(std::string_view text) {
  const auto counts = ExpandCounts(text);
  if (!counts) return CheckError(counts.error());
  REX_CHECK(!counts->empty() && counts->size() <= kMaxJobNodes);
  for (const uint32_t count : *counts) REX_CHECK(count >= 1 && count <= kMaxRanks);
}

void CheckNumbers(std::string_view text) {
  constexpr uint32_t kMost = 1000;
  const auto numbers = ExpandNumbers(text, kMost);
  const auto count = CountNumbers(text);
  if (!numbers) return CheckError(numbers.error());
  REX_CHECK(count.has_value() && *count == numbers->size() && *count <= kMost);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  switch (in.Byte() % 4) {
    case 0:
      CheckNodeSet(in.Rest(), ZeroFill::kEachRange);
      break;
    case 1:
      CheckNodeSet(in.Rest(), ZeroFill::kWholeBrackets);
      break;
    case 2:
      CheckCounts(in.Rest());
      break;
    default:
      CheckNumbers(in.Rest());
  }
  return 0;
}

}  // namespace rex
