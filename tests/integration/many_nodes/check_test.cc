// rexlaunch --check over virtual nodes: everything is looked at, nothing is run.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/many_nodes/nodes_test.h"

namespace rex::testing {
namespace {

class CheckTest : public RexTest {};

TEST_F(CheckTest, ThisMachineAlone) {
  const CommandResult result = Rex({"--check"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "1 node is well: "));
  EXPECT_EQ(Lines(result.out).size(), 1u) << result;
}

TEST_F(CheckTest, TheProgramIsNotRun) {
  const CommandResult result =
      Rex({"--check", "--virtual-nodes", "3:1", ProgramPath("testprog"), "print", "ran\\n"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "ran"), 0u);
  EXPECT_TRUE(Contains(result.out, "3 nodes are well: 3 slots; rex "));
  EXPECT_TRUE(Contains(result.out, "way back: node1 by "));
}

TEST_F(CheckTest, Json) {
  const CommandResult result = Rex({"--check", "--json", "--virtual-nodes", "2:1000"});
  EXPECT_TRUE(result.exit_code == 0 || result.exit_code == 116) << result;
  const auto json = nlohmann::json::parse(result.out);
  ASSERT_EQ(json["nodes"].size(), 2u);
  EXPECT_EQ(json["well"], result.exit_code == 0);
  EXPECT_EQ(json["nodes"][1]["name"], "node2");
  EXPECT_EQ(json["nodes"][1]["slots"], 1000);
  EXPECT_TRUE(json["nodes"][1]["clock_us"].is_number());
  size_t slots = 0;
  for (const auto& problem : json["problems"]) slots += problem["about"] == "slots" ? 1 : 0;
  EXPECT_EQ(slots, 2u) << result;
}

TEST_F(CheckTest, InterruptedItEnds) {
  auto check = StartRex({"--check", "--start-timeout", "30", "--ssh", "sh -c 'exec sleep 60'",
                         "--host", "elsewhere"});
  check->WaitUntil([&] { return !DescendantsNamed(check->pid(), "sleep").empty(); });
  check->Signal(SIGINT);
  EXPECT_TRUE(ExitedWith(check->Wait(seconds(20)), 130));
}

}  // namespace
}  // namespace rex::testing
