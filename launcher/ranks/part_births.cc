// How a job's ranks are made: stdio opened, batches handed to templates or the spawner, pids
// recorded, gates opened, errors between fork and exec turned into failures.
#include <signal.h>

#include <algorithm>
#include <cstring>

#include "launcher/ranks/env_list.h"
#include "launcher/ranks/part.h"
#include "launcher/ranks/rank_stdio.h"
#include "launcher/template/template_fitness.h"

namespace rex {

namespace {
// Each rank is cloned with the descriptors of its whole batch and closes them: not too many.
constexpr size_t kBatchRanks = 16;
// One that the maker works on, one that waits for it.
constexpr size_t kBatchesAhead = 2;

// `paths`, with `to` wherever `from` is.
std::string Below(const std::string& to, const std::string& from, std::string paths) {
  for (size_t at = paths.find(from + "/"); at != paths.npos;
       at = paths.find(from + "/", at + to.size())) {
    paths.replace(at, from.size(), to);
  }
  return paths;
}
}  // namespace

// As soon as the programs are known: what ld.so does then runs beside the host's registration.
void Part::StartTemplates() {
  app_templates_.resize(plan_.apps.size());
  if (spec_.no_template) return services_.maker.StartAhead();
  for (size_t app = 0; app < plan_.apps.size(); ++app) StartTemplate(app);
}

void Part::StartTemplate(size_t index) {
  const AppPlan& app = plan_.apps[index];
  const auto tell = [this, tell = TellExec(index)](const std::string& why) {
    services_.maker.StartAhead();
    tell(why);
  };
  if (!app.copies.empty()) return tell("each has an image of its own");
  const TemplateProgram program = ChooseTemplate(app.path, app.argv, app.env);
  if (!program.why_exec.empty()) return tell(program.why_exec);
  TemplateKey key{program.path, program.argv, app.wdir, LoaderEnvironment(app.env),
                  OwnLimits(),  OwnAffinity()};
  key.loader_env.push_back(app.library_path);
  auto made = services_.templates.Get(key, {program.path, program.argv, app.wdir, app.env,
                                            program.files, app.own_dir, app.library_path});
  if (!made) return tell(made.error().text);
  app_templates_[index] = *std::move(made);
}

// The batch may be given back when the part has gone.
TemplateMaker::OnFallback Part::TellExec(size_t app) {
  return WhileAlive([this, name = plan_.apps[app].argv[0]](const std::string& why) {
    services_.tell(
        PartNotice{{Notice::Level::kDetail, "ranks of '" + name + "' are born by exec: " + why}});
  });
}

// Nothing is born later in a job, and a process with the program's name would only stand about. But
// who has spawned once may do it again, and so may the user of a DVM that stays.
void Part::EndTemplates() {
  for (const TemplateStore::Shared& made : std::exchange(app_templates_, {})) {
    if (made != nullptr && !launch_.keep_templates) services_.templates.End(made);
  }
}

std::string Part::BirthsNote() const {
  size_t templated = 0;
  for (const RankRecord& r : ranks_.all()) templated += r.birth == Birth::kTemplate ? 1 : 0;
  const size_t all = ranks_.all().size();
  if (templated == all) return BirthName(Birth::kTemplate);
  if (templated == 0) return BirthName(Birth::kExec);
  return std::to_string(templated) + " template, " + std::to_string(all - templated) + " exec";
}

size_t Part::BatchSize(size_t first) const {
  const AppPlan& app = plan_.AppOf(ranks_[first].rank);
  const size_t per_rank = spec_.stdin_rank == kStdinAll ? 3 : 2;
  // One more for a single rank that gets stdin.
  const size_t room =
      std::min(kBatchRanks, (REX_BATCH_MAX_FDS - REX_BATCH_FIXED_FDS - 1) / per_rank);
  size_t count = 1;
  while (app.copies.empty() && count < room && first + count < ranks_.size() &&
         &plan_.AppOf(ranks_[first + count].rank) == &app) {
    ++count;
  }
  return count;
}

void Part::SubmitNextBatch() {
  if (state_ != PartState::kForking || next_birth_ >= ranks_.size()) return;
  const size_t first = next_birth_;
  const size_t count = BatchSize(first);
  auto batch = MakeBatch(first, count);
  if (!batch) {
    Failure failure;
    failure.kind = FailureKind::kNoResources;
    failure.rank = ranks_[first].rank;
    failure.detail = "could not open the standard descriptors of a rank: " + batch.error().text;
    failure.remedy = "raise the hard limit of open files (`ulimit -Hn`); a rank takes two or three";
    return Fail(std::move(failure));
  }
  next_birth_ += count;
  unanswered_.insert(first);
  ++batches_unborn_;
  BatchEvents events = EventsOf(first, count);
  const auto app = static_cast<size_t>(&plan_.AppOf(ranks_[first].rank) - plan_.apps.data());
  if (app < app_templates_.size() && app_templates_[app] != nullptr) {
    app_templates_[app]->Submit(std::move(*batch), std::move(events), TellExec(app));
  } else {
    services_.maker.Submit(std::move(*batch), std::move(events));
  }
  if (unanswered_.size() < kBatchesAhead) SubmitNextBatch();
}

// A maker that hangs may answer when the part has given up.
BatchEvents Part::EventsOf(size_t first, size_t count) {
  BatchEvents events;
  events.on_pids =
      WhileAlive([this, first, count](const std::vector<pid_t>& pids, int error, Birth birth) {
        OnPids(first, count, pids, error, birth);
      });
  events.on_failure = WhileAlive([this, first](const BirthFailure& failure) {
    OnBirthFailure(first + failure.index, failure);
  });
  events.on_born = WhileAlive([this] { OnBatchBorn(); });
  events.on_lost = WhileAlive([this, first](const Error& error) { OnBatchLost(first, error); });
  return events;
}

void Part::OnBatchLost(size_t first, const Error& error) {
  unanswered_.erase(first);
  Fail(InternalFailure("the process that makes ranks (rexd-spawner) failed: " + error.text,
                       "run the job again; if it happens again, run with REX_LOG=debug"));
  CheckReaped();
}

bool Part::GetsStdin(Rank rank) const {
  return spec_.stdin_rank == kStdinAll || spec_.stdin_rank == static_cast<int32_t>(rank);
}

// While the host registers the job the agent has little to do: terminals, which take 30 us each,
// are opened ahead, a few a turn. What can't be opened now is tried again, and told, at the birth.
void Part::OpenStdioAhead() {
  constexpr size_t kPerTurn = 16;
  if (state_ >= PartState::kForking) return;
  for (size_t n = 0; n < kPerTurn && stdio_.size() < RoomAhead(); ++n) {
    RankStdio io;
    const bool gets_stdin = GetsStdin(ranks_[stdio_.size()].rank);
    if (!OpenRankStdio(!spec_.stdout_pipe, gets_stdin, &io)) return;
    stdio_.push_back(std::move(io));
  }
  if (stdio_.size() == RoomAhead()) return;
  services_.loop.Post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) OpenStdioAhead();
  });
}

