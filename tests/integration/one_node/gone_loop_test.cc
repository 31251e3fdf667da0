// SIGKILL of a process of a job after a random time, again and again. Long tests only.
#include <signal.h>

#include <cstdlib>
#include <random>

#include "launcher/base/descendants.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class GoneLoopTest : public RexTest, public ::testing::WithParamInterface<int> {};

TEST_P(GoneLoopTest, AnyProcessAtAnyTime) {
  const unsigned seed = static_cast<unsigned>(GetParam()) * 7919u + 17u;
  std::mt19937 random(seed);
  for (int round = 0; round < 12; ++round) {
    const int delay_ms = static_cast<int>(random() % 400);
    auto job = StartRex({"-n", "4", "--oversubscribe", ProgramPath("mpi_phases"), "20", "60000"});
    job->WaitUntil([] { return false; }, milliseconds(delay_ms));
    std::vector<pid_t> pids{job->pid()};
    for (const auto& process : FindDescendants(job->pid())) pids.push_back(process.pid);
    left().Track(pids);
    const pid_t victim = pids[random() % pids.size()];
    const std::string line = ProcessLine(victim);
    const bool is_template = IsTemplate(victim);
    ::kill(victim, SIGKILL);
    if (!job->WaitUntil([&] { return job->ended(); }, seconds(10))) {
      // Only the end of an idle spawner or of a template leaves the job alone.
      EXPECT_TRUE(is_template || Contains(line, "rexd-spawner")) << "after " << delay_ms << " ms";
      job->Signal(SIGTERM);
    }
    const CommandResult result = job->Wait(seconds(20));
    EXPECT_FALSE(result.timed_out) << line << " killed after " << delay_ms << " ms: " << result;
    const auto remains = left().Check();
    for (const auto& what : remains) {
      ADD_FAILURE() << line << " killed after " << delay_ms << " ms (seed " << seed << ") left "
                    << what;
    }
    if (!remains.empty()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, GoneLoopTest, ::testing::Range(0, 8));

}  // namespace
}  // namespace rex::testing
