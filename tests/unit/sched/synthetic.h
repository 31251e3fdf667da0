// Topologies for tests, as hwloc's synthetic syntax describes them.
#pragma once

#include <gtest/gtest.h>
#include <hwloc.h>

#include "sched/topology/topology.h"

namespace rex {

// Through XML, like any other node's.
inline Topology Synthetic(const char* description) {
  hwloc_topology_t raw = nullptr;
  EXPECT_EQ(hwloc_topology_init(&raw), 0);
  const HwlocPtr topology(raw);
  EXPECT_EQ(hwloc_topology_set_synthetic(raw, description), 0);
  EXPECT_EQ(hwloc_topology_load(raw), 0);
  char* xml = nullptr;
  int bytes = 0;
  EXPECT_EQ(hwloc_topology_export_xmlbuffer(raw, &xml, &bytes, 0), 0);
  auto made = Topology::FromXml(std::string(xml));
  hwloc_free_xmlbuffer(raw, xml);
  EXPECT_TRUE(made.has_value());
  return *std::move(made);
}

}  // namespace rex
