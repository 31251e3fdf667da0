#include "sched/placement/binding.h"

#include <memory>

namespace rex {

namespace {

struct BitmapFree {
  void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, BitmapFree>;

Bitmap ToBitmap(const CpuWords& words) {
  Bitmap bitmap(hwloc_bitmap_alloc());
  for (size_t i = 0; i < words.size(); ++i) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      if ((words[i] >> bit & 1) != 0) {
        hwloc_bitmap_set(bitmap.get(), static_cast<unsigned>(i) * 64 + bit);
      }
    }
  }
  return bitmap;
}

// "0" or "0-1" or "0,2": the numbers of the hardware threads of `core` that are in `cpus`.
std::string HwthreadsOf(const Topology& topology, hwloc_obj_t core, hwloc_const_bitmap_t cpus) {
  const Bitmap numbers(hwloc_bitmap_alloc());
  unsigned number = 0;
  hwloc_obj_t pu = nullptr;
  while ((pu = hwloc_get_next_obj_inside_cpuset_by_type(topology.get(), core->cpuset, HWLOC_OBJ_PU,
                                                        pu)) != nullptr) {
    if (hwloc_bitmap_intersects(pu->cpuset, cpus)) hwloc_bitmap_set(numbers.get(), number);
    ++number;
  }
  return CpuList(WordsOf(numbers.get()));
}

// "B." for a core of two hardware threads of which the first is in `cpus`.
std::string Marks(const Topology& topology, hwloc_obj_t core, hwloc_const_bitmap_t cpus) {
  std::string marks;
  hwloc_obj_t pu = nullptr;
  while ((pu = hwloc_get_next_obj_inside_cpuset_by_type(topology.get(), core->cpuset, HWLOC_OBJ_PU,
                                                        pu)) != nullptr) {
    marks += hwloc_bitmap_intersects(pu->cpuset, cpus) ? 'B' : '.';
  }
  return marks;
}

// Appends one package's part of the two halves of a binding's text.
void DescribePackage(const Topology& topology, hwloc_obj_t package, hwloc_const_bitmap_t cpus,
                     std::string* places, std::string* picture) {
  hwloc_obj_t core = nullptr;
  *picture += '[';
  bool first = true;
  while ((core = hwloc_get_next_obj_inside_cpuset_by_type(topology.get(), package->cpuset,
                                                          HWLOC_OBJ_CORE, core)) != nullptr) {
    *picture += (first ? "" : "/") + Marks(topology, core, cpus);
    first = false;
    if (!hwloc_bitmap_intersects(core->cpuset, cpus)) continue;
    *places += (places->empty() ? "" : ", ") +
               ("socket " + std::to_string(package->logical_index)) + "[core " +
               std::to_string(core->logical_index) + "[hwt " + HwthreadsOf(topology, core, cpus) +
               "]]";
  }
  *picture += ']';
}

}  // namespace

CpuWords WordsOf(hwloc_const_bitmap_t bitmap) {
  CpuWords words;
  for (int cpu = hwloc_bitmap_first(bitmap); cpu >= 0; cpu = hwloc_bitmap_next(bitmap, cpu)) {
    const auto word = static_cast<size_t>(cpu) / 64;
    if (word >= words.size()) words.resize(word + 1);
    words[word] |= uint64_t{1} << (cpu % 64);
  }
  return words;
}

CpuWords MemoryOf(const Topology& topology, const CpuWords& cpus) {
  const Bitmap bound = ToBitmap(cpus);
  const Bitmap nodes(hwloc_bitmap_alloc());
  hwloc_cpuset_to_nodeset(topology.get(), bound.get(), nodes.get());
  return WordsOf(nodes.get());
}

std::string DescribeBinding(const Topology& topology, const CpuWords& cpus) {
  const Bitmap bound = ToBitmap(cpus);
  const Bitmap usable = ToBitmap(topology.usable_cpus());
  if (cpus.empty() || hwloc_bitmap_isincluded(usable.get(), bound.get())) {
    return "not bound (or bound to all available processors)";
  }
  std::string places;
  std::string picture;
  hwloc_obj_t package = nullptr;
  while ((package = hwloc_get_next_obj_by_type(topology.get(), HWLOC_OBJ_PACKAGE, package)) !=
         nullptr) {
    DescribePackage(topology, package, bound.get(), &places, &picture);
  }
  if (places.empty()) return "bound to processing units " + CpuList(cpus);
  return "bound to " + places + ": " + picture;
}

std::string CpuList(const CpuWords& cpus) {
  const Bitmap bitmap = ToBitmap(cpus);
  char* text = nullptr;
  if (hwloc_bitmap_list_asprintf(&text, bitmap.get()) < 0) return "";
  const std::unique_ptr<char, decltype(&::free)> owned(text, &::free);
  return owned.get();
}

}  // namespace rex
