// --timeline tells when each phase was, and tells the truth.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

using nlohmann::json;

const char* const kPhases[] = {
    "parse",      "agent",  "host", "namespace", "births", "first connect", "last out of MPI_Init",
    "first exit", "cleanup"};

class TimelineTest : public RexTest {
 protected:
  // The trace of a job with these arguments; what it printed is in `result`.
  json Trace(std::vector<std::string> args, CommandResult* result) {
    const std::string file = left().work_dir() + "/trace.json";
    args.insert(args.begin(), {"--timeline", file});
    *result = Rex(args);
    EXPECT_TRUE(ExitedWith(*result, 0));
    const json trace = json::parse(ReadWorkFile("trace.json"), nullptr, false);
    EXPECT_FALSE(trace.is_discarded()) << ReadWorkFile("trace.json");
    return trace;
  }
  static const json* Event(const json& trace, const std::string& name) {
    if (!trace.is_object() || !trace.contains("traceEvents")) return nullptr;
    for (const auto& event : trace["traceEvents"]) {
      if (event.value("ph", "") == "X" && event.value("name", "") == name) return &event;
    }
    return nullptr;
  }

  // The phases end in this order.
  static void ExpectOrder(const json& trace, const std::vector<const char*>& order) {
    double before = 0;
    for (const char* name : order) {
      const json* event = Event(trace, name);
      ASSERT_NE(event, nullptr) << name;
      const double end = event->value("ts", 0.0) + event->value("dur", 0.0);
      EXPECT_GE(end, before) << name << " in " << trace.dump(1);
      before = end;
    }
  }
};

TEST_F(TimelineTest, HasEveryPhaseOfAnMpiJob) {
  CommandResult result;
  const json trace = Trace({"-n", "2", ProgramPath("mpi_hello")}, &result);
  for (const char* name : kPhases) {
    const json* event = Event(trace, name);
    ASSERT_NE(event, nullptr) << "no phase '" << name << "' in " << trace.dump(1);
    EXPECT_GE(event->value("dur", -1.0), 0.0) << event->dump();
    EXPECT_GE(event->value("ts", -1.0), 0.0) << event->dump();
  }
}

// A rank may be in MPI_Init while others are still being born.
TEST_F(TimelineTest, PhasesFollowEachOther) {
  CommandResult result;
  const json trace = Trace({"-n", "2", ProgramPath("mpi_hello")}, &result);
  for (const auto& order :
       {std::vector{"namespace", "first connect", "last out of MPI_Init", "first exit"},
        std::vector{"namespace", "births", "last out of MPI_Init"}}) {
    ExpectOrder(trace, order);
  }
}

TEST_F(TimelineTest, AJobWithoutMpiHasNoMpiPhases) {
  CommandResult result;
  const json trace = Trace({"-n", "2", "true"}, &result);
  EXPECT_NE(Event(trace, "births"), nullptr);
  EXPECT_EQ(Event(trace, "last out of MPI_Init"), nullptr) << trace.dump(1);
}

TEST_F(TimelineTest, ATableOnStderr) {
  const CommandResult result = Rex({"-n", "2", "--timeline", "-", ProgramPath("mpi_hello")});
  ASSERT_TRUE(ExitedWith(result, 0));
  for (const char* name : kPhases) EXPECT_TRUE(Contains(result.err, name));
  EXPECT_EQ(CountOf(result.out, "births"), 0u);
}

TEST_F(TimelineTest, AFileThatCannotBeWrittenIsNamed) {
  const CommandResult result = Rex({"-n", "1", "--timeline", "/no/such/dir/trace", "true"});
  EXPECT_FALSE(result.timed_out) << result;
  EXPECT_TRUE(StderrNames(result, {"/no/such/dir/trace"}));
}

// What the host sees as the end of MPI_Init is what the slowest rank measures itself.
TEST_F(TimelineTest, TheEndOfMpiInitIsTheOneThatRanksMeasure) {
  double best_ms = 1e9;
  std::string seen;
  // The machine may be doing something else; the claim is about rex, so the best of five counts.
  for (int i = 0; i < 5 && best_ms > 5; ++i) {
    CommandResult result;
    const json trace = Trace({"-n", "2", ProgramPath("mpi_init_probe")}, &result);
    const json* event = Event(trace, "last out of MPI_Init");
    ASSERT_NE(event, nullptr) << trace.dump(1);
    const double origin_us = trace["otherData"].value("origin_us", 0.0);
    const double host_us = origin_us + event->value("ts", 0.0) + event->value("dur", 0.0);
    long long last_us = 0;
    for (const auto& line : Lines(result.out)) {
      last_us = std::max(last_us, NumberAfter(line, "init_us"));
    }
    const double gap_ms = std::abs(host_us - static_cast<double>(last_us)) / 1000;
    seen += " " + std::to_string(gap_ms);
    best_ms = std::min(best_ms, gap_ms);
  }
  EXPECT_LE(best_ms, IsSanitized() ? 50 : 5) << "gaps in ms:" << seen;
}

}  // namespace
}  // namespace rex::testing
