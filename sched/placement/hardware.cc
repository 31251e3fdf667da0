#include "sched/placement/hardware.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

namespace rex {

namespace {

constexpr std::array<hwloc_obj_type_t, kHwObjects> kTypes = {
    HWLOC_OBJ_NUMANODE, HWLOC_OBJ_PACKAGE, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L2CACHE,
    HWLOC_OBJ_L1CACHE,  HWLOC_OBJ_CORE,    HWLOC_OBJ_PU};
constexpr std::string_view kLetters = "ns321ct";
static_assert(kLetters.size() == kHwObjects);

bool IsUsable(const Topology& topology, unsigned cpu) {
  const auto& words = topology.usable_cpus();
  return cpu / 64 < words.size() && (words[cpu / 64] >> (cpu % 64) & 1) != 0;
}

// The part of an object that is usable: processing units in logical order are neighbours in it.
CpuSpan UsablePart(hwloc_const_cpuset_t cpuset, const std::vector<uint32_t>& cpus) {
  CpuSpan span;
  for (uint32_t i = 0; i < cpus.size(); ++i) {
    if (hwloc_bitmap_isset(cpuset, cpus[i]) == 0) continue;
    if (span.count == 0) span.first = i;
    span.count = i + 1 - span.first;
  }
  return span;
}

// ---- devices

bool IsOfFabric(hwloc_obj_t device) {
  return device->attr->osdev.type == HWLOC_OBJ_OSDEV_OPENFABRICS;
}

bool IsNetwork(hwloc_obj_t device) {
  return device->name != nullptr &&
         (device->attr->osdev.type == HWLOC_OBJ_OSDEV_NETWORK || IsOfFabric(device));
}

// Names that the text below can carry.
bool IsPlain(std::string_view name) {
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':';
  });
}

// 0 for NUMA nodes at the device, 1 for those of its socket, 2 for others. Not hwloc's latencies:
// they say the same where firmware fills them in, and nothing where it does not.
uint32_t DistanceOf(const Hardware& hardware, const CpuSpan& numa, const CpuSpan& device) {
  if (numa.Meets(device)) return 0;
  for (const CpuSpan& socket : hardware.Of(HwObject::kSocket)) {
    if (socket.Meets(numa) && socket.Meets(device)) return 1;
  }
  return 2;
}

HwDevice DeviceOf(const Topology& topology, const Hardware& hardware, hwloc_obj_t object) {
  hwloc_obj_t near = hwloc_get_non_io_ancestor_obj(topology.get(), object);
  const CpuSpan cpus = UsablePart(near->cpuset, hardware.cpus);
  const auto& numas = hardware.Of(HwObject::kNuma);
  HwDevice device{.name = object->name};
  for (uint32_t i = 0; i < numas.size(); ++i) device.numa.push_back(i);
  std::stable_sort(device.numa.begin(), device.numa.end(), [&](uint32_t a, uint32_t b) {
    return DistanceOf(hardware, numas[a], cpus) < DistanceOf(hardware, numas[b], cpus);
  });
  return device;
}

std::vector<HwDevice> DevicesOf(const Topology& topology, const Hardware& hardware) {
  std::vector<HwDevice> devices;
  if (hardware.Of(HwObject::kNuma).size() < 2) return devices;
  for (const bool fabric : {true, false}) {
    hwloc_obj_t object = nullptr;
    while ((object = hwloc_get_next_osdev(topology.get(), object)) != nullptr) {
      const bool wanted = IsNetwork(object) && IsOfFabric(object) == fabric &&
                          IsPlain(object->name) && devices.size() < kMaxDevices;
      if (wanted) devices.push_back(DeviceOf(topology, hardware, object));
    }
  }
  return devices;
}

// ---- text

Error Bad(const char* what) {
  return Error{Errc::kProtocol, std::string("a node's hardware: ") + what};
}

