#include "launcher/agent/described_nodes.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

JobSpec Spec(const std::string& topology, uint32_t ranks) {
  JobSpec spec;
  spec.apps.push_back({.argv = {"a"}, .ranks = ranks});
  spec.do_not_launch = true;
  spec.show_map = true;
  spec.described = {{"n1", 2, 0}, {"n2", 0, 0}};
  spec.topologies = {topology};
  return spec;
}

std::string Shown(const JobSpec& spec) {
  const auto shown = PlaceOnDescribed(spec);
  if (const Failure* failure = std::get_if<Failure>(&shown)) return failure->detail;
  std::string text;
  for (const Notice& notice : std::get<std::vector<Notice>>(shown)) {
    if (notice.level == Notice::Level::kPlain) text += notice.text;
  }
  return text;
}

TEST(DescribedNodes, AreMappedAsIfTheyWereThere) {
  JobSpec spec = Spec("package:2 core:2 pu:1", 5);
  spec.apps[0].place.map = MapBy::kObject;
  spec.apps[0].place.map_object = HwObject::kSocket;
  const std::string map = Shown(spec);
  EXPECT_NE(map.find("Data for node: n1\tNum slots: 2\tMax slots: 0\tNum procs: 2\n"),
            std::string::npos)
      << map;
  EXPECT_NE(map.find("Process rank: 1 Bound: socket 1[core 2[hwt 0]], socket 1[core 3[hwt 0]]:"
                     "[./.][B/B]\n"),
            std::string::npos)
      << map;
  EXPECT_NE(map.find("Data for node: n2\tNum slots: 4\tMax slots: 0\tNum procs: 3\n"),
            std::string::npos)
      << map;
}

TEST(DescribedNodes, RefusalsAreTold) {
  EXPECT_EQ(Shown(Spec("pillow:2", 1)),
            "--nodes-json: hwloc does not understand the synthetic topology: 'pillow:2'");
  EXPECT_EQ(Shown(Spec("<topology", 1)), "--nodes-json: hwloc does not accept the topology's XML");
  EXPECT_EQ(Shown(Spec("core:4 pu:1", 7)),
            "not enough slots: 7 ranks, but 6 slots on 2 nodes (n1: 2, n2: 4); give "
            "--oversubscribe (or set REX_OVERSUBSCRIBE=1) to run more ranks than slots");
  JobSpec spec = Spec("core:4 pu:1", 2);
  spec.apps[0].place.bind = BindTo::kObject;
  spec.apps[0].place.bind_object = HwObject::kL2Cache;
  EXPECT_EQ(Shown(spec),
            "there is no l2cache to bind a rank to; choose another object for --bind-to");
}

}  // namespace
}  // namespace rex
