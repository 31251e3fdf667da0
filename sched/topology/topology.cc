#include "sched/topology/topology.h"

#include <array>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "sched/topology/topology_cache.h"

namespace rex {

namespace {
struct BitmapFree {
  void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, BitmapFree>;

// Variables by which a user replaces the machine that hwloc sees. Source: hwloc 2.9 manual,
// "Environment Variables". They win even over XML that a program sets.
constexpr std::array kReplacing = {"HWLOC_XMLFILE", "HWLOC_SYNTHETIC", "HWLOC_FSROOT",
                                   "HWLOC_CPUID_PATH"};

bool UserReplacesTopology() {
  for (const char* name : kReplacing) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

// Sets or (nullptr) removes environment variables for its lifetime.
class ScopedEnv {
 public:
  ScopedEnv() = default;
  ScopedEnv(const ScopedEnv&) = delete;
  ScopedEnv& operator=(const ScopedEnv&) = delete;
  ~ScopedEnv() {
    for (const auto& [name, value] : before_) Put(name, value ? value->c_str() : nullptr);
  }
  void Set(const char* name, const char* value) {
    const char* old = std::getenv(name);
    before_.emplace_back(name, old == nullptr ? std::nullopt : std::optional<std::string>(old));
    Put(name, value);
  }

 private:
  static void Put(const char* name, const char* value) {
    if (value == nullptr) {
      ::unsetenv(name);
    } else {
      ::setenv(name, value, 1);
    }
  }
  std::vector<std::pair<const char*, std::optional<std::string>>> before_;
};

// hwloc opens every plug-in it finds, used or not; opencl's alone maps a driver loader. XML import
// needs none (measured: 0.15 ms without, 2-4 ms with them).
void UseNoPlugins(ScopedEnv& env) { env.Set("HWLOC_PLUGINS_PATH", "/nonexistent"); }

Result<HwlocPtr> MakeTopology(unsigned long flags) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return Error::FromErrno(errno, "start hwloc");
  HwlocPtr topology(raw);
  if (hwloc_topology_set_io_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_IMPORTANT) != 0 ||
      hwloc_topology_set_flags(raw, flags) != 0) {
    return Error::FromErrno(errno, "configure hwloc");
  }
  return topology;
}

Result<HwlocPtr> LoadXml(const std::string& xml, unsigned long flags) {
  ScopedEnv env;
  UseNoPlugins(env);
  for (const char* name : kReplacing) env.Set(name, nullptr);
  env.Set("HWLOC_COMPONENTS", nullptr);
  Result<HwlocPtr> topology = MakeTopology(flags);
  if (!topology) return topology;
  // hwloc counts the terminating NUL.
  if (hwloc_topology_set_xmlbuffer(topology->get(), xml.c_str(),
                                   static_cast<int>(xml.size() + 1)) != 0 ||
      hwloc_topology_load(topology->get()) != 0) {
    return Error{Errc::kInvalid, "hwloc does not accept the topology's XML"};
  }
  return topology;
}

Result<HwlocPtr> Discover() {
  ScopedEnv env;
  // The linux back end reads PCI from sysfs by itself, with the same result as its plug-in.
  UseNoPlugins(env);
  Result<HwlocPtr> topology = MakeTopology(0);
  if (!topology) return topology;
  for (const char* name : {"opencl", "gl", "cuda", "nvml", "rsmi", "levelzero"}) {
    // Fails for those that this hwloc was built without: nothing to leave out then.
    hwloc_topology_set_components(topology->get(), HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, name);
  }
  if (hwloc_topology_load(topology->get()) != 0) {
    return Error::FromErrno(errno, "discover this node's topology with hwloc");
  }
  return topology;
}

Result<std::string> ExportXml(hwloc_topology_t topology) {
  char* buffer = nullptr;
  int bytes = 0;  // with the terminating NUL
  if (hwloc_topology_export_xmlbuffer(topology, &buffer, &bytes, 0) != 0) {
    return Error::FromErrno(errno, "export the topology as XML");
  }
  std::string xml(buffer, static_cast<size_t>(bytes > 0 ? bytes - 1 : 0));
  hwloc_free_xmlbuffer(topology, buffer);
  return xml;
}

// What the cgroup allows and this process may run on.
Bitmap UsableHere(hwloc_topology_t topology) {
  Bitmap usable(hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology)));
  const Bitmap affinity(hwloc_bitmap_alloc());
  if (hwloc_get_cpubind(topology, affinity.get(), HWLOC_CPUBIND_PROCESS) == 0) {
    hwloc_bitmap_and(usable.get(), usable.get(), affinity.get());
  }
  return usable;
}

