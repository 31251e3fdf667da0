// Text that another machine sent, before it is shown: cut into lines, made printable. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rex {

inline constexpr size_t kKeptTextBytes = 4 << 10;  // of what came before the greeting, of stderr
inline constexpr size_t kMaxShownLine = 400;       // longer lines are cut

// Lines without their ends, blank ones left out; control characters become '?', bytes above 0x7f
// stay. Long lines are cut.
std::vector<std::string> PrintableLines(std::string_view text);
// The last of them, or empty.
std::string LastLine(std::string_view text);

// Appends to `kept` and drops what is older than kKeptTextBytes.
void KeepEnd(std::string* kept, std::string_view more);

// In front of Slurm's words in the explanation of a loss.
inline constexpr std::string_view kSlurmSays = "Slurm says: ";

// A joined keeper's line on stderr about a dead daemon: "rexd: agent signal 9 pid 77".
inline constexpr std::string_view kNewsPrefix = "rexd: ";
bool IsKeeperNews(std::string_view line);
// The same for people: "the agent (pid 77) was ended by signal 9". `line` is such a line.
std::string KeeperNewsText(std::string_view line);

}  // namespace rex
