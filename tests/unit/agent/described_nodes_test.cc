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

TEST(DescribedNodes, LoadsDecideWhereNothingWasNamed) {
  JobSpec spec = Spec("core:2 pu:1", 2);
  spec.described = {{"n1", 2, 0, 50}, {"n2", 2, 0, 0}};
  EXPECT_NE(Shown(spec).find("Data for node: n1"), std::string::npos);
  spec.load.lightest_first = true;
  EXPECT_EQ(Shown(spec).find("Data for node: n1"), std::string::npos);
  spec.show_map = false;
  spec.show_allocation = true;
  EXPECT_NE(Shown(spec).find("n1: slots=2 max_slots=0 slots_inuse=0 state=UP load=0.50 ranks=0 "
                             "foreign=1 cores=2 age=0ms\n"),
            std::string::npos)
      << Shown(spec);
  spec.show_json = true;
  EXPECT_EQ(Shown(spec),
            "{\"nodes\":[\n"
            "{\"name\":\"n1\",\"state\":\"up\",\"slots\":2,\"max_slots\":0,\"cores\":2,\"load\":"
            "{\"per_core\":0.50,\"ranks\":0,\"foreign\":1,\"cores\":2,\"age_ms\":0}},\n"
            "{\"name\":\"n2\",\"state\":\"up\",\"slots\":2,\"max_slots\":0,\"cores\":2,\"load\":"
            "{\"per_core\":0.00,\"ranks\":0,\"foreign\":0,\"cores\":2,\"age_ms\":0}}\n]}\n");
}

TEST(DescribedNodes, TooBusyIsRefusedWithTheLoads) {
  JobSpec spec = Spec("core:2 pu:1", 2);
  spec.described = {{"n1", 2, 0, 50}, {"n2", 2, 0, 100}};
  spec.load.max_load = 40;
  EXPECT_EQ(Shown(spec), "no node has a load of at most 0.40; the loads: n1 0.50, n2 1.00");
}

}  // namespace
}  // namespace rex
