#include "launcher/cli/suggest.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace rex {

namespace {
constexpr size_t kEditCost = 4;
constexpr size_t kCaseCost = 1;

size_t ReplaceCost(char a, char b) {
  if (a == b) return 0;
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return lower(a) == lower(b) ? kCaseCost : kEditCost;
}
}  // namespace

size_t EditDistance(std::string_view a, std::string_view b) {
  // Optimal string alignment, row by row.
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = kEditCost * j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = kEditCost * i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + kEditCost, row[j - 1] + kEditCost,
                         last[j - 1] + ReplaceCost(a[i - 1], b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + kEditCost);
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string NearestWord(std::string_view word, std::span<const std::string_view> words) {
  std::string_view best;
  size_t best_distance = 0;
  for (const std::string_view candidate : words) {
    const size_t distance = EditDistance(word, candidate);
    const size_t longer = std::max(word.size(), candidate.size());
    const bool near_enough = 3 * distance <= kEditCost * longer;
    if (near_enough && (best.empty() || distance < best_distance)) {
      best = candidate;
      best_distance = distance;
    }
  }
  return std::string(best);
}

}  // namespace rex
