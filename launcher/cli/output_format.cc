#include "launcher/cli/output_format.h"

#include <algorithm>
#include <array>

namespace rex {

std::string LineTagger::TagText(Rank rank, OutputStream stream, std::time_t now,
                                JobNumber job) const {
  std::string text;
  if (timestamp_) {
    std::tm local{};
    std::array<char, 64> time{};
    ::localtime_r(&now, &local);
    text.append(time.data(),
                std::strftime(time.data(), time.size(), "%a %b %e %H:%M:%S %Y", &local));
  }
  if (rank_) text += "[" + std::to_string(job) + "," + std::to_string(rank) + "]";
  return text + (stream == OutputStream::kStdout ? "<stdout>:" : "<stderr>:");
}

std::string LineTagger::Tag(Rank rank, OutputStream stream, std::string_view bytes, std::time_t now,
                            JobNumber job) {
  if (bytes.empty()) return "";
  const std::string tag = TagText(rank, stream, now, job);
  bool inside = inside_line_.contains({job, rank, stream});
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
    inside_line_.emplace(job, rank, stream);
  } else {
    inside_line_.erase({job, rank, stream});
  }
  return out;
}

void LineTagger::Forget(Rank rank, OutputStream stream, JobNumber job) {
  inside_line_.erase({job, rank, stream});
}

}  // namespace rex
