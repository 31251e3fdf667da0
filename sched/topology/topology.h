// This node's hardware topology, by hwloc, discovered once per boot and kept in a cache file.
//
// Discovery costs 5-35 ms (PCI, plug-ins), loading the cached XML well under 1 ms. GPU-API back
// ends (opencl, gl, cuda, nvml, rsmi, levelzero) are never used: they load drivers. What is kept
// is what Open MPI 4.1 and PMIx discover by themselves: hwloc's default flags, important I/O
// objects. Cache: $XDG_CACHE_HOME/rex or ~/.cache/rex, see topology_cache.h. Unusable cache:
// discovery, no error. A user's own HWLOC_XMLFILE, HWLOC_SYNTHETIC, HWLOC_FSROOT or
// HWLOC_CPUID_PATH is honoured by discovery, and then nothing is cached.
//
// Thread: loading changes the process's HWLOC_* variables and puts them back before it returns,
// so no other thread may use getenv(3) or setenv(3) meanwhile: load before starting threads.
// A loaded Topology is constant.
#pragma once

#include <hwloc.h>

#include <memory>
#include <string>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

struct HwlocDestroy {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using HwlocPtr = std::unique_ptr<hwloc_topology, HwlocDestroy>;

class Topology {
 public:
  // From the cache, else by discovery (which then fills the cache). Errors: kInternal (hwloc).
  static Result<Topology> OfThisNode();
  // As hwloc's synthetic syntax describes one: "package:2 core:4 pu:2". Errors: kInvalid.
  static Result<Topology> FromSynthetic(const std::string& description);
  // From XML, as xml() gives it. For tests and other nodes' topologies. Errors: kInvalid.
  static Result<Topology> FromXml(const std::string& xml);

  hwloc_topology_t get() const { return topology_.get(); }
  // hwloc 2.x XML.
  const std::string& xml() const { return xml_; }
  // Cores with at least one usable processing unit; at least 1. Usable: allowed by the cpuset
  // cgroup and, for OfThisNode, in this process's affinity at the time of loading.
  uint32_t usable_cores() const { return usable_cores_; }
  uint32_t usable_hwthreads() const { return usable_hwthreads_; }
  // The usable processing units: bit i of word j is cpu 64*j+i (operating-system numbers).
  const std::vector<uint64_t>& usable_cpus() const { return usable_cpus_; }
  bool from_cache() const { return from_cache_; }

 private:
  // `usable` is borrowed until return.
  Topology(HwlocPtr topology, std::string xml, bool from_cache, hwloc_const_cpuset_t usable);
  HwlocPtr topology_;
  std::string xml_;
  bool from_cache_;
  uint32_t usable_cores_ = 1;
  uint32_t usable_hwthreads_ = 1;
  std::vector<uint64_t> usable_cpus_;
};

}  // namespace rex
