// The PMIx host of a DVM that stays is replaced when it has known many namespaces.
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "tests/integration/dvm/dvm_fixture.h"
#include "tests/support/process_scan.h"

namespace rex::testing {
namespace {

constexpr int kNamespaces = 5;  // instead of 1000

class DvmHostTest : public DvmTest {
 protected:
  void StartDvmOfShortHosts(const std::vector<std::string>& options = {}) {
    CommandOptions command;
    command.set_env["REX_HOST_NAMESPACES"] = std::to_string(kNamespaces);
    StartDvm(options, command);
  }
  std::vector<pid_t> Hosts() {
    std::vector<pid_t> hosts = DescendantsNamed(Keeper(), "rexd-pmix");
    left().Track(hosts);
    return hosts;
  }
  // Waits for one host that is none of these.
  pid_t AwaitAnother(const std::set<pid_t>& than) {
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (std::chrono::steady_clock::now() < end) {
      const std::vector<pid_t> hosts = Hosts();
      if (hosts.size() == 1 && !than.contains(hosts[0])) return hosts[0];
    }
    return 0;
  }
  CommandResult Job(const std::vector<std::string>& words = {"-n", "1", "true"}) {
    std::vector<std::string> args = {"--dvm", "default"};
    args.insert(args.end(), words.begin(), words.end());
    return Rex(args);
  }
  static long ResidentKib(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) return std::atol(line.c_str() + 6);
    }
    return 0;
  }
};

TEST_F(DvmHostTest, IsReplacedAndJobsDoNotNotice) {
  StartDvmOfShortHosts();
  std::set<pid_t> seen = {Daemon("rexd-pmix")};
  long first_kib = 0;
  for (int round = 0; round < 6; ++round) {
    for (int job = 0; job < kNamespaces; ++job) {
      EXPECT_TRUE(ExitedWith(Job({"-n", "2", "--oversubscribe", ProgramPath("mpi_ring")}), 0));
    }
    const pid_t host = AwaitAnother(seen);
    ASSERT_NE(host, 0) << round;
    seen.insert(host);
    const long kib = ResidentKib(host);
    if (round == 0) first_kib = kib;
    EXPECT_LT(kib, first_kib + 1024);
  }
  EXPECT_EQ(Ask({"status"})["jobs_ever"], 6 * kNamespaces);
}

TEST_F(DvmHostTest, WaitsForJobsAndTakesTheirTurn) {
  StartDvmOfShortHosts();
  const pid_t first = Daemon("rexd-pmix");
  const auto sleeper = StartSleeper();
  for (int job = 0; job < 2 * kNamespaces; ++job) EXPECT_TRUE(ExitedWith(Job(), 0));
  EXPECT_EQ(Hosts(), std::vector<pid_t>{first});
  sleeper->Signal(SIGTERM);
  sleeper->Wait();
  EXPECT_NE(AwaitAnother({first}), 0);
  EXPECT_TRUE(ExitedWith(Job({"-n", "2", "--oversubscribe", ProgramPath("mpi_ring")}), 0));
}

TEST_F(DvmHostTest, WaitsForToolsWhichThenFindTheNewOne) {
  StartDvmOfShortHosts();
  const pid_t first = Daemon("rexd-pmix");
  RunningCommand tool(
      {ProgramPath("rexspawn_probe"), "detached:1:true", "wait", "say:there", "sleep:600000"},
      Prepare());
  ASSERT_TRUE(tool.WaitForText("there"));
  for (int job = 0; job < 2 * kNamespaces; ++job) EXPECT_TRUE(ExitedWith(Job(), 0));
  EXPECT_EQ(Hosts(), std::vector<pid_t>{first});
  tool.Signal(SIGKILL);
  EXPECT_NE(AwaitAnother({first}), 0);
  const CommandResult next = Run({ProgramPath("rexspawn_probe"), "start:2:echo new", "wait-all"});
  EXPECT_TRUE(ExitedWith(next, 0));
  EXPECT_EQ(CountOf(next.out, "new\n"), 2U);
}

