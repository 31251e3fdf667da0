// What a look reads: files of /proc and of cgroups, whose names and numbers others choose.
#include "sched/load/cpu_quota.h"
#include "sched/load/proc_text.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {

namespace {

void Quotas(std::string_view text) {
  const size_t half = text.find('\0');
  const auto groups = QuotaGroups(text.substr(0, half),
                                  half == text.npos ? std::string_view() : text.substr(half + 1));
  for (const QuotaGroup& group : groups) REX_CHECK(group.directory.size() <= text.size());
  if (const auto quota = ParseCpuMax(text)) REX_CHECK(*quota > 0);
}

// Processes by pairs of bytes: whatever the parents are, it ends.
void Own(std::string_view bytes) {
  std::vector<ProcStat> processes;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    processes.push_back(
        {.pid = static_cast<uint8_t>(bytes[i]), .ppid = static_cast<uint8_t>(bytes[i + 1])});
  }
  REX_CHECK(OwnProcesses(processes, 7).size() == processes.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t what = in.Byte();
  const std::string_view text = in.Rest();
  if (what % 4 == 0) {
    const auto stat = ParseProcStat(text);
    if (stat) REX_CHECK(text.find(stat->state) != text.npos);
  } else if (what % 4 == 1) {
    const auto mask = ParseCpusAllowed(text);
    if (mask) REX_CHECK(!mask->empty() && mask->size() <= text.size());
    static_cast<void>(ParseRunnable(text));
  } else if (what % 4 == 2) {
    Quotas(text);
  } else {
    Own(text);
  }
  return 0;
}

}  // namespace rex
