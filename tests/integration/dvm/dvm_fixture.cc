#include "tests/integration/dvm/dvm_fixture.h"

#include <poll.h>
#include <signal.h>

namespace rex::testing {

using nlohmann::json;

namespace {
template <typename F>
bool Await(F condition, milliseconds bound) {
  const auto end = std::chrono::steady_clock::now() + bound;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    ::poll(nullptr, 0, 10);
  }
  return true;
}
}  // namespace

void DvmTest::TearDown() {
  const json dvms = json::parse(Ctl({"list", "--json"}).out, nullptr, false);
  for (const json& dvm : dvms.is_object() ? dvms["dvms"] : json::array()) {
    EXPECT_TRUE(ExitedWith(Ctl({"stop", "--name", dvm["name"]}), 0));
  }
  RexTest::TearDown();
}

CommandResult DvmTest::Ctl(const std::vector<std::string>& args, CommandOptions options) {
  std::vector<std::string> argv{RexctlPath()};
  argv.insert(argv.end(), args.begin(), args.end());
  return Run(argv, std::move(options));
}

void DvmTest::StartDvm(const std::vector<std::string>& options, const CommandOptions& command) {
  std::vector<std::string> args = {"start"};
  args.insert(args.end(), options.begin(), options.end());
  const CommandResult started = Ctl(args, command);
  ASSERT_TRUE(ExitedWith(started, 0));
  if (std::find(args.begin(), args.end(), "--name") != args.end()) return;
  const pid_t keeper = Keeper();
  std::vector<pid_t> daemons = {keeper, Head()};
  for (const char* name : {"rexd", "rexd-agent", "rexd-pmix", "rexd-spawner"}) {
    for (const pid_t pid : DescendantsNamed(keeper, name)) daemons.push_back(pid);
  }
  left().Track(daemons);
}

json DvmTest::Ask(const std::vector<std::string>& args) {
  std::vector<std::string> words = args;
  words.emplace_back("--json");
  const CommandResult result = Ctl(words);
  EXPECT_TRUE(ExitedWith(result, 0));
  json answer = json::parse(result.out, nullptr, false);
  EXPECT_TRUE(answer.is_object()) << result;
  return answer;
}

pid_t DvmTest::Daemon(const std::string& program) {
  const std::vector<pid_t> found = DescendantsNamed(Keeper(), program);
  EXPECT_EQ(found.size(), 1U) << program;
  return found.empty() ? -1 : found.front();
}

std::unique_ptr<RunningCommand> DvmTest::StartSleeper(std::vector<std::string> options) {
  options.insert(options.end(), {"-n", "1", ProgramPath("testprog"), "then", "print", "awake", ",",
                                 "sleep", "600000"});
  auto job = StartRex(options);
  EXPECT_TRUE(job->WaitForText("awake")) << job->Snapshot();
  return job;
}

::testing::AssertionResult DvmTest::AwaitJobs(size_t jobs) {
  size_t seen = 0;
  const bool there = Await(
      [&] {
        seen = Ask({"jobs"})["jobs"].size();
        return seen == jobs;
      },
      seconds(20));
  if (there) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "there are " << seen << " jobs, not " << jobs;
}

::testing::AssertionResult DvmTest::AwaitEnd(pid_t pid, milliseconds bound) {
  const auto start = StartTime(pid);
  const bool gone = Await(
      [&] {
        return StartTime(pid) != start || start == 0 ||
               ProcessLine(pid).find(" state Z ") != std::string::npos;
      },
      bound);
  if (gone) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "still there: " << ProcessLine(pid);
}

::testing::AssertionResult DvmTest::NoDvm() {
  CommandResult status;
  const auto none = [&] {
    status = Ctl({"status"});
    return status.exit_code == 3;
  };
  if (Await(none, seconds(10))) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << Describe(status);
}

}  // namespace rex::testing
