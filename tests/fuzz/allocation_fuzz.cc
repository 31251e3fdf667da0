// A resource manager's environment, and the file or the command's output that it leads to. Input:
// u8 number of variables (modulo 8), these, each ended by NUL, then the text of every file and
// command.
#include "launcher/cli/allocation/allocation.h"

#include <algorithm>
#include <set>

#include "launcher/cli/console.h"
#include "launcher/values/host_list.h"
#include "launcher/wire/messages.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

void CheckNodes(const Allocation& found) {
  REX_CHECK(!found.nodes.empty() && found.nodes.size() <= kMaxJobNodes && !found.source.empty());
  std::set<std::string> seen;
  for (const AllocatedNode& node : found.nodes) {
    REX_CHECK(HostNameTrouble(node.name).empty() && node.slots <= kMaxRanks);
    REX_CHECK(seen.insert(node.name).second);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const size_t variables = in.Byte() % 8;
  std::vector<std::string> pieces = fuzz::SplitAtNul(in.Rest());
  Environment env;
  for (size_t i = 0; i < variables && i < pieces.size(); ++i) env.push_back(pieces[i]);
  const std::string text = pieces.size() > variables ? pieces[variables] : "";
  const FileReader reader = [&text](const std::string&) -> Result<std::string> { return text; };
  const CommandRunner runner =
      [&text](const std::vector<std::string>& words) -> Result<std::string> {
    REX_CHECK(!words.empty() && words[0] == "flux");
    return text;
  };
  const auto found = FindAllocation({}, {env, reader, runner});
  if (found && *found) CheckNodes(**found);
  if (!found) {
    REX_CHECK(found.error().code == Errc::kInvalid);
    const std::string shown = ConsoleLine(found.error().text);
    REX_CHECK(shown.find('\n') == shown.size() - 1);
  }
  return 0;
}

}  // namespace rex
