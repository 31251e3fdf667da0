#include "launcher/base/log.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

namespace rex {

namespace {
constexpr std::array<std::string_view, 4> kNames = {"error", "warn", "info", "debug"};
const char* g_program = "rex";       // set once by main, before other threads
LogLevel g_level = LogLevel::kWarn;  // likewise
}  // namespace

void InitLog(const char* program) {
  g_program = program;
  const char* wanted = std::getenv("REX_LOG");
  for (size_t i = 0; wanted != nullptr && i < kNames.size(); ++i) {
    if (kNames[i] == wanted) g_level = static_cast<LogLevel>(i);
  }
}

bool LogEnabled(LogLevel level) { return level <= g_level; }

void Log(LogLevel level, std::string_view line) {
  if (!LogEnabled(level)) return;
  std::string text = std::string(g_program) + "[" + std::to_string(::getpid()) + "] ";
  text += kNames[static_cast<size_t>(level)];
  text += ": ";
  text += line;
  text += '\n';
  // One write: lines of several processes do not mix. What stderr cannot take is lost on purpose.
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace rex
