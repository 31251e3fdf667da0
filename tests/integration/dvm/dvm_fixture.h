// A DVM that stays, of this machine or over virtual nodes, started and ended by the real rexctl.
#pragma once

#include <nlohmann/json.hpp>

#include "tests/support/rex_test.h"

namespace rex::testing {

class DvmTest : public RexTest {
 protected:
  // Whatever the case does: none is left running, and then nothing at all.
  void TearDown() override;

  CommandResult Ctl(const std::vector<std::string>& args, CommandOptions options = {});
  // rexctl start; remembers its daemons, which hide their environment.
  void StartDvm(const std::vector<std::string>& options = {}, const CommandOptions& command = {});
  // What a command prints with --json.
  nlohmann::json Ask(const std::vector<std::string>& args);
  pid_t Head() { return Ask({"status"})["head_pid"]; }
  pid_t Keeper() { return Ask({"status"})["keeper_pid"]; }
  // The one descendant of the keeper with that name ("rexd-pmix").
  pid_t Daemon(const std::string& program);
  // A job whose only rank sleeps; comes back when it runs.
  std::unique_ptr<RunningCommand> StartSleeper(std::vector<std::string> options = {});
  // Waits until the DVM has so many jobs.
  ::testing::AssertionResult AwaitJobs(size_t jobs);
  // Waits for the process to be gone.
  static ::testing::AssertionResult AwaitEnd(pid_t pid, milliseconds bound = seconds(10));
  ::testing::AssertionResult NoDvm();
};

}  // namespace rex::testing