// For how many ranks: the ranks' ends take descriptors too, which planning has not counted.
size_t Part::RoomAhead() const {
  constexpr uint64_t kEndsOfRank = 3;
  const uint64_t spare = node_.open_files - DescriptorsFor(spec_, ranks_.size() + node_.busy_ranks);
  return std::min<size_t>(ranks_.size(), spare / kEndsOfRank);
}

Status Part::TakeStdio(size_t local, RankStdio* io) {
  if (!stdio_.empty()) {
    *io = std::move(stdio_.front());
    stdio_.pop_front();
    return Ok{};
  }
  return OpenRankStdio(!spec_.stdout_pipe, GetsStdin(ranks_[local].rank), io);
}

// The only rank that its template has to make here, for good.
bool Part::IsTemplatesLast(size_t local) const {
  const AppPlan& app = plan_.AppOf(ranks_[local].rank);
  const auto index = static_cast<size_t>(&app - plan_.apps.data());
  if (launch_.keep_templates || index >= app_templates_.size()) return false;
  const TemplateStore::Shared& made = app_templates_[index];
  const auto of_app = [&](const RankRecord& r) { return &plan_.AppOf(r.rank) == &app; };
  return made != nullptr && std::count(app_templates_.begin(), app_templates_.end(), made) == 1 &&
         std::count_if(ranks_.all().begin(), ranks_.all().end(), of_app) == 1;
}