// Reads numbers and marks from the front of a text.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  bool done() const { return text_.empty(); }
  bool Take(char c) {
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  std::string_view Until(char c) {
    const std::string_view front = text_.substr(0, text_.find(c));
    text_.remove_prefix(front.size());
    return front;
  }
  std::optional<uint32_t> Number() {
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), number);
    if (error != std::errc() || number > kMaxCpus) return std::nullopt;
    text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    return number;
  }

 private:
  std::string_view text_;
};

// Runs FIRST-LAST with a step of one: most machines number in runs.
std::string EncodeCpus(const std::vector<uint32_t>& cpus) {
  std::string text = "p";
  for (size_t i = 0; i < cpus.size();) {
    size_t end = i + 1;
    while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) ++end;
    text += (i == 0 ? " " : ",") + std::to_string(cpus[i]);
    if (end > i + 1) text += "-" + std::to_string(cpus[end - 1]);
    i = end;
  }
  return text;
}

bool DecodeCpus(Reader& in, std::vector<uint32_t>* cpus) {
  if (!in.Take('p') || !in.Take(' ')) return false;
  do {
    const auto first = in.Number();
    const auto last = first && in.Take('-') ? in.Number() : first;
    if (!first || !last || *last < *first) return false;
    for (uint32_t cpu = *first; cpu <= *last; ++cpu) cpus->push_back(cpu);
    if (cpus->size() > kMaxCpus) return false;
  } while (in.Take(','));
  return true;
}

// Equal objects side by side are one run "COUNT*TIMES"; one that does not begin where the one
// before ended says where: "FIRST+COUNT*TIMES".
std::string EncodeObjects(char letter, const std::vector<CpuSpan>& objects) {
  std::string text = {';', letter};
  uint32_t at = 0;
  for (size_t i = 0; i < objects.size();) {
    const CpuSpan& first = objects[i];
    size_t end = i + 1;
    while (end < objects.size() && objects[end].count == first.count &&
           objects[end].first == objects[end - 1].end()) {
      ++end;
    }
    text += i == 0 ? " " : ",";
    if (first.first != at) text += std::to_string(first.first) + "+";
    text += std::to_string(first.count) + "*" + std::to_string(end - i);
    at = objects[end - 1].end();
    i = end;
  }
  return text;
}

bool DecodeRun(Reader& in, uint32_t cpus, std::vector<CpuSpan>* objects) {
  uint32_t at = objects->empty() ? 0 : objects->back().end();
  auto count = in.Number();
  if (count && in.Take('+')) {
    at = *count;
    count = in.Number();
  }
  const auto times = count && in.Take('*') ? in.Number() : std::nullopt;
  if (!times || *count == 0 || *times == 0 || at > cpus) return false;
  if (uint64_t{*count} * *times > cpus - at) return false;
  for (uint32_t i = 0; i < *times; ++i) objects->push_back({at + i * *count, *count});
  return objects->size() <= kMaxCpus;
}

bool DecodeObjects(Reader& in, char letter, uint32_t cpus, std::vector<CpuSpan>* objects) {
  if (!in.Take(';') || !in.Take(letter)) return false;
  if (!in.Take(' ')) return true;
  do {
    if (!DecodeRun(in, cpus, objects)) return false;
  } while (in.Take(','));
  return true;
}

std::string EncodeDevices(const std::vector<HwDevice>& devices) {
  std::string text = ";d";
  for (const HwDevice& device : devices) {
    text += " " + device.name;
    for (size_t i = 0; i < device.numa.size(); ++i) {
      text += (i == 0 ? "=" : ",") + std::to_string(device.numa[i]);
    }
  }
  return text;
}

// Each NUMA node once.
bool DecodeOrder(Reader& in, size_t numas, std::vector<uint32_t>* order) {
  std::vector<bool> seen(numas, false);
  do {
    const auto index = in.Number();
    if (!index || *index >= numas || seen[*index]) return false;
    seen[*index] = true;
    order->push_back(*index);
  } while (in.Take(','));
  return order->size() == numas;
}

