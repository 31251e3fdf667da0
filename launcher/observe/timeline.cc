#include "launcher/observe/timeline.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <string_view>

namespace rex {

namespace {

constexpr size_t kMostRowsOfAPhase = 2;                    // in the table; more are one
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Length of the well-formed UTF-8 sequence at the start of `text`, 0 when there is none.
// Source: The Unicode Standard, table 3-7.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
  };
  const auto in = [](uint8_t b, uint8_t low, uint8_t high) { return b >= low && b <= high; };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (in(lead, 0xC2, 0xDF)) return in(byte(1), 0x80, 0xBF) ? 2 : 0;
  if (in(lead, 0xE0, 0xEF)) {
    const uint8_t low = lead == 0xE0 ? 0xA0 : 0x80;   // no overlong forms
    const uint8_t high = lead == 0xED ? 0x9F : 0xBF;  // no surrogates
    return in(byte(1), low, high) && in(byte(2), 0x80, 0xBF) ? 3 : 0;
  }
  if (in(lead, 0xF0, 0xF4)) {
    const uint8_t low = lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xF4 ? 0x8F : 0xBF;
    return in(byte(1), low, high) && in(byte(2), 0x80, 0xBF) && in(byte(3), 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

std::string EscapedControl(char c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    case '\r':
      return "\\r";
    default: {
      std::array<char, 8> text{};
      std::snprintf(text.data(), text.size(), "\\u%04x", static_cast<uint8_t>(c));
      return text.data();
    }
  }
}

std::vector<Phase> InOrderOfStart(const std::vector<Phase>& phases) {
  std::vector<Phase> sorted = phases;
  // The longer one first when two begin together, so that what encloses comes before its parts.
  std::stable_sort(sorted.begin(), sorted.end(), [](const Phase& a, const Phase& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  return sorted;
}

// "name":value pairs that give a process or a thread its label.
std::string NameEvent(const char* kind, int pid, int tid, std::string_view name) {
  return "{\"ph\":\"M\",\"name\":\"" + std::string(kind) + "\",\"pid\":" + std::to_string(pid) +
         ",\"tid\":" + std::to_string(tid) + ",\"args\":{\"name\":" + JsonString(name) + "}}";
}

// Gives every node a trace "process" and every process of it a trace "thread", in order of
// appearance, and keeps the events that name them.
class Rows {
 public:
  struct Row {
    int pid = 0;
    int tid = 0;
  };
  Row Of(const Phase& phase) {
    Node& node = nodes_[phase.node];
    if (node.pid == 0) {
      node.pid = static_cast<int>(nodes_.size());
      names_.push_back(
          NameEvent("process_name", node.pid, 0, phase.node.empty() ? "this node" : phase.node));
    }
    int& tid = node.tids[phase.process];
    if (tid == 0) {
      tid = static_cast<int>(node.tids.size());
      names_.push_back(NameEvent("thread_name", node.pid, tid, phase.process));
    }
    return {node.pid, tid};
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Node {
    int pid = 0;
    std::map<std::string, int> tids;
  };
  std::map<std::string, Node> nodes_;
  std::vector<std::string> names_;
};

std::string CompleteEvent(const Phase& phase, Rows::Row row, std::chrono::microseconds origin) {
  const auto duration = std::max(phase.end - phase.begin, std::chrono::microseconds(0));
  std::string event = "{\"ph\":\"X\",\"cat\":\"launch\",\"name\":" + JsonString(phase.name) +
                      ",\"pid\":" + std::to_string(row.pid) +
                      ",\"tid\":" + std::to_string(row.tid) +
                      ",\"ts\":" + std::to_string((phase.begin - origin).count()) +
                      ",\"dur\":" + std::to_string(duration.count());
  if (!phase.note.empty()) event += ",\"args\":{\"note\":" + JsonString(phase.note) + "}";
  return event + "}";
}

std::string Milliseconds(std::chrono::microseconds time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f", static_cast<double>(time.count()) / 1000.0);
  return text.data();
}

std::string PadRight(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string PadLeft(const std::string& text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

// Notes and names come from other processes: nothing in them may break the table or the terminal.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

// One row for a phase that many nodes had: from the first begin to the last end.
Phase MergedPhase(const std::vector<const Phase*>& parts) {
  Phase merged = *parts.front();
  const Phase* longest = parts.front();
  bool one_note = true;
  for (const Phase* part : parts) {
    merged.begin = std::min(merged.begin, part->begin);
    merged.end = std::max(merged.end, part->end);
    if (part->end - part->begin > longest->end - longest->begin) longest = part;
    one_note = one_note && part->note == merged.note;
  }
  if (!one_note) merged.note.clear();
  if (!merged.note.empty()) merged.note += "; ";
  merged.note += "longest " + Milliseconds(longest->end - longest->begin) + " on " + longest->node;
  merged.node = std::to_string(parts.size()) + " nodes";
  return merged;
}

std::vector<Phase> MergeNodes(const std::vector<Phase>& phases) {
  std::map<std::pair<std::string, std::string>, std::vector<const Phase*>> alike;
  for (const Phase& phase : phases) {
    if (!phase.node.empty()) alike[{phase.name, phase.process}].push_back(&phase);
  }
  std::vector<Phase> merged;
  for (const Phase& phase : phases) {
    const auto group = alike.find({phase.name, phase.process});
    if (group == alike.end() || phase.node.empty() || group->second.size() <= kMostRowsOfAPhase) {
      merged.push_back(phase);
    } else if (group->second.front() == &phase) {
      merged.push_back(MergedPhase(group->second));
    }
  }
  return merged;
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const char c = text[0];
    if (length == 0) {
      out += kReplacement;
    } else if (length > 1) {
      out += text.substr(0, length);
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<uint8_t>(c) < 0x20) {
      out += EscapedControl(c);
    } else {
      out += c;
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out + "\"";
}

std::string TimelineJson(const std::vector<Phase>& phases, std::chrono::microseconds origin) {
  Rows rows;
  std::vector<std::string> events;
  for (const Phase& phase : InOrderOfStart(phases)) {
    events.push_back(CompleteEvent(phase, rows.Of(phase), origin));
  }
  std::string out = "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"clock\":\"CLOCK_MONOTONIC\",";
  out += "\"origin_us\":" + std::to_string(origin.count()) + "},\"traceEvents\":[";
  const char* separator = "\n";
  for (const auto* list : {&rows.names(), static_cast<const std::vector<std::string>*>(&events)}) {
    for (const std::string& event : *list) {
      out += separator + event;
      separator = ",\n";
    }
  }
  return out + "\n]}\n";
}

std::string TimelineTable(const std::vector<Phase>& phases, std::chrono::microseconds origin) {
  std::vector<std::array<std::string, 5>> lines = {
      {"phase", "start ms", "duration ms", "where", "note"}};
  const std::vector<Phase> rows = MergeNodes(phases);
  for (const Phase& phase : InOrderOfStart(rows)) {
    const auto duration = std::max(phase.end - phase.begin, std::chrono::microseconds(0));
    const std::string where =
        phase.node.empty() ? phase.process : phase.process + " on " + phase.node;
    lines.push_back({Printable(phase.name), Milliseconds(phase.begin - origin),
                     Milliseconds(duration), Printable(where), Printable(phase.note)});
  }
  std::array<size_t, 4> width{};
  for (const auto& line : lines) {
    for (size_t i = 0; i < width.size(); ++i) width[i] = std::max(width[i], line[i].size());
  }
  std::string out;
  for (const auto& line : lines) {
    std::string text = PadRight(line[0], width[0]) + "  " + PadLeft(line[1], width[1]) + "  " +
                       PadLeft(line[2], width[2]) + "  " + PadRight(line[3], width[3]) + "  " +
                       line[4];
    text.resize(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  }
  return out;
}

}  // namespace rex
