// The fixture of every integration test: runs rexlaunch in a clean environment with directories of
// the test's own, and fails the test when anything is left at its end.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/nothing_left.h"
#include "tests/support/paths.h"
#include "tests/support/process_scan.h"

namespace rex::testing {

// Exit codes of rexlaunch; docs/rules.md has the table.
inline constexpr int kExitUsage = 2;
inline constexpr int kExitTimeout = 110;
inline constexpr int kExitTimeoutInit = 117;
inline constexpr int kExitTimeoutStart = 118;
inline constexpr int kExitNodeLost = 119;
inline constexpr int kExitNodeStart = 120;
inline constexpr int kExitNoWdir = 121;
inline constexpr int kExitNoResources = 122;
inline constexpr int kExitInternal = 123;
inline constexpr int kExitNotRunnable = 126;
inline constexpr int kExitNotFound = 127;
inline constexpr int kExitSignalBase = 128;

class RexTest : public ::testing::Test {
 protected:
  // Adds the test's environment to `options`.
  CommandOptions Prepare(CommandOptions options = {}) const;
  // rexlaunch with `args`; Rex runs it to its end, StartRex returns it running.
  CommandResult Rex(const std::vector<std::string>& args, CommandOptions options = {});
  std::unique_ptr<RunningCommand> StartRex(const std::vector<std::string>& args,
                                           CommandOptions options = {});
  // Any command, in the test's environment.
  CommandResult Run(const std::vector<std::string>& argv, CommandOptions options = {});

  // The one process of `command` named `program` ("rexd-agent"); waits for it up to `bound`.
  // -1 when it does not appear, or the command ended.
  pid_t FindDaemon(RunningCommand& command, const std::string& program,
                   milliseconds bound = seconds(10));

  // A rank of `command` whose program is `program`: never a template, which has the same name.
  // Otherwise as FindDaemon.
  pid_t FindRank(RunningCommand& command, const std::string& program,
                 milliseconds bound = seconds(10));

  // Writes a file in the test's work directory and returns its path.
  std::string WriteFile(const std::string& name, const std::string& bytes, int mode = 0644);
  std::string ReadWorkFile(const std::string& name) const;

  NothingLeft& left() { return left_; }
  void TearDown() override;

 private:
  pid_t FindProcess(RunningCommand& command, const std::string& program, milliseconds bound,
                    const std::function<bool(pid_t)>& fits);

  NothingLeft left_;
};

// Predicates with messages that show the command and its output.
::testing::AssertionResult ExitedWith(const CommandResult& result, int code);
::testing::AssertionResult Contains(const std::string& text, const std::string& part);
// Case-insensitive, all of `parts` in stderr.
::testing::AssertionResult StderrNames(const CommandResult& result,
                                       const std::vector<std::string>& parts);

// Lines without their ends; a last line without an end counts too.
std::vector<std::string> Lines(const std::string& text);
std::vector<std::string> SortedLines(const std::string& text);
size_t CountOf(const std::string& text, const std::string& part);
// The number behind "NAME=" (first after `from`); -1 when absent.
long long NumberAfter(const std::string& text, const std::string& name, size_t from = 0);

}  // namespace rex::testing
