// How a part's ranks end: what is told to the head of each, and when it is sure.
#include <signal.h>

#include <algorithm>
#include <set>

#include "launcher/ranks/part.h"

namespace rex {

void Part::OnClientEvent(const pmix::ClientEvent& event) {
  RankRecord* record = ranks_.Find(event.proc.rank);
  if (event.proc.name_space != plan_.name_space || record == nullptr) return;
  if (event.what == pmix::ClientEvent::What::kConnected) {
    record->connected = true;
    times_.OnConnect(event.at);
    progress_.connected.push_back(record->rank);
  } else {
    record->finalized = true;
    times_.OnFinalize(event.at);
    progress_.finalized.push_back(record->rank);
  }
  PostFlush();
  if (record->finalized && !unfinalized_.empty()) CheckReaped();
}

// Many ranks connect, or end, together: one message for a turn's worth.
void Part::PostFlush() {
  if (flush_posted_) return;
  flush_posted_ = true;
  services_.loop.Post(WhileAlive([this] { FlushNews(); }));
}

void Part::FlushNews() {
  flush_posted_ = false;
  if (!progress_.connected.empty() || !progress_.finalized.empty()) {
    services_.tell(std::exchange(progress_, {}));
  }
  if (!ends_.ends.empty()) services_.tell(std::exchange(ends_, {}));
}

void Part::OnRankEnd(size_t local, const ExitStatus& end) {
  ranks_.Ended(local, end);
  times_.OnExit(services_.loop.clock().Now());
  const RankRecord& record = ranks_[local];
  if (end.ok() && !record.signalled && record.connected && !record.finalized) {
    unfinalized_.push_back(local);
    AskHost();
  } else {
    TellEnd(record);
  }
  CheckReaped();
}

void Part::TellEnd(const RankRecord& record) {
  const ExitStatus& end = *record.end;
  ends_.ends.push_back({record.rank, end.signal == 0 ? end.code : 0, end.signal, end.core,
                        record.connected, record.finalized, record.signalled});
  PostFlush();
}

// The host's word that a rank initialised or finalized may come after the kernel's that it ended,
// much later when the host was stopped or starved.
void Part::AskHost() {
  // Other parts have the same host.
  pings_ = uint64_t{services_.job} << 32 | ((pings_ + 1) & UINT32_MAX);
  services_.to_host(pmix::Ping{pings_});
  unsure_timer_.Set(state_ < PartState::kStopping ? std::chrono::milliseconds(kHostBound)
                                                  : kNewsBound);
}

void Part::OnPong(const pmix::Pong& pong) {
  if (pong.number == pings_ && unsure_timer_.pending()) unsure_timer_.Set(kNewsBound);
}

void Part::TellUnsure() {
  for (const size_t local : std::exchange(unfinalized_, {})) TellEnd(ranks_[local]);
  FlushNews();
  for (const uint64_t number : std::exchange(questions_, {})) services_.tell(PartNews{number});
  CheckReaped();
}

void Part::CheckReaped() {
  if (ranks_.alive() > 0 || !unanswered_.empty()) return;
  if (!unfinalized_.empty()) {
    // Nobody is left to wait for but the host's word; when it has come already, so much the better.
    std::erase_if(unfinalized_, [this](size_t local) {
      if (!ranks_[local].finalized) return false;
      TellEnd(ranks_[local]);
      return true;
    });
    if (!unfinalized_.empty()) return;
  }
  Take(PartStep::kAllReaped);
}

void Part::SignalAll(int signo) {
  for (const RankRecord& record : ranks_.all()) {
    if (record.alive()) services_.children.KillGroup(record.pid, signo);
  }
}

std::vector<Part::Sample> Part::Samples() const {
  std::vector<Sample> samples;
  if (state_ != PartState::kRunning) return samples;
  for (size_t local = 0; local < ranks_.size(); ++local) {
    if (!ranks_[local].alive()) continue;
    const AppPlan& app = plan_.AppOf(ranks_[local].rank);
    const auto index = static_cast<uint32_t>(&app - plan_.apps.data());
    if (!samples.empty() && samples.back().app == index) continue;
    samples.push_back(
        {index, ranks_[local].pid, app.copies.empty() ? app.own_dir : app.copies[local]});
  }
  return samples;
}

uint32_t Part::live() const {
  if (state_ >= PartState::kDraining) return 0;
  const auto ended = std::count_if(ranks_.all().begin(), ranks_.all().end(),
                                   [](const RankRecord& r) { return r.end.has_value(); });
  return static_cast<uint32_t>(ranks_.size()) - static_cast<uint32_t>(ended);
}

// Open MPI's MPI_Comm_spawn hands on the parent's OMPI_MCA_* variables. Of these the children's own
// node gives its own: where shared memory is, which devices are there, a transport's key.
void Part::TakeOutOwn(pmix::Spawn* spawn) const {
  const auto rank = std::find_if(registered_.ranks.begin(), registered_.ranks.end(),
                                 [&](const auto& r) { return r.rank == spawn->proc.rank; });
  if (rank == registered_.ranks.end()) return;
  const AppPlan& plan = plan_.AppOf(rank->rank);
  std::set<std::string_view> own(plan.env.begin(), plan.env.end());
  own.insert(registered_.common_env.begin(), registered_.common_env.end());
  own.insert(rank->env.begin(), rank->env.end());
  for (const std::string& entry : spec_.apps[static_cast<size_t>(&plan - plan_.apps.data())].env) {
    own.erase(entry);
  }
  for (pmix::SpawnApp& app : spawn->apps) {
    std::erase_if(app.env, [&](const std::string& entry) { return own.contains(entry); });
  }
}

std::vector<std::string> Part::ReportState() const {
  std::vector<std::string> lines;
  for (const RankRecord& r : ranks_.all()) {
    std::string line = "rank " + std::to_string(r.rank) + " (";
    line += plan_.apps.empty() ? "?" : plan_.AppOf(r.rank).argv[0];
    line += ", node " + node_.name;
    if (r.pid != 0) line += ", pid " + std::to_string(r.pid);
    line += "): ";
    if (r.end) {
      line += "ended with " + std::to_string(r.end->ShellCode());
    } else if (r.pid == 0) {
      line += "not started";
    } else {
      const ProcessInfo process = ReadProcess(r.pid);
      line += r.finalized   ? "after MPI_Finalize"
              : r.connected ? "in MPI (initialised)"
                            : "before MPI_Init";
      line += std::string(", process state ") + process.state;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace rex
