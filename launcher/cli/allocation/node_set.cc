#include "launcher/cli/allocation/node_set.h"

#include <algorithm>

#include "launcher/values/host_list.h"
#include "launcher/values/number.h"
#include "launcher/wire/messages.h"

namespace rex {

namespace {

constexpr size_t kMaxDigits = 9;  // so that numbers fit into 32 bits

Error Bad(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

std::string Quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

struct Range {
  uint32_t first = 0;
  uint32_t last = 0;
  size_t width = 0;  // shorter numbers get zeros in front
  uint64_t size() const { return uint64_t{last} - first + 1; }
};

// A part of a name: a text, or the numbers of one pair of brackets.
struct Part {
  std::string text;
  std::vector<Range> ranges;  // empty: the text counts
  uint64_t size = 1;
};

size_t ZerosWidth(std::string_view digits) {
  return digits.size() > 1 && digits[0] == '0' ? digits.size() : 0;
}

Result<uint32_t> Number(std::string_view digits) {
  const auto number = digits.size() <= kMaxDigits ? ParseWhole(digits) : std::nullopt;
  if (!number) return Bad(Quoted(digits) + " is not a number of at most 9 digits");
  return static_cast<uint32_t>(*number);
}

// "7" or "001-128".
Result<Range> ParseRange(std::string_view text) {
  const size_t dash = text.find('-');
  const auto first = Number(text.substr(0, dash));
  if (!first) return first.error();
  Range range{*first, *first, ZerosWidth(text.substr(0, dash))};
  if (dash == std::string_view::npos) return range;
  const auto last = Number(text.substr(dash + 1));
  if (!last) return last.error();
  if (*last < *first) return Bad(Quoted(text) + " runs backwards");
  range.last = *last;
  return range;
}

// Calls `take` with each piece between commas until it fails.
template <typename Take>
Status ForEachPiece(std::string_view text, Take take) {
  for (;;) {
    const size_t comma = text.find(',');
    if (Status taken = take(text.substr(0, comma)); !taken) return taken;
    if (comma == std::string_view::npos) return Ok{};
    text.remove_prefix(comma + 1);
  }
}

// What stands in brackets, at most `most` numbers.
Result<Part> ParseRanges(std::string_view text, uint64_t most) {
  Part part;
  part.size = 0;
  const Status done = ForEachPiece(text, [&](std::string_view piece) -> Status {
    const auto range = ParseRange(piece);
    if (!range) return range.error();
    part.size += range->size();
    if (part.size > most) return Bad("more than " + std::to_string(most) + " are listed");
    part.ranges.push_back(*range);
    return Ok{};
  });
  if (!done) return done.error();
  return part;
}

// One name of a list, from its first part to its last.
Result<std::vector<Part>> ParseName(std::string_view text, ZeroFill fill) {
  std::vector<Part> parts;
  while (!text.empty()) {
    const size_t open = text.find('[');
    const std::string_view plain = text.substr(0, open);
    if (plain.find(']') != std::string_view::npos) return Bad(Quoted(text) + " has no '['");
    if (!plain.empty()) parts.push_back({std::string(plain), {}, 1});
    if (open == std::string_view::npos) break;
    const size_t close = text.find(']', open);
    if (close == std::string_view::npos) return Bad(Quoted(text) + " has no ']'");
    auto part = ParseRanges(text.substr(open + 1, close - open - 1), kMaxJobNodes);
    if (!part) return part.error();
    if (fill == ZeroFill::kWholeBrackets) {
      for (Range& range : part->ranges) {
        range.width = std::max(range.width, part->ranges[0].width);
      }
    }
    parts.push_back(*std::move(part));
    text.remove_prefix(close + 1);
  }
  return parts;
}

std::string Padded(uint32_t number, size_t width) {
  std::string digits = std::to_string(number);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return digits;
}

// The `index`th text of a part.
std::string TextOf(const Part& part, uint64_t index) {
  if (part.ranges.empty()) return part.text;
  for (const Range& range : part.ranges) {
    if (index < range.size())
      return Padded(range.first + static_cast<uint32_t>(index), range.width);
    index -= range.size();
  }
  return "";
}

// The `index`th name that the parts give together.
std::string NameOf(const std::vector<Part>& parts, uint64_t index) {
  std::string name;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    name.insert(0, TextOf(*part, index % part->size));
    index /= part->size;
  }
  return name;
}

Status AppendNames(const std::vector<Part>& parts, std::vector<std::string>& names) {
  uint64_t count = 1;
  for (const Part& part : parts) {
    count *= part.size;  // each at most kMaxJobNodes, so this can't overflow
    if (names.size() + count > kMaxJobNodes) {
      return Bad("more than " + std::to_string(kMaxJobNodes) + " nodes are listed");
    }
  }
  for (uint64_t i = 0; i < count; ++i) {
    names.push_back(NameOf(parts, i));
    if (auto trouble = HostNameTrouble(names.back()); !trouble.empty()) return Bad(trouble);
  }
  return Ok{};
}

// Where the name that begins `text` ends: at a comma outside of brackets.
size_t NameEnd(std::string_view text) {
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '[') inside = true;
    if (text[i] == ']') inside = false;
    if (text[i] == ',' && !inside) return i;
  }
  return text.size();
}

}  // namespace

Result<std::vector<std::string>> ExpandNodeSet(std::string_view text, ZeroFill fill) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const size_t end = NameEnd(text);
    const auto parts = ParseName(text.substr(0, end), fill);
    if (!parts) return parts.error();
    if (Status done = AppendNames(*parts, names); !done) return done.error();
    if (end == text.size()) break;
    text.remove_prefix(end + 1);
    if (text.empty()) return Bad("the list ends with ','");
  }
  return names;
}

Result<std::vector<uint32_t>> ExpandCounts(std::string_view text) {
  std::vector<uint32_t> counts;
  const Status done = ForEachPiece(text, [&](std::string_view piece) -> Status {
    const size_t open = piece.find("(x");
    const auto count = ParseWhole(piece.substr(0, open));
    std::optional<uint64_t> times = 1;
    if (open != std::string_view::npos) {
      const bool closed = piece.ends_with(')');
      times = closed ? ParseWhole(piece.substr(open + 2, piece.size() - open - 3)) : std::nullopt;
    }
    if (!count || *count == 0 || *count > kMaxRanks || !times || *times == 0) {
      return Bad(Quoted(piece) + " is not a count; expected for example 2(x3)");
    }
    if (*times > kMaxJobNodes || counts.size() + *times > kMaxJobNodes) {
      return Bad("more than " + std::to_string(kMaxJobNodes) + " counts are listed");
    }
    counts.insert(counts.end(), *times, static_cast<uint32_t>(*count));
    return Ok{};
  });
  if (!done) return done.error();
  return counts;
}

Result<uint32_t> CountNumbers(std::string_view text) {
  const auto part = ParseRanges(text, kMaxRanks);
  if (!part) return part.error();
  return static_cast<uint32_t>(part->size);
}

Result<std::vector<uint32_t>> ExpandNumbers(std::string_view text, uint32_t most) {
  const auto part = ParseRanges(text, most);
  if (!part) return part.error();
  std::vector<uint32_t> numbers;
  for (const Range& range : part->ranges) {
    for (uint64_t i = 0; i < range.size(); ++i) {
      numbers.push_back(range.first + static_cast<uint32_t>(i));
    }
  }
  return numbers;
}

}  // namespace rex
