// The longest wait of a job that ranks cannot cause: a host that does not answer.
#include <signal.h>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class WaitsTest : public RexTest {};

TEST_F(WaitsTest, AHostThatDoesNotAnswerIsGivenAMinute) {
  CommandOptions options;
  options.timeout = seconds(100);
  // The host may have been quicker than we are: then the job simply runs.
  for (int tries = 0; tries < 100; ++tries) {
    auto job = StartRex({"-n", "1", ProgramPath("testprog"), "print", "ran\\n"}, options);
    const pid_t host = FindDaemon(*job, "rexd-pmix");
    if (host <= 0 || ::kill(host, SIGSTOP) != 0) continue;
    const CommandResult result = job->Wait();
    if (result.exit_code == 0) continue;
    EXPECT_TRUE(ExitedWith(result, kExitInternal));
    EXPECT_TRUE(StderrNames(result, {"rexd-pmix", "60 s"}));
    EXPECT_GE(result.wall, seconds(60));
    return;
  }
  FAIL() << "the host was never caught before it had answered";
}

}  // namespace
}  // namespace rex::testing
