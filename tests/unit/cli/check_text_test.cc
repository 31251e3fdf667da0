#include "launcher/cli/check_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace rex {
namespace {

CheckedNode Node(const std::string& name) {
  CheckedNode node;
  node.name = name;
  node.slots = 2;
  node.answered = true;
  node.hostname = name;
  node.cores = 2;
  node.rex = "0.1.0";
  node.glibc = "2.36";
  node.way_back = "eth0 10.0.0.2 to 10.0.0.1";
  node.clock = std::chrono::microseconds(-2500);
  node.temp = "/tmp";
  node.temp_free = uint64_t{3} << 30;
  node.shm_free = uint64_t{1} << 30;
  return node;
}

TEST(CheckText, AllIsWell) {
  EXPECT_EQ(CheckLines({{Node("n1"), Node("n2")}, {}}),
            "2 nodes are well: 4 slots; rex 0.1.0, glibc 2.36, no Open MPI, no libpmix; clocks "
            "within 2.5 ms; at least 3.0 GiB free in /tmp and 1.0 GiB in /dev/shm; way back: n1 by "
            "eth0 10.0.0.2 to 10.0.0.1, n2 by eth0 10.0.0.2 to 10.0.0.1\n");
}

TEST(CheckText, ALineForEachProblem) {
  const CheckReport report{
      {Node("n1"), Node("n2"), Node("n3")},
      {{"n1", "shm", "full", "empty it", false}, {"n1", "disk", "full", "", false}}};
  EXPECT_EQ(CheckLines(report),
            "n1: shm: full; empty it\nn1: disk: full\n1 of 3 nodes has 2 problems\n");
}

TEST(CheckText, NotesAreNoProblems) {
  const std::string text = CheckLines({{Node("n1")}, {{"n1", "slots", "many", "fewer", true}}});
  EXPECT_TRUE(text.starts_with("n1: note: slots: many; fewer\n1 node is well: ")) << text;
}

TEST(CheckText, ManyWaysBackAreCounted) {
  CheckReport report;
  for (int i = 1; i <= 7; ++i) report.nodes.push_back(Node("n" + std::to_string(i)));
  EXPECT_NE(CheckLines(report).find("n4 by eth0 10.0.0.2 to 10.0.0.1, and 3 more\n"),
            std::string::npos);
}

TEST(CheckText, JsonSaysTheSame) {
  CheckedNode absent;
  absent.name = "a \"b\"";
  const auto json =
      nlohmann::json::parse(CheckJson({{Node("n1"), absent}, {{"n1", "shm", "full", "", false}}}));
  EXPECT_EQ(json["well"], false);
  ASSERT_EQ(json["nodes"].size(), 2u);
  EXPECT_EQ(json["nodes"][0]["clock_us"], -2500);
  EXPECT_EQ(json["nodes"][0]["temp_free"], uint64_t{3} << 30);
  EXPECT_TRUE(json["nodes"][0]["openmpi"].is_null());
  EXPECT_EQ(json["nodes"][1]["name"], "a \"b\"");
  EXPECT_TRUE(json["nodes"][1]["cores"].is_null());
  EXPECT_TRUE(json["problems"][0]["remedy"].is_null());
  EXPECT_TRUE(nlohmann::json::parse(CheckJson({{Node("n1")}, {}}))["well"]);
}

}  // namespace
}  // namespace rex
