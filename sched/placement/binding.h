// Which processing units each rank of a node may run on. Pure: reads a topology, changes nothing.
//
// Ranks are bound in order to one object each: the i-th rank to the i-th usable core (all its
// usable hardware threads) or hardware thread, in the topology's logical order, as mpirun does
// after mapping by slot. The texts are those of mpirun 4.1.4's --report-bindings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/base/result.h"
#include "sched/topology/topology.h"

namespace rex {

enum class BindObject : uint8_t { kCore, kHwthread };

// Bit i of word j is cpu 64*j+i (operating-system numbers), as sched_setaffinity(2) takes it.
using CpuWords = std::vector<uint64_t>;

// One entry per rank. `overload`: more ranks than objects begin again at the first object.
// Errors: kResource: more ranks than objects without `overload`; the text names the option.
Result<std::vector<CpuWords>> BindRanks(const Topology& topology, uint32_t ranks, BindObject object,
                                        bool overload);

// "socket 0[core 1[hwt 0]]: [./B]"; "not bound (or bound to all available processors)" for no words
// or all usable processing units.
std::string DescribeBinding(const Topology& topology, const CpuWords& cpus);

// "0-3,8": hwloc's list syntax, for PMIx.
std::string CpuList(const CpuWords& cpus);

}  // namespace rex
