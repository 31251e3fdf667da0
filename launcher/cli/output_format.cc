#include "launcher/cli/output_format.h"

#include <algorithm>
#include <array>

namespace rex {

std::string LineTagger::TagText(Rank rank, OutputStream stream, std::time_t now) const {
  std::string text;
  if (timestamp_) {
    std::tm local{};
    std::array<char, 64> time{};
    ::localtime_r(&now, &local);
    text.append(time.data(),
                std::strftime(time.data(), time.size(), "%a %b %e %H:%M:%S %Y", &local));
  }
  if (rank_) text += "[1," + std::to_string(rank) + "]";
  return text + (stream == OutputStream::kStdout ? "<stdout>:" : "<stderr>:");
}

std::string LineTagger::Tag(Rank rank, OutputStream stream, std::string_view bytes,
                            std::time_t now) {
  if (bytes.empty()) return "";
  const std::string tag = TagText(rank, stream, now);
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
