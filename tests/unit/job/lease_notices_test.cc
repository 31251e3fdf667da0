#include "launcher/job/lease_notices.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

std::string Text(const std::vector<LeaseNews>& nodes) {
  std::string text;
  for (const Notice& notice : LeaseNotices(nodes)) {
    text += (notice.level == Notice::Level::kInfo ? "" : "(detail) ") + notice.text + "\n";
  }
  return text;
}

TEST(LeaseNotices, NothingToTellIsNothingTold) {
  EXPECT_EQ(Text({}), "");
  EXPECT_EQ(Text({{.node = "n1"}, {.node = "n2"}}), "");
}

TEST(LeaseNotices, AFullNodeIsOneLine) {
  EXPECT_EQ(Text({{.node = "n1", .cores = 2, .cores_held = 2}}),
            "ranks are not bound on node n1: other jobs hold all its cores (--bind-to or --leases "
            "none: bind all the same)\n");
  EXPECT_EQ(Text({{.node = "n1", .cores = 4, .cores_held = 3}}),
            "ranks are not bound on node n1: other jobs hold 3 of its 4 cores (--bind-to or "
            "--leases none: bind all the same)\n");
}

TEST(LeaseNotices, ManyNodesAreOneLineToo) {
  std::vector<LeaseNews> nodes;
  for (int i = 1; i <= 5; ++i) {
    nodes.push_back({.node = "n" + std::to_string(i), .cores = 4, .cores_held = 3});
  }
  nodes.push_back({.node = "n6", .cores = 4});
  EXPECT_EQ(Text(nodes),
            "ranks are not bound on nodes n1, n2, n3 and 2 others: other jobs hold too many of "
            "their cores (--bind-to or --leases none: bind all the same)\n");
}

TEST(LeaseNotices, TroubleIsToldOnceAndLaterOnlyInDetail) {
  EXPECT_EQ(Text({{.node = "n1", .trouble = "no directory", .trouble_is_new = true}}),
            "no directory\n");
  EXPECT_EQ(Text({{.node = "n1", .trouble = "no directory"}}), "(detail) no directory\n");
  EXPECT_EQ(Text({{.node = "n1", .trouble = "no directory"},
                  {.node = "n2", .trouble = "no directory", .trouble_is_new = true},
                  {.node = "n3", .trouble = "another"},
                  {.node = "n4"}}),
            "(detail) another (node n3)\nno directory (nodes n1, n2)\n");
}

}  // namespace
}  // namespace rex
