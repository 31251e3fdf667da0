// Many spawns leave nothing in rex's own processes: descriptors, memory, files.
#include <dirent.h>

#include <filesystem>
#include <fstream>

#include "tests/support/paths.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

size_t DescriptorsOf(pid_t pid) {
  size_t count = 0;
  for (const auto& fd :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    count += fd.path().empty() ? 0 : 1;
  }
  return count;
}

// Kilobytes resident.
long long MemoryOf(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6));
  }
  return -1;
}

class SpawnLoadTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("mpi_spawn"); }
};

TEST_F(SpawnLoadTest, ManySpawnsInALoopLeaveNothing) {
  constexpr size_t kEarly = 30;
  constexpr size_t kAll = 200;
  auto job = StartRex({"-n", "1", Program(), "-n", "1", "-r", std::to_string(kAll + 1), "--parent",
                       "merge,disconnect", "--child", "merge,disconnect"});
  const auto children = [&] { return CountOf(job->out(), "child size=1"); };
  ASSERT_TRUE(job->WaitUntil([&] { return children() >= kEarly; }, seconds(60)));
  const pid_t agent = FindDaemon(*job, "rexd-agent");
  const pid_t host = FindDaemon(*job, "rexd-pmix");
  ASSERT_GT(agent, 0);
  ASSERT_GT(host, 0);
  const size_t agent_fds = DescriptorsOf(agent);
  const size_t host_fds = DescriptorsOf(host);
  const long long agent_memory = MemoryOf(agent);
  const long long host_memory = MemoryOf(host);
  ASSERT_TRUE(job->WaitUntil([&] { return children() >= kAll; }, seconds(110)));
  // A child or two may be on its way.
  EXPECT_LE(DescriptorsOf(agent), agent_fds + 12);
  EXPECT_LE(DescriptorsOf(host), host_fds + 6);
  const long long spawns = static_cast<long long>(kAll - kEarly);
  if (!IsSanitized()) {  // sanitizers keep what was freed
    EXPECT_LT(MemoryOf(agent) - agent_memory, 2048 + spawns * 4) << "kB";
    EXPECT_LT(MemoryOf(host) - host_memory, 4096 + spawns * 40) << "kB";
  }
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(60)), 0));
}

TEST_F(SpawnLoadTest, EightRanksSpawnAtOnce) {
  const CommandResult result =
      Rex({"-n", "8", "--oversubscribe", Program(), "-s", "-n", "1", "-r", "3"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "child size=1 remote=1 merged=2 sum=2"), 24U) << result;
}

TEST_F(SpawnLoadTest, ManyChildrenOnManyNodes) {
  const CommandResult result = Rex({"--virtual-nodes", "4:10", "-n", "1", "--oversubscribe",
                                    Program(), "-n", "24", "-i", "map_by=node"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "child size=24 remote=1 merged=25 sum=25")) << result;
}

TEST_F(SpawnLoadTest, TwoHundredPairsOfPublishAndLookupAtOnce) {
  for (const bool nodes : {false, true}) {
    std::vector<std::string> args{"-n", "8", "--oversubscribe", ProgramPath("pmix_pairs"), "25"};
    if (nodes) args.insert(args.begin(), {"--virtual-nodes", "4:2"});
    const CommandResult result = Rex(args);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(CountOf(result.out, "pairs=25 wrong=0"), 8U) << result;
  }
}

}  // namespace
}  // namespace rex::testing
