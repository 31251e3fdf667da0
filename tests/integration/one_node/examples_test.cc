// Every program of examples/ does what its README says.
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class ExamplesTest : public RexTest {
 protected:
  void ExpectHello(const std::vector<std::string>& program, const std::string& tail) {
    std::vector<std::string> args{"-n", "4", "--oversubscribe"};
    args.insert(args.end(), program.begin(), program.end());
    const CommandResult result = Rex(args);
    ASSERT_TRUE(ExitedWith(result, 0));
    const auto lines = SortedLines(result.out);
    ASSERT_EQ(lines.size(), 4u) << result;
    for (size_t rank = 0; rank < 4; ++rank) {
      EXPECT_TRUE(
          Contains(lines[rank], "Hello from rank " + std::to_string(rank) + " of 4 " + tail));
    }
  }
};

TEST_F(ExamplesTest, HelloInC) { ExpectHello({ExamplePath("hello_c")}, "on "); }

TEST_F(ExamplesTest, HelloInFortran) { ExpectHello({ExamplePath("hello_fortran")}, "in Fortran"); }

TEST_F(ExamplesTest, HelloInPython) {
  ExpectHello({"/usr/bin/python3", ExamplePath("hello.py")}, "in Python");
}

TEST_F(ExamplesTest, ManagerAndWorkers) {
  const CommandResult result = Rex({"-n", "1", "--oversubscribe", ExamplePath("manager"), ":", "-n",
                                    "3", ExamplePath("worker")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "manager: 3 workers, the squares of 1 to 20 add up to 2870\n"));
  EXPECT_EQ(CountOf(result.out, "numbers squared"), 3u) << result;
}

TEST_F(ExamplesTest, ThreadsInsideRanks) {
  const CommandResult result =
      Rex({"-n", "2", "--oversubscribe", "-x", "OMP_NUM_THREADS=2", ExamplePath("hybrid")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "rank 0 of 2 used 2 threads\n"));
  EXPECT_TRUE(Contains(result.out, "rank 1 of 2 used 2 threads\n"));
  EXPECT_TRUE(Contains(result.out, "pi is about 3.141593\n"));
}

}  // namespace
}  // namespace rex::testing
