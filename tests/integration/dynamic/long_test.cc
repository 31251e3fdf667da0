// Spawns by the thousand and the hundreds: none is lost, none hangs.
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class SpawnLongTest : public RexTest {
 protected:
  static CommandOptions Within(seconds bound) {
    CommandOptions options;
    options.timeout = bound;
    return options;
  }
  static std::string Program() { return ProgramPath("mpi_spawn"); }
};

// Each child stays for a moment: one that goes as soon as it has come may die of Open MPI's own
// race on a busy machine (docs/design/dynamic.md, Load).
TEST_F(SpawnLongTest, AThousandSpawns) {
  const CommandResult result =
      Rex({"-n", "1", Program(), "-n", "1", "-r", "1000", "--child", "merge,disconnect,sleep:30"},
          Within(seconds(220)));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "child size=1 remote=1"), 1000U);
}

TEST_F(SpawnLongTest, TwoHundredChildrenOnEightNodes) {
  const CommandResult result = Rex({"--virtual-nodes", "8:30", "-n", "1", "--oversubscribe",
                                    Program(), "-n", "200", "-i", "map_by=node"},
                                   Within(seconds(110)));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "child size=200 remote=1 merged=201 sum=201")) << result;
}

// Two hundred in all: one job of so many would take longer than a case may.
class SpawnOfThirtyTwoTest : public SpawnLongTest, public ::testing::WithParamInterface<int> {};

TEST_P(SpawnOfThirtyTwoTest, FiftyTimes) {
  const CommandResult result =
      Rex({"-n", "1", Program(), "-n", "32", "-r", "50"}, Within(seconds(110)));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "child size=32 remote=1"), 50U);
}

INSTANTIATE_TEST_SUITE_P(Jobs, SpawnOfThirtyTwoTest, ::testing::Range(0, 4));

}  // namespace
}  // namespace rex::testing
