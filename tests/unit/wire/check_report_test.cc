#include "launcher/wire/check_report.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

TEST(CheckReport, RoundTrip) {
  CheckedNode node;
  node.name = "n1";
  node.here = node.answered = true;
  node.slots = 1;
  node.hostname = "h";
  node.cores = 2;
  node.rex = "r";
  node.glibc = "g";
  node.openmpi = "o";
  node.libpmix = "p";
  node.way_back = "w";
  node.clock = std::chrono::microseconds(-3);
  node.clock_error = std::chrono::microseconds(4);
  node.temp = "/t";
  node.temp_free = 5;
  node.shm_free = 6;
  CheckedNode absent;
  absent.name = "n2";
  const CheckReport report{{node, absent}, {{"n2", "start", "no", "do", true}}};
  const auto back = FromWire<CheckReport>(ToWire(report));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(ToWire(*back), ToWire(report));
  EXPECT_EQ(back->problems, report.problems);
  EXPECT_EQ(back->nodes[0].clock, node.clock);
  EXPECT_FALSE(back->nodes[1].clock.has_value());
}

TEST(CheckReport, WhatCanNotBeIsRefused) {
  EXPECT_FALSE(FromWire<CheckReport>("\xff").has_value());
  EXPECT_FALSE(FromWire<CheckReport>(ToWire(CheckReport{{CheckedNode{}}, {}})).has_value());
  EXPECT_FALSE(FromWire<CheckReport>(ToWire(CheckReport{{}, {{"n", "", "", "", false}}})));
}

}  // namespace
}  // namespace rex
