#include "launcher/cli/dvm/inherited.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

namespace rex {

namespace {

struct Limit {
  __rlimit_resource_t resource;
  const char* name;
};
constexpr Limit kLimits[] = {
    {RLIMIT_AS, "memory"},          {RLIMIT_CORE, "core files"},
    {RLIMIT_CPU, "processor time"}, {RLIMIT_DATA, "data segments"},
    {RLIMIT_FSIZE, "file sizes"},   {RLIMIT_MEMLOCK, "locked memory"},
    {RLIMIT_NPROC, "processes"},    {RLIMIT_RTPRIO, "real-time priorities"},
    {RLIMIT_STACK, "stacks"},       {RLIMIT_RSS, "resident memory"},
};

std::string Number(rlim_t value) {
  return value == RLIM_INFINITY ? "unlimited" : std::to_string(value);
}

// "0-3,6"; "all" when the mask is larger than what we ask for.
std::string Cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return "all";
  std::string text;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    int last = cpu;
    while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set)) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(cpu);
    if (last > cpu) text += "-" + std::to_string(last);
    cpu = last;
  }
  return text;
}

}  // namespace

std::vector<Inherited> OwnInherited() {
  std::vector<Inherited> all;
  for (const Limit& limit : kLimits) {
    rlimit value{};
    if (::getrlimit(limit.resource, &value) != 0) continue;
    all.push_back({std::string("the limit of ") + limit.name,
                   Number(value.rlim_cur) + " (hard " + Number(value.rlim_max) + ")"});
  }
  all.push_back({"the processors that may be used", Cpus()});
  all.push_back({"niceness", std::to_string(::getpriority(PRIO_PROCESS, 0))});
  all.push_back({"the group", std::to_string(::getegid())});
  return all;
}

}  // namespace rex
