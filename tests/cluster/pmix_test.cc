// PMIx between ranks of different nodes, by a real program on libpmix.
#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

class PmixTest : public NodesTest {
 protected:
  // Four ranks on four nodes, unless `options` say otherwise.
  CommandResult RunProbe(const std::vector<std::string>& mode,
                         const std::vector<std::string>& options = {"--host", "n1,n2,n3,n4"}) {
    std::vector<std::string> args = options;
    args.push_back(ProgramPath("pmix_nodes"));
    args.insert(args.end(), mode.begin(), mode.end());
    CommandOptions command;
    command.timeout = seconds(120);
    return RexOnHead(args, command);
  }
  void ExpectOk(const std::vector<std::string>& mode, const std::vector<std::string>& options,
                size_t ranks) {
    const CommandResult result = RunProbe(mode, options);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(CountOf(result.out, mode[0] + "=ok rank="), ranks) << result;
  }
  void ExpectOk(const std::vector<std::string>& mode) {
    ExpectOk(mode, {"--host", "n1,n2,n3,n4"}, 4);
  }
};

TEST_F(PmixTest, ValuesGoAlongWithAFenceOrAreAskedFor) {
  ASSERT_TRUE(StartNodes(4));
  for (const char* bytes : {"0", "1", "4000", "300000"}) {
    ExpectOk({"modex", bytes}, {"--host", Hosts(4, 2)}, 8);
    ExpectOk({"direct", bytes}, {"--host", Hosts(4, 2)}, 8);
  }
}

TEST_F(PmixTest, TenMegabytesOfEachOfFourRanks) {
  ASSERT_TRUE(StartNodes(4));
  ExpectOk({"modex", "10000000"});
  ExpectOk({"direct", "10000000"});
}

TEST_F(PmixTest, AThousandFencesOfAllAndOfSome) {
  ASSERT_TRUE(StartNodes(4));
  ExpectOk({"fences", "1000"});
}

TEST_F(PmixTest, InTwoLevels) {
  ASSERT_TRUE(StartNodes(6));
  const std::vector<std::string> tree{"--tree", "two-level", "--host", Hosts(6)};
  ExpectOk({"modex", "100000"}, tree, 6);
  ExpectOk({"direct", "100000"}, tree, 6);
  ExpectOk({"fences", "50"}, tree, 6);
  ExpectOk({"event"}, tree, 6);
}

TEST_F(PmixTest, MoreDataThanAFenceMayCarryFailsForAll) {
  ASSERT_TRUE(StartNodes(4));
  const CommandResult result =
      RunProbe({"too-big", "1000000"}, {"--max-modex", "2M", "--host", "n1,n2,n3,n4"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "refused="), 4u) << result;
  EXPECT_EQ(CountOf(result.out, "too-big=ok"), 4u) << result;
  EXPECT_TRUE(StderrNames(result, {"--max-modex"}));
}

TEST_F(PmixTest, NamesEventsConnectionsBetweenNodes) {
  ASSERT_TRUE(StartNodes(4));
  ExpectOk({"lookup"});
  ExpectOk({"event"});
  ExpectOk({"connect"});
}

TEST_F(PmixTest, EveryRankSeesTheTableOfAll) {
  ASSERT_TRUE(StartNodes(3));
  const CommandResult result = RunProbe({"query"}, {"--host", Hosts(3)});
  ASSERT_TRUE(ExitedWith(result, 0));
  for (int seer = 0; seer < 3; ++seer) {
    for (int rank = 0; rank < 3; ++rank) {
      EXPECT_TRUE(Contains(result.out, "entry seen_by=" + std::to_string(seer) +
                                           " of=" + std::to_string(rank) + " node=n" +
                                           std::to_string(rank + 1) + "\n"));
    }
  }
}

TEST_F(PmixTest, JobControlReachesARankOnAnotherNode) {
  ASSERT_TRUE(StartNodes(2));
  const CommandResult result = RunProbe({"control", "9"}, {"--host", Hosts(2)});
  ExpectFailure(result, kExitSignalBase + 9, {"rank 1", "node n2", "signal 9"});
}

TEST_F(PmixTest, AnAbortOnAnotherNodeEndsTheJob) {
  ASSERT_TRUE(StartNodes(2));
  ExpectFailure(RunProbe({"abort"}, {"--host", Hosts(2)}), 7,
                {"rank 1", "node n2", "aborted", "code 7", "the last rank gives up"});
}

}  // namespace
}  // namespace rex::testing
