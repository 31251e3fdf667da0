#include "sched/placement/gpus.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <map>
#include <optional>
#include <tuple>

#include "launcher/base/text.h"

namespace rex {

namespace {

// Of the PCI ID Database.
constexpr uint16_t kNvidiaId = 0x10de;
constexpr uint16_t kAmdId = 0x1002;
constexpr uint16_t kIntelId = 0x8086;
constexpr uint16_t kVga = 0x0300;
constexpr uint16_t kDisplay = 0x03;  // base classes
constexpr uint16_t kAccelerator = 0x12;

struct Found {
  Gpu gpu;
  std::tuple<unsigned, unsigned, unsigned, unsigned> order;
  bool integrated = false;
};

std::optional<GpuVendor> VendorOf(uint16_t id) {
  switch (id) {
    case kNvidiaId:
      return GpuVendor::kNvidia;
    case kAmdId:
      return GpuVendor::kAmd;
    case kIntelId:
      return GpuVendor::kIntel;
    default:
      return std::nullopt;
  }
}

std::string AddressText(const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%04x:%02x:%02x.%01x", unsigned{pci.domain},
                unsigned{pci.bus}, unsigned{pci.dev}, unsigned{pci.func});
  return text.data();
}

Found FoundAt(const Topology& topology, hwloc_obj_t object, GpuVendor vendor) {
  const auto& pci = object->attr->pcidev;
  Found found{.order = {pci.domain, pci.bus, pci.dev, pci.func}};
  found.gpu.vendor = vendor;
  found.gpu.address = AddressText(pci);
  found.integrated = vendor == GpuVendor::kIntel && pci.class_id == kVga && pci.bus == 0;
  hwloc_obj_t near = hwloc_get_non_io_ancestor_obj(topology.get(), object);
  found.gpu.near = WordsOf(near->cpuset);
  while (near != nullptr && near->type != HWLOC_OBJ_PACKAGE) near = near->parent;
  if (near != nullptr) found.gpu.package = WordsOf(near->cpuset);
  return found;
}

std::vector<Found> AllOf(const Topology& topology) {
  std::vector<Found> all;
  hwloc_obj_t object = nullptr;
  while ((object = hwloc_get_next_pcidev(topology.get(), object)) != nullptr) {
    const uint16_t base = object->attr->pcidev.class_id >> 8;
    const auto vendor = VendorOf(object->attr->pcidev.vendor_id);
    if (vendor && (base == kDisplay || base == kAccelerator)) {
      all.push_back(FoundAt(topology, object, *vendor));
    }
  }
  std::sort(all.begin(), all.end(),
            [](const Found& a, const Found& b) { return a.order < b.order; });
  return all;
}

bool Meet(const CpuWords& a, const CpuWords& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if ((a[i] & b[i]) != 0) return true;
  }
  return false;
}

