#include "launcher/cli/output_format.h"

#include <algorithm>

namespace rex {

std::string LineTagger::Tag(Rank rank, OutputStream stream, std::string_view bytes) {
  if (bytes.empty()) return "";
  const std::string tag = "[1," + std::to_string(rank) + "]" +
                          (stream == OutputStream::kStdout ? "<stdout>:" : "<stderr>:");
  bool inside = inside_line_.contains({rank, stream});
  std::string out;
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const size_t length = newline == std::string_view::npos ? bytes.size() : newline + 1;
    if (!inside) out += tag;
    out += bytes.substr(0, length);
    inside = newline == std::string_view::npos;
    bytes.remove_prefix(length);
  }
  if (inside) {
    inside_line_.emplace(rank, stream);
  } else {
    inside_line_.erase({rank, stream});
  }
  return out;
}

}  // namespace rex
