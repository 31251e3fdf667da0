#include "launcher/tree/start_text.h"

#include <sstream>

namespace rex {

namespace {

std::string Printable(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  std::string shown;
  for (const char c : line.substr(0, kMaxShownLine)) {
    const auto byte = static_cast<unsigned char>(c);
    shown += c == '\t' ? ' ' : byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  if (line.size() > kMaxShownLine) shown += "...";
  return shown;
}

}  // namespace

std::vector<std::string> PrintableLines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string line = Printable(text.substr(0, end));
    if (line.find_first_not_of(' ') != line.npos) lines.push_back(std::move(line));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return lines;
}

std::string LastLine(std::string_view text) {
  const std::vector<std::string> lines = PrintableLines(text);
  return lines.empty() ? "" : lines.back();
}

void KeepEnd(std::string* kept, std::string_view more) {
  kept->append(more);
  if (kept->size() > kKeptTextBytes) kept->erase(0, kept->size() - kKeptTextBytes);
}

std::string KeeperNewsText(std::string_view line) {
  std::istringstream words{std::string(line.substr(kNewsPrefix.size()))};
  std::string daemon;
  std::string how;
  std::string number;
  std::string pid;
  words >> daemon >> how;
  if (how != "overdue") words >> number;
  words >> pid >> pid;  // behind the word "pid"
  return "the " + daemon + " (pid " + pid + ") " +
         (how == "signal" ? "was ended by signal " + number
          : how == "exit" ? "exited with code " + number
                          : "did not end in time");
}

bool IsKeeperNews(std::string_view line) {
  if (!line.starts_with(kNewsPrefix)) return false;
  const std::string_view news = line.substr(kNewsPrefix.size());
  for (const std::string_view start :
       {"agent signal ", "agent exit ", "host signal ", "host exit ", "agent overdue "}) {
    if (news.starts_with(start)) return true;
  }
  return false;
}

}  // namespace rex
