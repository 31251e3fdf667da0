// What ranks leave behind on a node is ended there, and nothing else is.
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class LeftoversTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
};

// The nodes below an inner node, and the virtual ones of a head, run below its agent: they are no
// leftovers of its ranks.
TEST_F(LeftoversTest, NodesBelowAreNoLeftovers) {
  const CommandResult result =
      Rex({"--virtual-nodes", "9", "--tree=two-level", Program(), "grandchildren", "60000", "0"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.err, "left behind on node node"), 9U) << result;
  EXPECT_EQ(CountOf(result.err, "rexd"), 0U) << result;
}

}  // namespace
}  // namespace rex::testing
