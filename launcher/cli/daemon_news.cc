#include "launcher/cli/daemon_news.h"

#include <signal.h>

#include <array>

#include "launcher/cli/signal_name.h"
#include "launcher/values/number.h"

namespace rex {

namespace {

constexpr int kExitNoResources = 122;  // docs/rules.md
constexpr size_t kLineWords = 5;       // NAME KIND NUMBER "pid" PID

std::optional<std::array<std::string_view, kLineWords>> SplitLine(std::string_view line) {
  std::array<std::string_view, kLineWords> words;
  for (size_t i = 0; i < kLineWords; ++i) {
    const size_t space = line.find(' ');
    if ((space == std::string_view::npos) != (i + 1 == kLineWords)) return std::nullopt;
    words[i] = line.substr(0, space);
    if (words[i].empty()) return std::nullopt;
    line.remove_prefix(std::min(words[i].size() + 1, line.size()));
  }
  return words;
}

std::string Remedy(const DaemonEnd& end) {
  if (end.status.signal == SIGKILL) {
    return "somebody killed it, or the kernel did for lack of memory ('dmesg' tells); run the job "
           "again";
  }
  if (end.status.code == kExitNoResources) {
    return "it lacked what the line above says: raise the limits of open files and processes "
           "(ulimit "
           "-n, ulimit -u), or make room in the temp directory and /dev/shm";
  }
  return "run it again with REX_LOG=debug set; if it fails again, please report those lines";
}

}  // namespace

std::optional<DaemonEnd> ParseDaemonEnd(std::string_view line) {
  const auto words = SplitLine(line);
  if (!words || (*words)[3] != "pid") return std::nullopt;
  const auto number = ParseWhole((*words)[2]);
  const auto pid = ParseWhole((*words)[4]);
  if (!number || !pid || *number > 255 || *pid > INT32_MAX) return std::nullopt;
  DaemonEnd end;
  end.name = (*words)[0];
  end.pid = static_cast<int64_t>(*pid);
  if ((*words)[1] == "signal" && *number >= 1 && *number <= 64) {
    end.status.signal = static_cast<int>(*number);
  } else if ((*words)[1] == "exit") {
    end.status.code = static_cast<int>(*number);
  } else {
    return std::nullopt;
  }
  return end;
}

std::string DaemonEndText(const DaemonEnd& end) {
  return "rex's " + end.name + " (pid " + std::to_string(end.pid) + ") " +
         (end.status.signal != 0 ? "was ended by " + SignalText(end.status.signal)
                                 : "exited with code " + std::to_string(end.status.code));
}

std::vector<std::string> LostHeadLines(const std::vector<DaemonEnd>& ends,
                                       const std::string& reason) {
  std::vector<std::string> lines;
  for (const DaemonEnd& end : ends) {
    if (lines.empty()) {
      lines.push_back(DaemonEndText(end) + "; the job was ended");
      continue;
    }
    if (!end.status.ok()) lines.push_back("  then " + DaemonEndText(end));
  }
  if (ends.empty()) {
    return {"the connection to rex's agent was lost (" + reason + "); the job was ended",
            "  run it again with REX_LOG=debug set; if it fails again, please report those lines"};
  }
  lines.push_back("  " + Remedy(ends[0]));
  return lines;
}

}  // namespace rex
