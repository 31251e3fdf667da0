#include "launcher/observe/timeline.h"

#include <gtest/gtest.h>

#include <cctype>

namespace rex {
namespace {

using std::chrono::microseconds;

// A strict reader of RFC 8259 that only says whether a text is valid.
class JsonChecker {
 public:
  explicit JsonChecker(std::string_view text) : rest_(text) {}
  bool Valid() {
    const bool value = Value();
    Space();
    return value && rest_.empty();
  }

 private:
  void Space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  bool Take(std::string_view word) {
    Space();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  bool Value() {
    Space();
    if (rest_.empty()) return false;
    if (rest_[0] == '{') return List("{", "}", true);
    if (rest_[0] == '[') return List("[", "]", false);
    if (rest_[0] == '"') return String();
    return Take("true") || Take("false") || Take("null") || Number();
  }
  bool List(std::string_view open, std::string_view close, bool named) {
    Take(open);
    if (Take(close)) return true;
    do {
      Space();
      if (named && (!String() || !Take(":"))) return false;
      if (!Value()) return false;
    } while (Take(","));
    return Take(close);
  }
  bool Number() {
    size_t n = !rest_.empty() && rest_[0] == '-' ? 1 : 0;
    const size_t digits = n;
    while (n < rest_.size() && std::isdigit(static_cast<unsigned char>(rest_[n]))) ++n;
    if (n == digits || (rest_[digits] == '0' && n > digits + 1)) return false;
    rest_.remove_prefix(n);
    return true;
  }
  bool String() {
    if (!Take("\"")) return false;
    while (!rest_.empty()) {
      const char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\' && !Escape()) return false;
    }
    return false;
  }
  bool Escape() {
    if (rest_.empty()) return false;
    const char c = rest_[0];
    rest_.remove_prefix(1);
    if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    if (rest_.size() < 4) return false;
    for (int i = 0; i < 4; ++i) {
      if (!std::isxdigit(static_cast<unsigned char>(rest_[i]))) return false;
    }
    rest_.remove_prefix(4);
    return true;
  }
  std::string_view rest_;
};

Phase MakePhase(std::string name, int64_t begin, int64_t end, std::string process,
                std::string node = "", std::string note = "") {
  return {std::move(name), microseconds(begin), microseconds(end),
          std::move(node), std::move(process),  std::move(note)};
}

TEST(JsonString, EscapesWhatJsonForbids) {
  EXPECT_EQ(JsonString("a\"b\\c\n\t\r\x01"), "\"a\\\"b\\\\c\\n\\t\\r\\u0001\"");
}

TEST(JsonString, KeepsUtf8AndReplacesWhatIsNone) {
  EXPECT_EQ(JsonString("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x99\x82"),
            "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x99\x82\"");
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(JsonString("\xFF"), "\"" + bad + "\"");
  EXPECT_EQ(JsonString("\xC3"), "\"" + bad + "\"");                      // broken off
  EXPECT_EQ(JsonString("\xC0\x80"), "\"" + bad + bad + "\"");            // overlong
  EXPECT_EQ(JsonString("\xED\xA0\x80"), "\"" + bad + bad + bad + "\"");  // a surrogate
}

TEST(TimelineJson, IsValidWhateverIsInIt) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_TRUE(JsonChecker(TimelineJson({}, microseconds(0))).Valid());
  const std::vector<Phase> phases = {MakePhase(all, 5, 9, all, all, all),
                                     MakePhase("x", 9, 5, "agent", "n1")};
  const std::string json = TimelineJson(phases, microseconds(7));
  EXPECT_TRUE(JsonChecker(json).Valid()) << json;
}

TEST(TimelineJson, HasOneEventPerPhaseInMicrosecondsFromTheOrigin) {
  const std::string json = TimelineJson({MakePhase("births", 1500, 2500, "agent", "n1", "4 ranks"),
                                         MakePhase("parse", 1000, 1100, "rexlaunch")},
                                        microseconds(1000));
  EXPECT_EQ(
      json,
      "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"clock\":\"CLOCK_MONOTONIC\","
      "\"origin_us\":1000},\"traceEvents\":[\n"
      "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"tid\":0,\"args\":{\"name\":\"this "
      "node\"}},\n"
      "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":1,\"args\":{\"name\":"
      "\"rexlaunch\"}},\n"
      "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":2,\"tid\":0,\"args\":{\"name\":\"n1\"}},\n"
      "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":2,\"tid\":1,\"args\":{\"name\":\"agent\"}},\n"
      "{\"ph\":\"X\",\"cat\":\"launch\",\"name\":\"parse\",\"pid\":1,\"tid\":1,\"ts\":0,\"dur\":"
      "100},\n"
      "{\"ph\":\"X\",\"cat\":\"launch\",\"name\":\"births\",\"pid\":2,\"tid\":1,\"ts\":500,"
      "\"dur\":1000,\"args\":{\"note\":\"4 ranks\"}}\n]}\n");
}

TEST(TimelineTable, IsAlignedAndInOrderOfStart) {
  EXPECT_EQ(TimelineTable({MakePhase("first connect", 12000, 12345, "host", "n1", "rank 3"),
                           MakePhase("parse", 1000, 1100, "rexlaunch")},
                          microseconds(1000)),
            "phase          start ms  duration ms  where       note\n"
            "parse             0.000        0.100  rexlaunch\n"
            "first connect    11.000        0.345  host on n1  rank 3\n");
}

TEST(TimelineTable, PhasesThatEncloseOthersComeFirst) {
  const std::string table = TimelineTable(
      {MakePhase("part", 0, 5, "agent"), MakePhase("whole", 0, 9, "agent")}, microseconds(0));
  EXPECT_LT(table.find("whole"), table.find("part"));
}

TEST(TimelineTable, APhaseOfManyNodesIsOneLine) {
  const std::vector<Phase> phases = {MakePhase("births", 2000, 5000, "agent", "n1", "template"),
                                     MakePhase("births", 1000, 2000, "agent", "n2", "template"),
                                     MakePhase("births", 3000, 7500, "agent", "n3", "template"),
                                     MakePhase("host", 0, 500, "host", "n1"),
                                     MakePhase("host", 0, 600, "host", "n2")};
  EXPECT_EQ(TimelineTable(phases, microseconds(0)),
            "phase   start ms  duration ms  where             note\n"
            "host       0.000        0.600  host on n2\n"
            "host       0.000        0.500  host on n1\n"
            "births     1.000        6.500  agent on 3 nodes  template; longest 4.500 on n3\n");
}

TEST(TimelineTable, NotesThatDifferAreLeftOutOfTheOneLine) {
  const std::vector<Phase> phases = {MakePhase("births", 0, 1000, "agent", "n1", "template"),
                                     MakePhase("births", 0, 2000, "agent", "n2", "exec"),
                                     MakePhase("births", 0, 3000, "agent", "n3", "exec")};
  const std::string table = TimelineTable(phases, microseconds(0));
  EXPECT_NE(table.find("agent on 3 nodes  longest 3.000 on n3\n"), std::string::npos) << table;
}

TEST(TimelineTable, ControlCharactersCannotBreakIt) {
  const std::string table =
      TimelineTable({MakePhase("a\nb\x1b", 0, 5, "agent", "", "n\to")}, microseconds(0));
  EXPECT_NE(table.find("a?b?"), std::string::npos);
  EXPECT_NE(table.find("n?o"), std::string::npos);
}

}  // namespace
}  // namespace rex
