#include "launcher/agent/check_judge.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace rex {

namespace {

constexpr uint64_t kMib = uint64_t{1} << 20;
constexpr uint64_t kTempBytes = 100 * kMib;
// Open MPI's shared memory and rex's own.
constexpr uint64_t kShmBytes = 16 * kMib;
constexpr uint64_t kShmBytesPerSlot = 8 * kMib;
constexpr std::chrono::microseconds kClockBound{1'000'000};

std::string Mib(uint64_t bytes) { return std::to_string(bytes / kMib) + " MiB"; }

std::string Seconds(std::chrono::microseconds time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s",
                std::abs(static_cast<double>(time.count())) / 1e6);
  return text.data();
}

class Judge {
 public:
  Judge(const std::vector<CheckSubject>& nodes, const CheckFacts& here)
      : nodes_(nodes), here_(here) {}

  CheckReport Report(bool is_virtual) {
    for (const CheckSubject& node : nodes_) {
      report_.nodes.push_back(NodeOf(node));
      if (node.facts) {
        JudgeOne(node, report_.nodes.back());
      } else {
        TellFailure(node);
      }
    }
    if (!is_virtual) FindTwins();
    Compare("glibc", &CheckFacts::glibc,
            "programs built on one node may not run on another; build on the oldest");
    Compare("Open MPI", &CheckFacts::openmpi,
            "install the same Open MPI on every node, or set LD_LIBRARY_PATH to one that all have");
    Compare("libpmix", &CheckFacts::libpmix, "install the same libpmix on every node");
    return std::move(report_);
  }

 private:
  CheckedNode NodeOf(const CheckSubject& node) const {
    CheckedNode out;
    out.name = node.name;
    out.here = node.here;
    out.slots = node.named_slots;
    if (!node.facts) return out;
    const CheckFacts& facts = *node.facts;
    out.answered = true;
    if (out.slots == 0) out.slots = facts.cores;
    out.hostname = facts.hostname;
    out.cores = facts.cores;
    out.rex = facts.rex;
    out.glibc = facts.glibc;
    out.openmpi = facts.openmpi;
    out.libpmix = facts.libpmix;
    out.way_back = facts.way_back;
    out.temp = facts.temp;
    out.temp_free = facts.temp_free;
    out.shm_free = facts.shm_free;
    if (node.here) {
      out.clock = std::chrono::microseconds(0);
    } else if (node.clock) {
      const auto real = facts.realtime - facts.monotonic;
      out.clock = real - node.clock->offset - (here_.realtime - here_.monotonic);
      out.clock_error = node.clock->error;
    }
    return out;
  }

  void Add(const CheckSubject& node, const char* about, std::string text, std::string remedy,
           bool note = false) {
    report_.problems.push_back({node.name, about, std::move(text), std::move(remedy), note});
  }

  void TellFailure(const CheckSubject& node) {
    if (!node.failure) {
      return Add(node, "start", "it did not answer", "try once more; is it overloaded?");
    }
    const std::string phase = node.failure->phase + ": ";
    const std::string& cause = node.failure->cause;
    Add(node, "start", cause.starts_with(phase) ? cause : phase + cause, node.failure->remedy);
  }

  void JudgeOne(const CheckSubject& node, const CheckedNode& facts) {
    if (node.facts->sent) {
      Add(node, "start", "rex is not installed there, or not whole; every job has to send it",
          "install rex at the same path on every node, name where it is with --prefix, or live "
          "with "
          "it",
          true);
    }
    if (!node.here && facts.way_back.empty()) {
      Add(node, "way back",
          "it can't open a TCP connection to the node that started it; all traffic goes through "
          "ssh, which is slower",
          "allow TCP from the node to all ports here (a firewall?), or live with it", true);
    }
    if (node.named_slots > facts.cores) {
      Add(node, "slots",
          std::to_string(node.named_slots) + " slots were named, it has " +
              std::to_string(facts.cores) + " cores",
          "name fewer slots, or expect slow ranks", true);
    }
    if (facts.clock && facts.clock->count() != 0) JudgeClock(node, facts);
    if (facts.temp_free < kTempBytes) {
      Add(node, "disk", facts.temp + " has only " + Mib(facts.temp_free) + " free",
          "make room there, or set TMPDIR to another directory");
    }
    const uint64_t shm = kShmBytes + facts.slots * kShmBytesPerSlot;
    if (facts.shm_free < shm) {
      Add(node, "shm",
          "/dev/shm has only " + Mib(facts.shm_free) + " free; " + std::to_string(facts.slots) +
              " ranks of Open MPI may need " + Mib(shm),
          "remove what is left in /dev/shm, or make it larger (mount -o remount,size=...)");
    }
  }

  void JudgeClock(const CheckSubject& node, const CheckedNode& facts) {
    const auto off = std::chrono::abs(*facts.clock);
    if (off - facts.clock_error <= kClockBound) return;
    Add(node, "clock",
        "its clock is " + Seconds(off) + (facts.clock->count() > 0 ? " ahead" : " behind"),
        "let the node's clock be set by NTP (chronyc tracking); munge and make go wrong otherwise");
  }

  void FindTwins() {
    std::map<std::string, const CheckSubject*> first;
    for (const CheckSubject& node : nodes_) {
      if (!node.facts) continue;
      const auto [known, fresh] = first.emplace(node.facts->machine, &node);
      if (fresh) continue;
      Add(node, "name",
          "it is the same machine as " + known->second->name + " (" + node.facts->hostname + ")",
          "name it once, with the slots of both");
    }
  }

  // What most have is right; of several, the first node's.
  void Compare(const char* what, std::string CheckFacts::*field, const char* remedy) {
    std::map<std::string, size_t> count;
    for (const CheckSubject& node : nodes_) {
      if (node.facts) ++count[(*node.facts).*field];
    }
    if (count.size() < 2) return;
    const std::string* most = nullptr;
    for (const CheckSubject& node : nodes_) {
      if (!node.facts) continue;
      const std::string& value = (*node.facts).*field;
      if (most == nullptr || count[value] > count[*most]) most = &value;
    }
    for (const CheckSubject& node : nodes_) {
      if (!node.facts || (*node.facts).*field == *most) continue;
      const std::string& value = (*node.facts).*field;
      Add(node, "version",
          value.empty()   ? std::string("it has no ") + what + ", others have " + *most
          : most->empty() ? std::string("it has ") + what + " " + value + ", others have none"
                          : std::string("its ") + what + " is " + value + ", others have " + *most,
          remedy);
    }
  }

  const std::vector<CheckSubject>& nodes_;
  const CheckFacts& here_;
  CheckReport report_;
};

}  // namespace

CheckReport JudgeNodes(const std::vector<CheckSubject>& nodes, const CheckFacts& here,
                       bool is_virtual) {
  return Judge(nodes, here).Report(is_virtual);
}

}  // namespace rex
