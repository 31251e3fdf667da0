// How a job's ranks are made: stdio opened, batches handed to templates or the spawner, pids
// recorded, gates opened, errors between fork and exec turned into failures.
#include <signal.h>

#include <algorithm>
#include <cstring>

#include "launcher/job/job.h"
#include "launcher/job/rank_stdio.h"
#include "launcher/template/template_fitness.h"

namespace rex {

// As soon as the programs are known: what ld.so does then runs beside the host's registration.
void Job::StartTemplates() {
  app_templates_.resize(plan_.apps.size());
  if (spec_.no_template) return;
  for (size_t app = 0; app < plan_.apps.size(); ++app) StartTemplate(app);
}

void Job::StartTemplate(size_t index) {
  const AppPlan& app = plan_.apps[index];
  const auto tell = [this, name = app.argv[0]](const std::string& why) {
    client_.notice({Notice::Level::kDetail, "ranks of '" + name + "' are born by exec: " + why});
  };
  if (const std::string why = WhyExec(app.path, app.env); !why.empty()) return tell(why);
  const TemplateKey key{app.path,    app.argv,     app.wdir, LoaderEnvironment(app.env),
                        OwnLimits(), OwnAffinity()};
  const auto now = services_.loop.clock().Now();
  app_templates_[index] = templates_.Find(key, now);
  if (app_templates_[index] != nullptr) return;
  auto made = TemplateMaker::Start(services_.loop, services_.children, services_.maker,
                                   {app.path, app.argv, app.wdir, app.env}, kTemplateBound, tell);
  if (!made) return tell(made.error().text);
  app_templates_[index] = std::move(*made);
  templates_.Put(key, app_templates_[index], now);
}

// Nothing is born later in a job, and a process with the program's name would only stand about.
void Job::EndTemplates() {
  app_templates_.clear();
  templates_.Clear();
}

std::string Job::BirthsNote() const {
  size_t templated = 0;
  for (const RankRecord& r : ranks_.all()) templated += r.birth == Birth::kTemplate ? 1 : 0;
  const size_t all = ranks_.all().size();
  if (templated == all) return BirthName(Birth::kTemplate);
  if (templated == 0) return BirthName(Birth::kExec);
  return std::to_string(templated) + " template, " + std::to_string(all - templated) + " exec";
}

void Job::EnterForking() {
  times_.births.begin = services_.loop.clock().Now();
  SubmitNextBatch();
}

uint32_t Job::BatchSize(Rank first) const {
  const AppPlan& app = plan_.AppOf(first);
  const uint32_t per_rank = spec_.stdin_rank == kStdinAll ? 3 : 2;
  // One more for a single rank that gets stdin.
  const uint32_t room = (REX_BATCH_MAX_FDS - REX_BATCH_FIXED_FDS - 1) / per_rank;
  return std::min(room, app.first_rank + app.ranks - first);
}

void Job::SubmitNextBatch() {
  if (state_ != JobState::kForking || next_birth_ >= plan_.total) return;
  const Rank first = next_birth_;
  const uint32_t count = BatchSize(first);
  auto batch = MakeBatch(first, count);
  if (!batch) {
    Failure failure;
    failure.kind = FailureKind::kNoResources;
    failure.rank = first;
    failure.detail = "could not open the standard descriptors of a rank: " + batch.error().text;
    failure.remedy = "raise the hard limit of open files (`ulimit -Hn`); a rank takes two or three";
    return BlameAndStop(std::move(failure));
  }
  next_birth_ += count;
  unanswered_.insert(first);
  ++batches_unborn_;
  BatchEvents events;
  events.on_pids = [this, first, count](const std::vector<pid_t>& pids, int error, Birth birth) {
    OnPids(first, count, pids, error, birth);
  };
  events.on_failure = [this, first](const BirthFailure& failure) {
    OnBirthFailure(first + static_cast<Rank>(failure.index), failure);
  };
  events.on_born = [this] { OnBatchBorn(); };
  events.on_lost = [this, first](const Error& error) {
    unanswered_.erase(first);
    Failure failure;
    failure.kind = FailureKind::kInternal;
    failure.detail = "the process that makes ranks (rexd-spawner) failed: " + error.text;
    failure.remedy = "run the job again; if it happens again, run with REX_LOG=debug";
    BlameAndStop(std::move(failure));
    CheckReaped();
  };
  const auto app = static_cast<size_t>(&plan_.AppOf(first) - plan_.apps.data());
  if (app < app_templates_.size() && app_templates_[app] != nullptr) {
    return app_templates_[app]->Submit(std::move(*batch), std::move(events));
  }
  services_.maker.Submit(std::move(*batch), std::move(events));
}

Result<BirthBatch> Job::MakeBatch(Rank first, uint32_t count) {
  const AppPlan& app = plan_.AppOf(first);
  BirthBatch batch;
  batch.path = app.path;
  batch.argv = app.argv;
  batch.wdir = app.wdir;
  batch.common_env = MergeEnvironments({&app.env, &registered_.common_env});
  batch.umask = spec_.umask;
  batch.open_files = spec_.open_files;
  batch.open_files_hard = spec_.open_files_hard;
  if (plan_.oversubscribed) batch.timer_slack = spec_.timer_slack;
  for (Rank rank = first; rank < first + count; ++rank) {
    const bool gets_stdin =
        spec_.stdin_rank == kStdinAll || spec_.stdin_rank == static_cast<int32_t>(rank);
    auto io = OpenRankStdio(!spec_.stdout_pipe, gets_stdin);
    if (!io) return io.error();
    output_.Add(rank, OutputStream::kStdout, std::move(io->stdout_read), gets_stdin);
    output_.Add(rank, OutputStream::kStderr, std::move(io->stderr_read), gets_stdin);
    if (gets_stdin) stdin_.AddTarget(std::move(io->stdin_write));
    BirthBatch::Rank birth;
    if (rank < registered_.ranks.size()) birth.env = registered_.ranks[rank].env;
    if (!plan_.bindings.empty()) birth.cpuset = plan_.bindings[rank];
    birth.stdin_fd = std::move(io->stdin_fd);
    birth.stdout_fd = std::move(io->stdout_fd);
    birth.stderr_fd = std::move(io->stderr_fd);
    batch.ranks.push_back(std::move(birth));
  }
  return batch;
}

void Job::OnPids(Rank first, uint32_t asked, const std::vector<pid_t>& pids, int error,
                 Birth birth) {
  unanswered_.erase(first);
  for (size_t i = 0; i < pids.size() && i < asked; ++i) {
    const Rank rank = first + static_cast<Rank>(i);
    ranks_.Born(rank, pids[i], birth);
    services_.children.Adopt(pids[i],
                             [this, rank](const ExitStatus& end) { OnRankEnd(rank, end); });
  }
  if (pids.size() < asked) {
    Failure failure;
    failure.kind = FailureKind::kNoResources;
    failure.rank = first + static_cast<Rank>(pids.size());
    failure.detail = "could not make the process of rank " + std::to_string(failure.rank) + ": " +
                     std::strerror(error);
    failure.remedy =
        "use fewer ranks, or raise the limit of processes (`ulimit -u`, the cgroup's pids.max, "
        "/proc/sys/kernel/pid_max)";
    BlameAndStop(std::move(failure));
    return CheckReaped();
  }
  if (state_ != JobState::kForking) {  // stopped meanwhile: they must not get past the gate
    for (const pid_t pid : pids) services_.children.Kill(pid, SIGKILL);
  }
  SubmitNextBatch();
  // Gates open when every rank has its process: a job starts whole or not at all.
  if (unanswered_.empty()) ReleaseAll();
}

void Job::ReleaseAll() {
  services_.maker.Release();
  templates_.ForEach([](const auto& maker) { maker->Release(); });
}

void Job::OnBirthFailure(Rank rank, const BirthFailure& birth) {
  const AppPlan& app = plan_.AppOf(rank);
  Failure failure;
  failure.rank = rank;
  failure.pid = ranks_[rank].pid;
  failure.program = app.argv[0];
  const std::string why = std::strerror(birth.error);
  switch (birth.phase) {
    case REX_PHASE_WDIR:
      failure.kind = FailureKind::kWdirMissing;
      failure.detail = "cannot enter the working directory '" + app.wdir + "': " + why;
      break;
    case REX_PHASE_EXEC:
      failure.kind = birth.error == ENOENT ? FailureKind::kProgramNotFound
                     : birth.error == ENOMEM || birth.error == EAGAIN
                         ? FailureKind::kNoResources
                         : FailureKind::kProgramNotRunnable;
      failure.detail = "cannot execute '" + app.path + "': " + why;
      break;
    case REX_PHASE_SETUP:
    case REX_PHASE_AFFINITY:
      failure.kind = FailureKind::kNoResources;
      failure.detail = "cannot set up the process: " + why;
      break;
  }
  ranks_[rank].signalled = true;  // its exit code 127 is ours, not the program's
  BlameAndStop(std::move(failure));
}

void Job::OnBatchBorn() {
  --batches_unborn_;
  if (batches_unborn_ > 0 || next_birth_ < plan_.total || state_ != JobState::kForking) return;
  stdin_.Start();
  On(JobEvent::kAllBorn);
}

}  // namespace rex