uint32_t CountIntersecting(hwloc_topology_t topology, hwloc_obj_type_t type,
                           hwloc_const_cpuset_t usable) {
  uint32_t count = 0;
  for (hwloc_obj_t object = nullptr;
       (object = hwloc_get_next_obj_by_type(topology, type, object)) != nullptr;) {
    if (hwloc_bitmap_intersects(object->cpuset, usable)) ++count;
  }
  return count;
}
}  // namespace

Topology::Topology(HwlocPtr topology, std::string xml, bool from_cache, hwloc_const_cpuset_t usable)
    : topology_(std::move(topology)), xml_(std::move(xml)), from_cache_(from_cache) {
  const uint32_t threads = CountIntersecting(get(), HWLOC_OBJ_PU, usable);
  const uint32_t cores = CountIntersecting(get(), HWLOC_OBJ_CORE, usable);
  usable_hwthreads_ = threads > 0 ? threads : 1;
  for (int cpu = hwloc_bitmap_first(usable); cpu >= 0; cpu = hwloc_bitmap_next(usable, cpu)) {
    const auto word = static_cast<size_t>(cpu) / 64;
    if (word >= usable_cpus_.size()) usable_cpus_.resize(word + 1);
    usable_cpus_[word] |= uint64_t{1} << (cpu % 64);
  }
  usable_cores_ = cores > 0 ? cores : usable_hwthreads_;  // some virtual machines show no cores
}

Result<Topology> Topology::OfThisNode() {
  const bool replaced = UserReplacesTopology();
  const TopologyCache cache(replaced ? "" : TopologyCache::DefaultDir(), TopologyCacheKey());
  if (std::optional<std::string> xml = cache.Load()) {
    // It is this machine: binding works on it.
    Result<HwlocPtr> topology = LoadXml(*xml, HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM);
    if (topology) {
      const Bitmap usable = UsableHere(topology->get());
      return Topology(*std::move(topology), *std::move(xml), true, usable.get());
    }
  }
  Result<HwlocPtr> topology = Discover();
  if (!topology) return topology.error();
  Result<std::string> xml = ExportXml(topology->get());
  if (!xml) return xml.error();
  cache.Store(*xml);
  const Bitmap usable = UsableHere(topology->get());
  return Topology(*std::move(topology), *std::move(xml), false, usable.get());
}

Result<Topology> Topology::FromXml(const std::string& xml) {
  Result<HwlocPtr> topology = LoadXml(xml, 0);
  if (!topology) return topology.error();
  const hwloc_const_cpuset_t usable = hwloc_topology_get_allowed_cpuset(topology->get());
  return Topology(*std::move(topology), xml, false, usable);
}

Result<Topology> Topology::FromSynthetic(const std::string& description) {
  ScopedEnv env;
  UseNoPlugins(env);
  for (const char* name : kReplacing) env.Set(name, nullptr);
  Result<HwlocPtr> topology = MakeTopology(0);
  if (!topology) return topology.error();
  // hwloc would say on stderr what it does not like.
  env.Set("HWLOC_SYNTHETIC_VERBOSE", "0");
  if (hwloc_topology_set_synthetic(topology->get(), description.c_str()) != 0 ||
      hwloc_topology_load(topology->get()) != 0) {
    return Error{Errc::kInvalid, "hwloc does not understand the synthetic topology"};
  }
  Result<std::string> xml = ExportXml(topology->get());
  if (!xml) return xml.error();
  const hwloc_const_cpuset_t usable = hwloc_topology_get_allowed_cpuset(topology->get());
  return Topology(*std::move(topology), *std::move(xml), false, usable);
}

}  // namespace rex