TEST_F(DvmHostTest, OnEveryNode) {
  StartDvmOfShortHosts({"--virtual-nodes", "2:2"});
  // The head's own has no ranks, and never knew a namespace.
  const std::vector<pid_t> before = Hosts();
  ASSERT_EQ(before.size(), 3U);
  for (int job = 0; job < kNamespaces; ++job) {
    EXPECT_TRUE(ExitedWith(Job({"-n", "2", "--map-by", "node", ProgramPath("mpi_ring")}), 0));
  }
  const auto replaced = [&] {
    const std::vector<pid_t> now = Hosts();
    const auto is_new = [&](pid_t pid) {
      return std::find(before.begin(), before.end(), pid) == before.end();
    };
    return now.size() == 3 && std::count_if(now.begin(), now.end(), is_new) == 2;
  };
  const auto end = std::chrono::steady_clock::now() + seconds(20);
  while (!replaced() && std::chrono::steady_clock::now() < end) {
  }
  EXPECT_TRUE(replaced());
  EXPECT_TRUE(ExitedWith(Job({"-n", "2", "--map-by", "node", ProgramPath("mpi_ring")}), 0));
}

// Each host gets an uplink of its own, when the first job there meets often.
TEST_F(DvmHostTest, OnEveryNodeWithUplinks) {
  CommandOptions command;
  command.set_env = {{"REX_HOST_NAMESPACES", std::to_string(kNamespaces)},
                     {"REX_UPLINK_AFTER", "1"}};
  StartDvm({"--virtual-nodes", "3:2"}, command);
  const std::vector<pid_t> first = Hosts();
  std::set<pid_t> seen(first.begin(), first.end());
  ASSERT_EQ(seen.size(), 4U);
  const std::vector<std::string> job = {"-n",   "3",  "--map-by", "node", ProgramPath("pmix_meet"),
                                        "data", "10", "3"};
  for (int i = 0; i < 4 * kNamespaces; ++i) {
    const CommandResult result = Job(job);
    EXPECT_TRUE(ExitedWith(result, 0)) << i;
    EXPECT_EQ(CountOf(result.out, "data=ok"), 3U) << result;
    for (const pid_t host : Hosts()) seen.insert(host);
  }
  EXPECT_GT(seen.size(), 4U + 3U) << "the hosts were not replaced twice";
}

TEST_F(DvmHostTest, WithUplinksJobsOfManyShellsDoNotMix) {
  CommandOptions command;
  command.set_env = {{"REX_HOST_NAMESPACES", std::to_string(kNamespaces)},
                     {"REX_UPLINK_AFTER", "1"}};
  StartDvm({"--virtual-nodes", "3:4"}, command);
  const std::string one = RexlaunchPath() + " --dvm default -n 3 --map-by node " +
                          ProgramPath("pmix_meet") + " data 10 3";
  const CommandResult all = Run({"sh", "-c",
                                 "for shell in 1 2 3; do (for i in 1 2 3 4 5 6; do " + one +
                                     " && echo done || echo FAILED; done) & done; wait"});
  EXPECT_TRUE(ExitedWith(all, 0));
  EXPECT_EQ(CountOf(all.out, "done\n"), 18U) << all;
  EXPECT_EQ(CountOf(all.out, "data=ok"), 54U) << all;
}

TEST_F(DvmHostTest, LaunchesFromManyShellsAreNotLostMeanwhile) {
  StartDvmOfShortHosts();
  const CommandResult all =
      Run({"sh", "-c",
           "for shell in 1 2 3; do (for i in 1 2 3 4 5 6 7 8 9 10 11 12; do " + RexlaunchPath() +
               " --dvm default -n 1 echo done || echo FAILED; done) & done; wait"});
  EXPECT_TRUE(ExitedWith(all, 0));
  EXPECT_EQ(CountOf(all.out, "done\n"), 36U);
  EXPECT_EQ(CountOf(all.out, "FAILED"), 0U) << all;
}

}  // namespace
}  // namespace rex::testing
