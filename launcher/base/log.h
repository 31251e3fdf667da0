// A daemon's log: one line per event on stderr, `rexd-agent[pid] level: event key=value ...`.
// Level from REX_LOG (error, warn, info, debug; default warn). Thread-safe; never blocks on a lock
// held across a callback. Programs that users type (rexlaunch) print their own messages instead.
#pragma once

#include <cstdint>
#include <string_view>

namespace rex {

enum class LogLevel : uint8_t { kError, kWarn, kInfo, kDebug };

// Call once at start; `program` has static storage.
void InitLog(const char* program);
bool LogEnabled(LogLevel level);
void Log(LogLevel level, std::string_view line);

}  // namespace rex
