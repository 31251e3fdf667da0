// Messages between rexlaunch and the head. Input: u8 which, then the payload.
#include <nlohmann/json.hpp>

#include "launcher/cli/console.h"
#include "launcher/cli/failure_text.h"
#include "launcher/observe/timeline.h"
#include "launcher/wire/messages.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/round_trip.h"

namespace rex {
namespace {

void CheckBounds(const Hello& m) { REX_CHECK(!m.version.empty() && m.version.size() <= 64); }
void CheckBounds(const SignalRanks& m) { REX_CHECK(m.signo >= 1 && m.signo <= 64); }
void CheckBounds(const EndJob& m) { REX_CHECK(m.signo >= 1 && m.signo <= 64); }
void CheckBounds(const Credit& m) { REX_CHECK(m.bytes >= 1 && m.bytes <= uint64_t{1} << 32); }
void CheckBounds(const Notice& m) { ConsoleLine(m.text); }

void CheckBounds(const JobSpec& m) {
  uint64_t total = 0;
  bool counted = true;  // else the number of ranks comes with placement
  REX_CHECK(!m.apps.empty() && m.apps.size() <= kMaxApps);
  for (const AppSpec& app : m.apps) {
    REX_CHECK(!app.argv.empty() && !app.argv[0].empty());
    for (const std::string& word : app.argv) REX_CHECK(!fuzz::HasNul(word));
    for (const std::string& entry : app.env) REX_CHECK(!fuzz::HasNul(entry));
    REX_CHECK(app.wdir.empty() || app.wdir[0] == '/');
    total += app.ranks;
    counted = counted && app.ranks > 0;
  }
  REX_CHECK(total <= kMaxRanks && m.TotalRanks() == total);
  REX_CHECK(m.cwd.starts_with('/') && !fuzz::HasNul(m.cwd));
  const int64_t ranks = counted && m.dvm.nodes.empty() ? static_cast<int64_t>(total) : kMaxRanks;
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

struct Target {
  template <typename T>
  static Result<T> Decode(const std::string& payload) {
    return FromWire<T>(payload);
  }
  static void Check(const auto& message) { CheckBounds(message); }
};

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
  const size_t place = in.Byte() % 9;
  const std::string payload(in.Rest());
  if (place == 8) RoundTripOutput(payload);
  fuzz::RoundTripOneOf<Target, Hello, JobSpec, SignalRanks, EndJob, Credit, Notice, JobStarted,
                       JobEnded>(place, payload);
  return 0;
}

}  // namespace rex
