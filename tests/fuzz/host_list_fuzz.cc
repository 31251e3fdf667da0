// --host and hostfiles. Input: u8, odd for a hostfile; then its text.
#include <algorithm>
#include <set>

#include "launcher/cli/console.h"
#include "launcher/values/host_list.h"
#include "launcher/wire/messages.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

using namespace std::string_literals;

bool IsPrintable(const std::string& name) {
  return std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
}

// A word that ssh takes for a host or user, whatever was typed.
void CheckName(const std::string& name) {
  REX_CHECK(!name.empty() && name.size() <= kMaxHostNameBytes);
  REX_CHECK(name[0] != '-' && IsPrintable(name));
}

void CheckHosts(const std::vector<HostEntry>& hosts) {
  std::set<std::string> seen;
  for (const HostEntry& host : hosts) {
    REX_CHECK(host.number <= std::max(kMaxJobNodes, kMaxRanks));
    if (host.kind == HostKind::kNth || host.kind == HostKind::kEmpty) {
      REX_CHECK(host.name.empty());
      continue;
    }
    CheckName(host.name);
    if (!host.user.empty()) CheckName(host.user);
    REX_CHECK(host.slots >= 1 && host.slots <= kMaxRanks && host.max_slots <= kMaxRanks);
    REX_CHECK(host.port <= UINT16_MAX);
    const std::string key = (host.kind == HostKind::kExcluded ? "^" : "") + host.user + "\n" +
                            host.name + "\n" + std::to_string(host.port);
    REX_CHECK(seen.insert(key).second);
  }
}

// What --host takes and gives back: the same hosts, written out.
std::string Written(const std::vector<HostEntry>& hosts) {
  std::string text;
  for (const HostEntry& host : hosts) {
    text += (text.empty() ? "" : ",") + (host.user.empty() ? "" : host.user + "@");
    text += "[" + host.name + "]:" + (host.all_cores ? "*" : std::to_string(host.slots));
  }
  return text;
}

void CheckWritten(const std::vector<HostEntry>& hosts) {
  const bool plain = std::none_of(hosts.begin(), hosts.end(), [](const HostEntry& host) {
    return host.kind != HostKind::kName || "^+"s.find(host.name[0]) != std::string::npos ||
           "^+"s.find((host.user + " ")[0]) != std::string::npos ||
           (host.user + host.name).find_first_of(",@[]") != std::string::npos;
  });
  if (!plain) return;
  const auto again = ParseHosts(Written(hosts));
  REX_CHECK(again.has_value() && again->size() == hosts.size());
  for (size_t i = 0; i < hosts.size(); ++i) {
    REX_CHECK((*again)[i].name == hosts[i].name && (*again)[i].user == hosts[i].user);
    REX_CHECK((*again)[i].slots == hosts[i].slots || hosts[i].all_cores);
    REX_CHECK((*again)[i].all_cores == hosts[i].all_cores);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const bool file = in.Byte() % 2 == 1;
  const auto hosts = file ? ParseHostfile(in.Rest(), "hosts") : ParseHosts(in.Rest());
  if (!hosts) {
    REX_CHECK(hosts.error().code == Errc::kInvalid && !hosts.error().text.empty());
    const std::string shown = ConsoleLine(hosts.error().text);
    REX_CHECK(shown.find('\n') == shown.size() - 1);
    return 0;
  }
  REX_CHECK(!hosts->empty());
  CheckHosts(*hosts);
  if (!file) CheckWritten(*hosts);
  return 0;
}

}  // namespace rex
