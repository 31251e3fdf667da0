// What placing needs to know of a node's hardware: its usable processors and which objects (NUMA
// nodes, sockets, caches, cores) hold which of them. Small and plain, so that the head can have
// that of every node; equal on head and node, so that both derive the same places.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"
#include "sched/policy/policy.h"
#include "sched/topology/topology.h"

namespace rex {

// Neighbours in Hardware::cpus.
struct CpuSpan {
  uint32_t first = 0;
  uint32_t count = 0;
  uint32_t end() const { return first + count; }
  bool Meets(const CpuSpan& other) const { return first < other.end() && other.first < end(); }
  bool Holds(const CpuSpan& other) const { return first <= other.first && other.end() <= end(); }
  bool operator==(const CpuSpan&) const = default;
};

// A network device, and the NUMA nodes (indices) from the nearest to the farthest.
struct HwDevice {
  std::string name;
  std::vector<uint32_t> numa;
  bool operator==(const HwDevice&) const = default;
};

struct Hardware {
  std::vector<uint32_t> cpus;  // the usable processing units' OS numbers, in hwloc's logical order
  // By HwObject: those with usable processing units, in logical order; what is not usable of an
  // object is not there. kHwthread: each processing unit.
  std::array<std::vector<CpuSpan>, kHwObjects> objects;

  std::vector<HwDevice>
      devices;  // those of InfiniBand and the like first; none on a node of one NUMA node

  const std::vector<CpuSpan>& Of(HwObject object) const {
    return objects[static_cast<size_t>(object)];
  }
  CpuSpan Whole() const { return {0, static_cast<uint32_t>(cpus.size())}; }
  // Cores, or where none are shown processing units.
  uint32_t Cores() const;
  bool operator==(const Hardware&) const = default;
};

// At least one processing unit.
Hardware HardwareOf(const Topology& topology);
// `cores` cores of one processing unit each: for a node whose topology could not be read.
Hardware PlainHardware(uint32_t cores);

// The NUMA nodes by distance from `device`, "auto" meaning the first; as numbered when the node
// does not have it, or is all at one distance.
std::vector<uint32_t> NumaOrder(const Hardware& hardware, const std::string& device);

inline constexpr size_t kMaxDevices = 64;
inline constexpr size_t kMaxHardwareBytes = 1 << 16;
inline constexpr uint32_t kMaxCpus = 1 << 16;

// A few dozen bytes for regular machines, such as "p 0-31;n 16*2;s 16*2;3;2;1;c 2*16;d ib0=1,0":
// cpus, then of each kind of object its runs [FIRST+]COUNT*TIMES, then devices.
std::string EncodeHardware(const Hardware& hardware);
// Errors: kProtocol: it is malformed, or its objects hold processors that are not there.
Result<Hardware> DecodeHardware(std::string_view text);

}  // namespace rex
