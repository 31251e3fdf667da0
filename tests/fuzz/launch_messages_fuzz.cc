// Messages between rexlaunch and the head. Input: u8 which, then the payload.
#include <nlohmann/json.hpp>

#include "launcher/cli/console.h"
#include "launcher/cli/failure_text.h"
#include "launcher/observe/timeline.h"
#include "launcher/wire/messages.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

void CheckBounds(const Hello& m) { REX_CHECK(!m.version.empty() && m.version.size() <= 64); }
void CheckBounds(const SignalRanks& m) { REX_CHECK(m.signo >= 1 && m.signo <= 64); }
void CheckBounds(const EndJob& m) { REX_CHECK(m.signo >= 1 && m.signo <= 64); }
void CheckBounds(const Credit& m) { REX_CHECK(m.bytes >= 1 && m.bytes <= uint64_t{1} << 32); }
void CheckBounds(const Notice& m) { ConsoleLine(m.text); }

void CheckBounds(const JobSpec& m) {
  uint64_t total = 0;
  REX_CHECK(!m.apps.empty() && m.apps.size() <= kMaxApps);
  for (const AppSpec& app : m.apps) {
    REX_CHECK(!app.argv.empty() && !app.argv[0].empty());
    for (const std::string& word : app.argv) REX_CHECK(!fuzz::HasNul(word));
    for (const std::string& entry : app.env) REX_CHECK(!fuzz::HasNul(entry));
    REX_CHECK(app.wdir.empty() || app.wdir[0] == '/');
    REX_CHECK(app.ranks >= 1 || !m.dvm.nodes.empty());
    total += app.ranks;
  }
  REX_CHECK(total <= kMaxRanks && m.TotalRanks() == total);
  REX_CHECK(m.cwd.starts_with('/') && !fuzz::HasNul(m.cwd));
  const int64_t ranks = m.dvm.nodes.empty() ? static_cast<int64_t>(total) : kMaxRanks;
  REX_CHECK(m.stdin_rank >= kStdinNone && m.stdin_rank < ranks);
  REX_CHECK(m.grace.count() >= 0 && m.timeout.count() >= 0 && m.timer_slack.count() >= 0);
  REX_CHECK(m.umask <= 0777 && m.open_files >= 1 && m.open_files <= m.open_files_hard);
}

void CheckBounds(const JobStarted& m) {
  REX_CHECK(m.total <= kMaxRanks && m.ranks.size() <= kMaxRanks);
}

// What rexlaunch makes of it: lines and a trace that nothing in the message can break.
void CheckBounds(const JobEnded& m) {
  REX_CHECK(m.exit_code >= 0 && m.exit_code <= 255);
  REX_CHECK(m.failure.signo >= 0 && m.failure.signo <= 64);
  for (const std::string& line : FailureLines(m)) {
    const std::string shown = ConsoleLine(line);
    REX_CHECK(shown.find('\n') == shown.size() - 1);
  }
  REX_CHECK(nlohmann::json::accept(TimelineJson(m.phases, std::chrono::microseconds(1000))));
  const std::string table = TimelineTable(m.phases, std::chrono::microseconds(1000));
  const auto lines = static_cast<size_t>(std::count(table.begin(), table.end(), '\n'));
  REX_CHECK(lines >= 1 && lines <= 1 + m.phases.size());
}

template <typename T>
void RoundTrip(const std::string& payload) {
  const Result<T> first = FromWire<T>(payload);
  if (!first) {
    REX_CHECK(first.error().code == Errc::kProtocol && !first.error().text.empty());
    return;
  }
  CheckBounds(*first);
  const std::string wire = ToWire(*first);
  const Result<T> second = FromWire<T>(wire);
  REX_CHECK(second.has_value());
  REX_CHECK(ToWire(*second) == wire);
}

void RoundTripOutput(const std::string& payload) {
  std::string_view bytes;
  const Result<OutputHeader> header = DecodeOutput(payload, &bytes);
  if (!header) {
    REX_CHECK(header.error().code == Errc::kProtocol && bytes.empty());
    return;
  }
  REX_CHECK(header->rank < kMaxRanks);
  REX_CHECK(bytes.size() + kOutputHeaderBytes == payload.size());
  REX_CHECK(EncodeOutput(*header, bytes) == payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t which = in.Byte();
  const std::string payload(in.Rest());
  switch (which % 9) {
    case 0:
      RoundTrip<Hello>(payload);
      break;
    case 1:
      RoundTrip<JobSpec>(payload);
      break;
    case 2:
      RoundTrip<SignalRanks>(payload);
      break;
    case 3:
      RoundTrip<EndJob>(payload);
      break;
    case 4:
      RoundTrip<Credit>(payload);
      break;
    case 5:
      RoundTrip<Notice>(payload);
      break;
    case 6:
      RoundTrip<JobStarted>(payload);
      break;
    case 7:
      RoundTrip<JobEnded>(payload);
      break;
    case 8:
      RoundTripOutput(payload);
      break;
  }
  return 0;
}

}  // namespace rex