bool DecodeDevices(Reader& in, size_t numas, std::vector<HwDevice>* devices) {
  if (!in.Take(';') || !in.Take('d')) return false;
  while (in.Take(' ')) {
    HwDevice device{.name = std::string(in.Until('='))};
    if (!IsPlain(device.name) || !in.Take('=') || devices->size() == kMaxDevices) return false;
    if (!DecodeOrder(in, numas, &device.numa)) return false;
    devices->push_back(std::move(device));
  }
  return true;
}

}  // namespace

std::vector<uint32_t> NumaOrder(const Hardware& hardware, const std::string& device) {
  for (const HwDevice& each : hardware.devices) {
    if (each.name == device || device == "auto") return each.numa;
  }
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < hardware.Of(HwObject::kNuma).size(); ++i) order.push_back(i);
  return order;
}

uint32_t Hardware::Cores() const {
  const auto& cores = Of(HwObject::kCore);
  return static_cast<uint32_t>(cores.empty() ? cpus.size() : cores.size());
}

Hardware HardwareOf(const Topology& topology) {
  Hardware hardware;
  hwloc_obj_t pu = nullptr;
  while ((pu = hwloc_get_next_obj_by_type(topology.get(), HWLOC_OBJ_PU, pu)) != nullptr) {
    if (IsUsable(topology, pu->os_index)) hardware.cpus.push_back(pu->os_index);
  }
  for (size_t kind = 0; kind < kHwObjects; ++kind) {
    hwloc_obj_t object = nullptr;
    while ((object = hwloc_get_next_obj_by_type(topology.get(), kTypes[kind], object)) != nullptr) {
      const CpuSpan part = UsablePart(object->cpuset, hardware.cpus);
      if (part.count > 0) hardware.objects[kind].push_back(part);
    }
  }
  if (hardware.cpus.empty()) return PlainHardware(1);
  hardware.devices = DevicesOf(topology, hardware);
  return hardware;
}

Hardware PlainHardware(uint32_t cores) {
  Hardware hardware;
  for (uint32_t cpu = 0; cpu < std::clamp(cores, 1U, kMaxCpus); ++cpu) {
    hardware.cpus.push_back(cpu);
    for (const HwObject each : {HwObject::kCore, HwObject::kHwthread}) {
      hardware.objects[static_cast<size_t>(each)].push_back({cpu, 1});
    }
  }
  for (const HwObject whole : {HwObject::kNuma, HwObject::kSocket}) {
    hardware.objects[static_cast<size_t>(whole)] = {hardware.Whole()};
  }
  return hardware;
}

std::string EncodeHardware(const Hardware& hardware) {
  std::string text = EncodeCpus(hardware.cpus);
  for (size_t kind = 0; kind + 1 < kHwObjects; ++kind) {  // threads follow from the cpus
    text += EncodeObjects(kLetters[kind], hardware.objects[kind]);
  }
  return text + EncodeDevices(hardware.devices);
}

Result<Hardware> DecodeHardware(std::string_view text) {
  if (text.size() > kMaxHardwareBytes) return Bad("too long");
  Hardware hardware;
  Reader in(text);
  if (!DecodeCpus(in, &hardware.cpus)) return Bad("malformed list of cpus");
  const auto cpus = static_cast<uint32_t>(hardware.cpus.size());
  for (size_t kind = 0; kind + 1 < kHwObjects; ++kind) {
    if (!DecodeObjects(in, kLetters[kind], cpus, &hardware.objects[kind])) {
      return Bad("malformed list of objects");
    }
  }
  const size_t numas = hardware.Of(HwObject::kNuma).size();
  if (!DecodeDevices(in, numas, &hardware.devices)) return Bad("malformed list of devices");
  if (!in.done()) return Bad("more than is known");
  auto& threads = hardware.objects[static_cast<size_t>(HwObject::kHwthread)];
  for (uint32_t cpu = 0; cpu < cpus; ++cpu) threads.push_back({cpu, 1});
  return hardware;
}

}  // namespace rex
