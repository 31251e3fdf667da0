#include "launcher/template/script_line.h"

namespace rex {

namespace {
constexpr std::string_view kBlanks = " \t";

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}
}  // namespace

std::optional<ScriptLine> ParseScriptLine(std::string_view begin) {
  begin = begin.substr(0, kScriptLineBytes);
  if (!begin.starts_with("#!")) return std::nullopt;
  const size_t end = begin.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = Trimmed(begin.substr(2, end - 2));
  // The kernel's strings end at a NUL; nobody writes one, so nobody needs us to know more.
  if (line.empty() || line.find('\0') != std::string_view::npos) return std::nullopt;
  const size_t word = std::min(line.find_first_of(kBlanks), line.size());
  return ScriptLine{std::string(line.substr(0, word)), std::string(Trimmed(line.substr(word)))};
}

}  // namespace rex
