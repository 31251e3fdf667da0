#include "tests/support/rex_test.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace rex::testing {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

CommandOptions RexTest::Prepare(CommandOptions options) const {
  // A surrounding job, or a user's settings, must not change what a test sees.
  for (const char* pattern : {"REX_*", "OMPI_*", "PMIX_*", "PMI_*", "SLURM_*", "PRTE_*"}) {
    options.unset_env.push_back(pattern);
  }
  for (const auto& [name, value] : left_.Environment()) options.set_env.try_emplace(name, value);
  // What rexlaunch says on stderr is the same for root and others.
  options.set_env.try_emplace("OMPI_ALLOW_RUN_AS_ROOT", "1");
  if (options.cwd.empty()) options.cwd = left_.work_dir();
  return options;
}

CommandResult RexTest::Rex(const std::vector<std::string>& args, CommandOptions options) {
  return StartRex(args, std::move(options))->Wait();
}

std::unique_ptr<RunningCommand> RexTest::StartRex(const std::vector<std::string>& args,
                                                  CommandOptions options) {
  std::vector<std::string> argv{RexlaunchPath()};
  argv.insert(argv.end(), args.begin(), args.end());
  return std::make_unique<RunningCommand>(argv, Prepare(std::move(options)));
}

CommandResult RexTest::Run(const std::vector<std::string>& argv, CommandOptions options) {
  return RunCommand(argv, Prepare(std::move(options)));
}

pid_t RexTest::FindProcess(RunningCommand& command, const std::string& program, milliseconds bound,
                           const std::function<bool(pid_t)>& fits) {
  std::vector<pid_t> found;
  command.WaitUntil(
      [&] {
        found = DescendantsNamed(command.pid(), program);
        std::erase_if(found, [&](pid_t pid) { return !fits(pid); });
        return !found.empty() || command.ended();
      },
      bound);
  left_.Track(found);
  return found.empty() ? -1 : found.front();
}

pid_t RexTest::FindDaemon(RunningCommand& command, const std::string& program, milliseconds bound) {
  return FindProcess(command, program, bound, [](pid_t) { return true; });
}

pid_t RexTest::FindRank(RunningCommand& command, const std::string& program, milliseconds bound) {
  // A template on its way out has lost its environment, and with it the mark that tells it.
  return FindProcess(command, program, bound, HasEnvironment);
}

std::string RexTest::WriteFile(const std::string& name, const std::string& bytes, int mode) {
  std::string path = left_.work_dir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  ::chmod(path.c_str(), static_cast<mode_t>(mode));
  return path;
}

std::string RexTest::ReadWorkFile(const std::string& name) const {
  std::ifstream file(left_.work_dir() + "/" + name, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void RexTest::TearDown() {
  for (const auto& line : left_.Check()) ADD_FAILURE() << "left 5 s after the test: " << line;
}

::testing::AssertionResult ExitedWith(const CommandResult& result, int code) {
  if (!result.timed_out && result.signo == 0 && result.exit_code == code) {
    return ::testing::AssertionSuccess() << Describe(result);
  }
  return ::testing::AssertionFailure() << "wanted exit code " << code << "; " << Describe(result);
}

::testing::AssertionResult Contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "no '" << part << "' in:\n" << text.substr(0, 8000);
}

::testing::AssertionResult StderrNames(const CommandResult& result,
                                       const std::vector<std::string>& parts) {
  const std::string text = Lower(result.err);
  for (const auto& part : parts) {
    if (text.find(Lower(part)) == std::string::npos) {
      return ::testing::AssertionFailure()
             << "stderr does not name '" << part << "'; " << Describe(result);
    }
  }
  return ::testing::AssertionSuccess();
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> SortedLines(const std::string& text) {
  std::vector<std::string> lines = Lines(text);
  std::sort(lines.begin(), lines.end());
  return lines;
}

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

long long NumberAfter(const std::string& text, const std::string& name, size_t from) {
  const size_t at = text.find(name + "=", from);
  if (at == std::string::npos) return -1;
  return std::strtoll(text.c_str() + at + name.size() + 1, nullptr, 10);
}

}  // namespace rex::testing
