// Sets of processing units, and how they are shown. Pure: reads a topology, changes nothing. The
// texts are those of mpirun 4.1.4's --report-bindings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/base/result.h"
#include "sched/topology/topology.h"

namespace rex {

// Bit i of word j is cpu 64*j+i (operating-system numbers), as sched_setaffinity(2) takes it.
using CpuWords = std::vector<uint64_t>;

CpuWords WordsOf(hwloc_const_bitmap_t bitmap);

// The NUMA nodes (operating-system numbers) of these cpus, as set_mempolicy(2) takes them.
CpuWords MemoryOf(const Topology& topology, const CpuWords& cpus);

// "socket 0[core 1[hwt 0]]: [./B]"; "not bound (or bound to all available processors)" for no words
// or all usable processing units.
std::string DescribeBinding(const Topology& topology, const CpuWords& cpus);

// "0-3,8": hwloc's list syntax, for PMIx.
std::string CpuList(const CpuWords& cpus);

}  // namespace rex