// 0 at the rank's cpus, 1 in its package, 2 elsewhere.
uint32_t DistanceOf(const Gpu& gpu, const CpuWords& cpus) {
  if (cpus.empty() || gpu.near.empty() || Meet(gpu.near, cpus)) return 0;
  return Meet(gpu.package, cpus) ? 1 : 2;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

std::optional<uint32_t> NumberOf(std::string_view text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

// Numbers count all of a vendor's devices, as its own libraries do.
std::vector<Gpu> GpusOf(const Topology& topology) {
  std::vector<Found> all = AllOf(topology);
  std::map<GpuVendor, uint32_t> numbers;
  for (Found& found : all) found.gpu.id = std::to_string(numbers[found.gpu.vendor]++);
  const auto is_integrated = [](const Found& found) { return found.integrated; };
  if (!std::all_of(all.begin(), all.end(), is_integrated)) std::erase_if(all, is_integrated);
  std::map<GpuVendor, size_t> counts;
  for (const Found& found : all) ++counts[found.gpu.vendor];
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<Gpu> gpus;
  for (Found& found : all) {
    if (found.gpu.vendor == most->first) gpus.push_back(std::move(found.gpu));
  }
  return gpus;
}

std::vector<Gpu> VisibleGpus(const std::vector<Gpu>& gpus, std::string_view list) {
  std::vector<Gpu> visible;
  if (gpus.empty()) return visible;
  for (std::string_view entry : Split(list, ',')) {
    while (entry.starts_with(' ')) entry.remove_prefix(1);
    const auto number = NumberOf(entry);
    const bool uuid = entry.starts_with("GPU-") || entry.starts_with("MIG-") ||
                      entry.find('.') != std::string_view::npos;
    if (!number && !uuid) break;
    // A batch system that hides devices numbers those that are left anew: then a number says
    // nothing of where the device is.
    const auto known =
        std::find_if(gpus.begin(), gpus.end(), [&](const Gpu& gpu) { return gpu.id == entry; });
    Gpu gpu = known != gpus.end() ? *known : Gpu{.vendor = gpus[0].vendor};
    gpu.id = entry;
    visible.push_back(std::move(gpu));
  }
  return visible;
}

Result<std::vector<std::vector<uint32_t>>> AssignGpus(const std::vector<Gpu>& gpus,
                                                      const std::vector<GpuWant>& ranks) {
  uint64_t wanted = 0;
  for (const GpuWant& rank : ranks) wanted += rank.count;
  if (wanted > gpus.size()) {
    return Error{Errc::kResource, "the ranks there need " + std::to_string(wanted) +
                                      " GPUs (--gpus-per-rank), and it has " +
                                      std::to_string(gpus.size())};
  }
  constexpr uint32_t kFarthest = 2;
  std::vector<std::vector<uint32_t>> assigned(ranks.size());
  std::vector<bool> used(gpus.size(), false);
  for (uint32_t distance = 0; distance <= kFarthest; ++distance) {
    for (size_t rank = 0; rank < ranks.size(); ++rank) {
      for (uint32_t i = 0; i < gpus.size() && assigned[rank].size() < ranks[rank].count; ++i) {
        if (used[i] || DistanceOf(gpus[i], ranks[rank].cpus) > distance) continue;
        used[i] = true;
        assigned[rank].push_back(i);
      }
    }
  }
  for (auto& mine : assigned) std::sort(mine.begin(), mine.end());
  return assigned;
}

std::vector<std::string_view> GpuListVariables(GpuVendor vendor) {
  switch (vendor) {
    case GpuVendor::kNvidia:
      return {"CUDA_VISIBLE_DEVICES"};
    case GpuVendor::kAmd:
      return {"ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"};
    case GpuVendor::kIntel:
      return {"ZE_AFFINITY_MASK"};
  }
  return {};
}

std::vector<std::string> GpuVariables(const std::vector<Gpu>& gpus) {
  REX_CHECK(!gpus.empty());
  std::vector<std::string> ids;
  std::vector<std::string> numbers;
  for (const Gpu& gpu : gpus) {
    numbers.push_back(std::to_string(ids.size()));
    ids.push_back(gpu.id);
  }
  switch (gpus[0].vendor) {
    case GpuVendor::kNvidia:
      return {"CUDA_VISIBLE_DEVICES=" + Joined(ids)};
    case GpuVendor::kAmd:
      // HIP counts what ROCr leaves it.
      return {"ROCR_VISIBLE_DEVICES=" + Joined(ids), "HIP_VISIBLE_DEVICES=" + Joined(numbers)};
    case GpuVendor::kIntel:
      return {"ZE_AFFINITY_MASK=" + Joined(ids)};
  }
  return {};
}

std::vector<std::string> GpuOrderVariables(GpuVendor vendor) {
  switch (vendor) {
    case GpuVendor::kNvidia:
      return {"CUDA_DEVICE_ORDER=PCI_BUS_ID"};
    case GpuVendor::kAmd:
      return {};  // ROCr's order is that of the addresses
    case GpuVendor::kIntel:
      return {"ZE_ENABLE_PCI_ID_DEVICE_ORDER=1"};
  }
  return {};
}

}  // namespace rex