Result<BirthBatch> Part::MakeBatch(size_t first, size_t count) {
  const AppPlan& app = plan_.AppOf(ranks_[first].rank);
  BirthBatch batch;
  batch.owner = services_.job;
  batch.path = app.path;
  batch.argv = app.argv;
  batch.wdir = app.wdir;
  batch.library_path = app.library_path;
  batch.become = IsTemplatesLast(first);
  if (!app.copies.empty()) {
    batch.path = Below(app.copies[first], app.own_dir, app.path);
    batch.library_path = Below(app.copies[first], app.own_dir, app.library_path);
    for (std::string& word : batch.argv) word = Below(app.copies[first], app.own_dir, word);
  }
  batch.common_env = MergeEnvironments({&app.env, &registered_.common_env});
  for (std::string& entry : batch.common_env) {
    if (!app.copies.empty() && entry.starts_with("OPAL_PREFIX=")) {
      entry = Below(app.copies[first], app.own_dir, entry);
    }
  }
  batch.umask = spec_.umask;
  batch.open_files = spec_.open_files;
  batch.open_files_hard = spec_.open_files_hard;
  if (plan_.oversubscribed) batch.timer_slack = spec_.timer_slack;
  for (size_t local = first; local < first + count; ++local) {
    const Rank rank = ranks_[local].rank;
    const bool gets_stdin = GetsStdin(rank);
    RankStdio io;
    if (const Status taken = TakeStdio(local, &io); !taken) return taken.error();
    output_.Add(rank, OutputStream::kStdout, std::move(io.stdout_read), gets_stdin);
    output_.Add(rank, OutputStream::kStderr, std::move(io.stderr_read), gets_stdin);
    if (gets_stdin) stdin_.AddTarget(std::move(io.stdin_write));
    BirthBatch::Rank birth;
    if (local < registered_.ranks.size()) birth.env = registered_.ranks[local].env;
    if (!plan_.gpu_env.empty()) {
      birth.env.insert(birth.env.end(), plan_.gpu_env[local].begin(), plan_.gpu_env[local].end());
    }
    if (!plan_.bindings.empty()) birth.cpuset = plan_.bindings[local];
    if (!plan_.memory.empty()) birth.mem_nodes = plan_.memory[local];
    birth.stdin_fd = std::move(io.stdin_fd);
    birth.stdout_fd = std::move(io.stdout_fd);
    birth.stderr_fd = std::move(io.stderr_fd);
    batch.ranks.push_back(std::move(birth));
  }
  return batch;
}

void Part::OnPids(size_t first, size_t asked, const std::vector<pid_t>& pids, int error,
                  Birth birth) {
  unanswered_.erase(first);
  TakeBorn(first, {pids.begin(), pids.begin() + std::min(pids.size(), asked)}, birth);
  if (pids.size() < asked) {
    FailBirth(first + pids.size(), error);
    return CheckReaped();
  }
  if (state_ != PartState::kForking) {  // stopped meanwhile: they must not get past the gate
    for (const pid_t pid : pids) services_.children.Kill(pid, SIGKILL);
  } else if (gates_open_) {
    ReleaseAll();
  }
  SubmitNextBatch();
  if (unanswered_.empty() && next_birth_ >= ranks_.size()) Take(PartStep::kAllBorn);
  CheckRunning();
}

// The head knows a rank before anything that it does.
void Part::TakeBorn(size_t first, const std::vector<pid_t>& pids, Birth birth) {
  PartBorn born;
  born.first = static_cast<uint32_t>(first);
  for (size_t i = 0; i < pids.size(); ++i) {
    const size_t local = first + i;
    ranks_.Born(local, pids[i], birth);
    born.pids.push_back(pids[i]);
    born.templated.push_back(birth == Birth::kTemplate);
    // One that could not be killed may outlive the part.
    services_.children.Adopt(
        pids[i], WhileAlive([this, local](const ExitStatus& end) { OnRankEnd(local, end); }));
  }
  if (!born.pids.empty()) services_.tell(std::move(born));
}

void Part::FailBirth(size_t local, int error) {
  Failure failure;
  failure.kind = FailureKind::kNoResources;
  failure.rank = ranks_[local].rank;
  failure.detail = "could not make the process of rank " + std::to_string(failure.rank) + ": " +
                   std::strerror(error);
  failure.remedy =
      "use fewer ranks, or raise the limit of processes (`ulimit -u`, the cgroup's pids.max, "
      "/proc/sys/kernel/pid_max)";
  Fail(std::move(failure));
}

void Part::ReleaseAll() {
  services_.maker.Release(services_.job);
  for (const TemplateStore::Shared& made : app_templates_) {
    if (made != nullptr) made->Release(services_.job);
  }
}

void Part::OnBirthFailure(size_t local, const BirthFailure& birth) {
  RankRecord& record = ranks_[local];
  const AppPlan& app = plan_.AppOf(record.rank);
  Failure failure;
  failure.rank = record.rank;
  failure.pid = record.pid;
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
  record.signalled = true;  // its exit code 127 is ours, not the program's
  Fail(std::move(failure));
}

void Part::OnBatchBorn() {
  --batches_unborn_;
  CheckRunning();
}

// The last batch may be on its way before the part has heard that it was made.
void Part::CheckRunning() {
  if (batches_unborn_ > 0 || next_birth_ < ranks_.size() || state_ != PartState::kBorn) return;
  stdin_.Start();
  Take(PartStep::kAllRunning);
}

}  // namespace rex
