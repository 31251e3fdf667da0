// Many nodes: everything that holds for two holds for hundreds. Virtual nodes, so that no root and
// no ssh is needed; their trees, links and PMIx are those of real ones.
#include <gtest/gtest.h>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class ScaleTest : public RexTest {
 protected:
  CommandResult OnVirtual(int nodes, const std::string& shape,
                          const std::vector<std::string>& program) {
    std::vector<std::string> args = {"--allow-run-as-root", "--oversubscribe", "--virtual-nodes",
                                     std::to_string(nodes), "--tree=" + shape, "-n",
                                     std::to_string(nodes)};
    args.insert(args.end(), program.begin(), program.end());
    return Rex(args);
  }
};

// An inner node is the parent, as a process, of the daemons of those below it: they are no
// leftovers of its own part of the job.
TEST_F(ScaleTest, InnerNodesLeaveThoseBelowAlone) {
  const CommandResult result =
      OnVirtual(12, "two-level", {ProgramPath("testprog"), "print", "x\\n"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(CountOf(result.out, "x\n"), 12u);
}

}  // namespace
}  // namespace rex::testing
