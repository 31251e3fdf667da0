// --report-after: says, again and again at growing distances, for whom the job waits.
#include <algorithm>
#include <tuple>
#include <utility>

#include "launcher/job/absences.h"
#include "launcher/job/job.h"

namespace rex {

namespace {
constexpr std::chrono::milliseconds kProgressEvery{500};
}

// A long wait is shown while it lasts; a job that just runs is none.
void Job::OnProgressTimer() {
  const Progress now = ProgressNow();
  if (now.phase == JobPhase::kRun || now.total == 0 || busy_) return EndProgress();
  client_.progress(now);
  progress_told_ = true;
  progress_timer_.Set(kProgressEvery);
}

Progress Job::ProgressNow() const {
  Progress now;
  now.phase = PhaseNow();
  if (now.phase == JobPhase::kNodes) {
    std::tie(now.done, now.total) = services_.answered();
    return now;
  }
  now.total = static_cast<uint32_t>(ranks_.size());
  for (const auto& [node, part] : parts_) {
    if (now.phase == JobPhase::kBirths) now.done += static_cast<uint32_t>(part.born);
  }
  if (now.phase == JobPhase::kInit) {
    now.done = now.total - static_cast<uint32_t>(AbsentFromInit().size());
  }
  return now;
}

void Job::EndProgress() {
  progress_timer_.Cancel();
  if (std::exchange(progress_told_, false)) client_.progress(Progress{});
}

void Job::OnAbsenceTimer() {
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(absence_after_);
  if (state_ == JobState::kPlanned) {
    const std::vector<std::string> absent = services_.missing_nodes();
    if (!absent.empty()) TellAbsence(WaitingForNodes(since, spec_.dvm.nodes.size(), absent));
  } else if (state_ == JobState::kLaunching || state_ == JobState::kReleasing) {
    const std::vector<std::string> absent = UnbornParts();
    if (!absent.empty()) TellAbsence(WaitingForBirths(since, parts_.size(), absent));
  } else if (state_ == JobState::kRunning && InitIsAwaited()) {
    ++absence_number_;
    absence_lines_.clear();
    services_.command_all(AskReport{false, absence_number_});
  }
  if (state_ >= JobState::kStopping) return;
  absence_timer_.Set(absence_after_);  // at twice the time that has gone by
  absence_after_ *= 2;
}

void Job::TellAbsence(const std::string& text) { client_.notice({Notice::Level::kWarning, text}); }

std::vector<std::string> Job::UnbornParts() const {
  std::vector<std::string> names;
  for (const auto& [node, part] : parts_) {
    if (!part.running && !part.lost) names.push_back(NameOf(node));
  }
  return names;
}

std::vector<Rank> Job::AbsentFromInit() const {
  std::vector<Rank> absent;
  for (Rank rank = 0; rank < ranks_.size(); ++rank) {
    if (!ranks_[rank].end && !ranks_[rank].connected) absent.push_back(rank);
  }
  return absent;
}

// Some are in MPI_Init and cannot leave it before all others have come.
bool Job::InitIsAwaited() const {
  return any_connected_ && std::any_of(ranks_.begin(), ranks_.end(),
                                       [](const RankRecord& r) { return !r.end && !r.connected; });
}

// The report of one part; when all have come, the user is told.
void Job::OnAbsenceReport(NodeId from, std::vector<std::string> lines) {
  absence_lines_[from] = std::move(lines);
  for (const auto& [node, part] : parts_) {
    if (!part.lost && !absence_lines_.contains(node)) return;
  }
  std::vector<std::string> all;
  for (const auto& [node, some] : absence_lines_) all.insert(all.end(), some.begin(), some.end());
  if (!InitIsAwaited()) return;
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(absence_after_ / 2);
  TellAbsence(WaitingForInit(since, ranks_.size(), all));
}

}  // namespace rex
