// Ports, names and groups, within a job and between jobs.
#include <set>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class NamesTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("mpi_connect"); }
};

TEST_F(NamesTest, RanksOfOneJobMeetAtAPort) {
  for (const bool nodes : {false, true}) {
    std::vector<std::string> args{"-n", "2", Program()};
    if (nodes) args.insert(args.begin(), {"--virtual-nodes", "2:1"});
    const CommandResult result = Rex(args);
    EXPECT_TRUE(ExitedWith(result, 0));
    for (const char* line : {"server got 200", "server got 201", "client got 100", "client got 101",
                             "after unpublish found=0"}) {
      EXPECT_TRUE(Contains(result.out, line));
    }
  }
}

TEST_F(NamesTest, JobsThatWereSpawnedMeetAtAPort) {
  for (const bool nodes : {false, true}) {
    std::vector<std::string> args{"-n", "1", Program(), "jobs"};
    if (nodes) args.insert(args.begin(), {"--virtual-nodes", "3:1"});
    const CommandResult result = Rex(args);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_TRUE(Contains(result.out, "server got 200"));
    EXPECT_TRUE(Contains(result.out, "client got 100"));
  }
}

TEST_F(NamesTest, WhatIsNotThereIsNotFound) {
  const CommandResult result = Rex({"-n", "1", Program(), "nobody"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "found=0"));
}

TEST_F(NamesTest, RanksJoinOverASocket) {
  const CommandResult result = Rex({"-n", "2", Program(), "join"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "rank 0 joined, got 301"));
  EXPECT_TRUE(Contains(result.out, "rank 1 joined, got 300"));
}

// ---- groups

TEST_F(NamesTest, GroupsGetContextsOfTheirOwn) {
  for (const bool nodes : {false, true}) {
    std::vector<std::string> args{"-n", "3", "--oversubscribe", ProgramPath("pmix_group")};
    if (nodes) args.insert(args.begin(), {"--virtual-nodes", "3:1"});
    const CommandResult result = Rex(args);
    EXPECT_TRUE(ExitedWith(result, 0));
    std::set<long long> contexts;
    for (const char* id : {"first", "second"}) {
      std::set<long long> of_group;
      for (int rank = 0; rank < 3; ++rank) {
        const std::string line = "rank " + std::to_string(rank) + " group " + id + ": SUCCESS ";
        const size_t at = result.out.find(line);
        ASSERT_NE(at, std::string::npos) << result;
        of_group.insert(NumberAfter(result.out, "context", at));
      }
      EXPECT_EQ(of_group.size(), 1U) << result;
      EXPECT_GT(*of_group.begin(), 0);
      contexts.insert(of_group.begin(), of_group.end());
    }
    EXPECT_EQ(contexts.size(), 2U) << result;
    EXPECT_EQ(CountOf(result.out, "destructed: SUCCESS"), 9U) << result;
  }
}

TEST_F(NamesTest, AMemberThatHasGoneFailsAGroupOverNodes) {
  const CommandResult result =
      Rex({"--virtual-nodes", "3:1", "-n", "3", ProgramPath("pmix_group"), "die"});
  EXPECT_FALSE(result.timed_out) << result;
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, ": failed"), 2U) << result;
}

}  // namespace
}  // namespace rex::testing
