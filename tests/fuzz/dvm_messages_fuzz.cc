// Messages between rexctl and the head of a DVM that stays, its record among them, and what rexctl
// makes of them. Input: u8 which, then the payload.
#include <nlohmann/json.hpp>

#include "launcher/base/dvm_place.h"
#include "launcher/cli/dvm/ctl_text.h"
#include "launcher/wire/dvm_messages.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/round_trip.h"

namespace rex {
namespace {

void CheckJson(const std::string& text) { REX_CHECK(nlohmann::json::accept(text)); }

void CheckBounds(const StartDvm& m) {
  REX_CHECK(IsDvmName(m.name) && m.slots <= kMaxRanks);
  REX_CHECK(m.idle_timeout.count() >= 0 && m.idle_timeout <= kMaxIdleTimeout);
}
void CheckBounds(const DvmRecord& m) {
  REX_CHECK(IsDvmName(m.name) && !m.version.empty() && m.version.size() <= 64);
  CheckJson(RecordJson(m));
  CheckJson(ListJson({m}));
}
void CheckBounds(const Declined&) {}
void CheckBounds(const AskDvm&) {}
void CheckBounds(const StopDvm&) {}
void CheckBounds(const DvmReply& m) { CheckJson(DoneJson(m.ok, m.text)); }
void CheckBounds(const KillJob& m) { REX_CHECK(m.job >= 1 && m.signo >= 0 && m.signo <= 64); }
void CheckBounds(const DvmStatus& m) {
  CheckJson(StatusJson(m));
  StatusText(m);
}
// No job is lost, or shown twice, whoever its parents are said to be.
void CheckBounds(const DvmJobList& m) {
  DvmView view;
  view.jobs = m.jobs;
  CheckJson(JobsJson(view));
  CheckJson(TreeJson(view));
  const std::string table = JobsText(view);
  REX_CHECK(static_cast<size_t>(std::count(table.begin(), table.end(), '\n')) == 1 + m.jobs.size());
}
void CheckBounds(const DvmRankList& m) {
  REX_CHECK(m.ranks.size() <= kMaxRanksInMessage);
  DvmView view;
  view.ranks = m.ranks;
  CheckJson(RanksJson(view));
  const std::string table = RanksText(view);
  const auto lines = static_cast<size_t>(std::count(table.begin(), table.end(), '\n'));
  REX_CHECK(lines == 1 + m.ranks.size());
}

struct Target {
  template <typename T>
  static Result<T> Decode(const std::string& payload) {
    return FromWire<T>(payload);
  }
  static void Check(const auto& message) { CheckBounds(message); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const size_t place = in.Byte() % 10;
  const std::string payload(in.Rest());
  fuzz::RoundTripOneOf<Target, StartDvm, DvmRecord, Declined, AskDvm, DvmStatus, DvmJobList,
                       DvmRankList, StopDvm, KillJob, DvmReply>(place, payload);
  return 0;
}

}  // namespace rex
