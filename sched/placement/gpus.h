// GPUs of a node: which there are, and which of them are each rank's. Pure; reads a topology.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"
#include "sched/placement/binding.h"
#include "sched/topology/topology.h"

namespace rex {

enum class GpuVendor : uint8_t { kNvidia, kAmd, kIntel };

struct Gpu {
  GpuVendor vendor = GpuVendor::kNvidia;
  std::string id;       // as the vendor's variables name it: its number by PCI address, or a UUID
  std::string address;  // "0000:3b:00.0"; empty: not known
  CpuWords near;        // cpus at its bus, as hwloc has it; empty: not known
  CpuWords package;     // those of the same package
};

// By PCI address. Display controllers and accelerators of NVIDIA, AMD and Intel; of several
// vendors' those of the one that has most. A graphics unit inside an Intel processor (class VGA,
// bus 0) counts only where there is nothing else.
std::vector<Gpu> GpusOf(const Topology& topology);

// What `list`, a value of CUDA_VISIBLE_DEVICES or the like, leaves of them, in its order and with
// its names. As for CUDA the first entry that names none ends it.
std::vector<Gpu> VisibleGpus(const std::vector<Gpu>& gpus, std::string_view list);

struct GpuWant {
  uint32_t count = 0;
  CpuWords cpus;  // empty: not bound, every GPU is as near
};
// By rank: indices into `gpus`, ascending. No GPU is two ranks'. Nearest first: all ranks choose of
// those at their own cpus, then of those of their package, then of the rest; in each round the
// lower rank first. Errors: kResource: there are too few.
Result<std::vector<std::vector<uint32_t>>> AssignGpus(const std::vector<Gpu>& gpus,
                                                      const std::vector<GpuWant>& ranks);

// The variables by which an administrator or a batch system says which GPUs there are; the first
// that is set counts.
std::vector<std::string_view> GpuListVariables(GpuVendor vendor);
// NAME=VALUE for a rank that has these GPUs; not empty.
std::vector<std::string> GpuVariables(const std::vector<Gpu>& gpus);
// NAME=VALUE for all of them: that numbers go by PCI address.
std::vector<std::string> GpuOrderVariables(GpuVendor vendor);

}  // namespace rex
