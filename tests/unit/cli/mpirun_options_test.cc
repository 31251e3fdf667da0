#include "launcher/cli/mpirun_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "launcher/base/fd.h"
#include "launcher/cli/option_table.h"

namespace rex {
namespace {

// Every option of mpirun 4.1.4, from `mpirun --help TOPIC` over all topics.
constexpr std::string_view kOfMpirun =
    "c np n h help q quiet v verbose V version continuous cpu-set debug debugger "
    "display-allocation "
    "display-map get-stack-traces leave-session-attached output-proctable report-events report-pid "
    "report-state-on-timeout report-uri timeout tune tv merge-stderr-to-stdout output-filename "
    "report-child-jobs-separately tag-output timestamp-output xml xml-file xterm "
    "index-argv-by-rank "
    "stdin cf cartofile cpus-per-proc cpus-per-rank H host map-by N nolocal nooversubscribe "
    "oversubscribe ppr rf rankfile use-hwthread-cpus rank-by bind-to cpu-list report-bindings d "
    "debug-devel debug-daemons debug-daemons-file display-devel-allocation display-devel-map "
    "display-diffable-map display-topo do-not-launch do-not-resolve bind-to-core bind-to-socket "
    "bycore bynode byslot npernode npersocket pernode allow-run-as-root am app default-hostfile "
    "enable-instant-on-support fwd-mpirun-port hostfile launch-agent machinefile noprefix path "
    "personality prefix preload-files s preload-binary set-cwd-to-session-dir show-progress "
    "use-regexp wd wdir x dvm hnp max-vm-size novm ompi-server disable-recovery enable-recovery "
    "gmca mca max-restarts";

std::vector<std::string> MpirunNames() {
  std::istringstream words{std::string(kOfMpirun)};
  return {std::istream_iterator<std::string>(words), {}};
}

TEST(MpirunOptions, EveryOneIsOursOrHasItsLine) {
  for (const std::string& name : MpirunNames()) {
    const bool ours = FindOption(name) != nullptr;
    const bool told = FindMpirunOption(name) != nullptr;
    EXPECT_NE(ours, told) << name;
  }
}

TEST(MpirunOptions, TheTableIsSortedAndHasNoOthers) {
  const auto options = MpirunOptions();
  EXPECT_TRUE(std::is_sorted(options.begin(), options.end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));
  const auto names = MpirunNames();
  const std::set<std::string, std::less<>> known(names.begin(), names.end());
  for (const MpirunOption& option : options)
    EXPECT_TRUE(known.contains(option.name)) << option.name;
}

TEST(MpirunOptions, TheDocumentHasEveryOne) {
  const auto text = ReadFile(REX_SOURCE_DIR "/docs/mpirun-users.md");
  ASSERT_TRUE(text.has_value()) << text.error().text;
  for (const std::string& name : MpirunNames()) {
    EXPECT_NE(text->find("`" + WithDashes(name) + "`"), std::string::npos) << WithDashes(name);
  }
}

}  // namespace
}  // namespace rex
