// A group is ranks that are equal but for environment and streams; it is made in batches, one with
// a maker at a time. States: birth_state.h.
#include "launcher/openmpi/births.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <list>
#include <utility>

#include "launcher/openmpi/birth_state.h"
#include "launcher/openmpi/maker.h"
#include "launcher/openmpi/poller.h"
#include "launcher/template/maker_channel.h"

namespace rex::openmpi {

namespace {
constexpr std::chrono::seconds kTemplateBound{10};  // to its greeting, and to an answer
constexpr std::chrono::seconds kSpawnerBound{60};
constexpr std::chrono::seconds kBirthBound{10};

Time Now() { return std::chrono::steady_clock::now(); }

std::vector<std::string> Strings(char* const* list) {
  std::vector<std::string> out;
  for (; list != nullptr && *list != nullptr; ++list) out.emplace_back(*list);
  return out;
}

std::string Text(const char* text) { return text == nullptr ? "" : text; }

// What ranks of one group have in common.
struct Kind {
  std::string path;
  std::vector<std::string> argv;
  std::string wdir;
  std::string library_path;
  std::string image_dir;

  bool operator==(const Kind&) const = default;
};

struct NewRank {
  void* handle = nullptr;
  std::vector<std::string> env;
  std::vector<uint64_t> mem_nodes;
  UniqueFd fds[3];
};

struct Batch {
  BirthBatch order;          // descriptors until its pids were told
  std::vector<void*> ranks;  // handles, in the order's order
  std::vector<bool> ended;   // on_end told a failure
  SentBatch sent;
  BatchState state = BatchState::kWaiting;
  bool by_template = false;
  Time deadline;
  Time begin;
};
using BatchPtr = std::shared_ptr<Batch>;

struct Group {
  Kind kind;
  std::vector<NewRank> ranks;      // until the flush
  std::shared_ptr<Template> tmpl;  // none: exec
  bool expected = false;           // a template was tried: once is enough
  std::unique_ptr<Maker> spawner;
  std::deque<BatchPtr> queue;
  BatchPtr current;  // waiting, sent or returning
  bool flushed = false;
};
using GroupPtr = std::shared_ptr<Group>;

// Entries that all ranks have in the same place are the batch's; the rest is each rank's own.
void DivideEnvironment(std::vector<NewRank>* ranks, BirthBatch* batch) {
  const std::vector<std::string>& first = ranks->front().env;
  std::vector<bool> common(first.size());
  for (size_t i = 0; i < first.size(); ++i) {
    common[i] = std::all_of(ranks->begin(), ranks->end(), [&](const NewRank& rank) {
      return i < rank.env.size() && rank.env[i] == first[i];
    });
  }
  for (size_t i = 0; i < first.size(); ++i) {
    if (common[i]) batch->common_env.push_back(first[i]);
  }
  for (size_t r = 0; r < ranks->size(); ++r) {
    std::vector<std::string>& env = (*ranks)[r].env;
    for (size_t i = 0; i < env.size(); ++i) {
      if (i >= common.size() || !common[i]) batch->ranks[r].env.push_back(std::move(env[i]));
    }
  }
}

// The rest is orted's own, which a fork would have inherited.
void TakeOwnLimits(BirthBatch* batch) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  batch->open_files = files.rlim_cur;
  batch->open_files_hard = files.rlim_max;
  const mode_t mask = ::umask(0);
  ::umask(mask);
  batch->umask = mask;
}

BatchPtr MakeBatch(const Kind& kind, std::vector<NewRank> ranks) {
  auto batch = std::make_shared<Batch>();
  BirthBatch& order = batch->order;
  order.path = kind.path;
  order.argv = kind.argv;
  order.wdir = kind.wdir;
  order.outlives = true;
  order.failed_exit = 1;  // as ORTE's own
  TakeOwnLimits(&order);
  for (NewRank& rank : ranks) {
    batch->ranks.push_back(rank.handle);
    BirthBatch::Rank& out = order.ranks.emplace_back();
    out.mem_nodes = std::move(rank.mem_nodes);
    out.stdin_fd = std::move(rank.fds[0]);
    out.stdout_fd = std::move(rank.fds[1]);
    out.stderr_fd = std::move(rank.fds[2]);
  }
  DivideEnvironment(&ranks, &order);
  batch->ended.resize(batch->ranks.size());
  return batch;
}

// How many of `ranks` from `begin` on fit in one datagram, as BirthBatch::Fits.
size_t FitsInBatch(const std::vector<NewRank>& ranks, size_t begin) {
  size_t fds = REX_BATCH_FIXED_FDS;
  size_t count = 0;
  for (size_t i = begin; i < ranks.size() && count < REX_BATCH_MAX_RANKS; ++i, ++count) {
    for (const UniqueFd& fd : ranks[i].fds) fds += fd ? 1 : 0;
    if (fds > REX_BATCH_MAX_FDS) break;
  }
  return count;
}

rex_birth_failure FailureOf(rex_birth_phase phase) {
  switch (phase) {
    case REX_PHASE_WDIR:
      return REX_BIRTH_NO_DIRECTORY;
    case REX_PHASE_EXEC:
      return REX_BIRTH_NO_EXEC;
    case REX_PHASE_SETUP:
    case REX_PHASE_AFFINITY:
      break;
  }
  return REX_BIRTH_NO_SETUP;
}

// A rank that was ended by somebody at the gate and already reaped, its pid unknown to the reaper.
bool IsGone(pid_t pid) { return ::kill(pid, 0) != 0 && errno == ESRCH; }
}  // namespace

class Births {
 public:
  Births(Poller poller, const rex_births_host& host, const rex_births_files& files)
      : poller_(std::move(poller)),
        host_(host),
        library_(files.template_library == nullptr ? "" : files.template_library),
        spawner_(files.spawner) {}

  int fd() const { return poller_.fd(); }
  void Expect(const rex_birth_order& order);
  void Add(const rex_birth_order& order);
  void Flush();
  void Run();
  bool busy() const { return !groups_.empty() || !late_.empty(); }

 private:
  Group& GroupOf(const rex_birth_order& order);
  void Pump(const GroupPtr& group);
  void SendToTemplate(const GroupPtr& group);
  void SendToSpawner(const GroupPtr& group);
  void OnTemplate(const GroupPtr& group);
  void OnSpawner(const GroupPtr& group);
  void OnReturned(const GroupPtr& group);
  void TakeAnswer(const GroupPtr& group, Maker* spawner);
  void DropTemplate(const GroupPtr& group, const std::string& why);
  void LoseSpawner(const GroupPtr& group, const Error& error);
  void Tell(const GroupPtr& group, const BatchAnswer& answer);
  std::vector<bool> RecordPids(Batch* batch, const std::vector<pid_t>& pids);
  void Release(const BatchPtr& batch, const std::vector<bool>& held);
  bool AwaitBirths(Batch* batch);
  bool TakeReports(Batch* batch);
  void OnLate(const BatchPtr& batch);
  void EndRank(Batch* batch, size_t index, rex_birth_failure failure, int error,
               const std::string& text);
  void FailAll(Batch* batch, int error, const std::string& text);
  void LetGo(Batch* batch);
  void Move(Batch* batch, BatchEvent event);
  void Done(const GroupPtr& group);
  void OnDeadlines();
  void SetAlarm();
  void Note(const std::string& line) const;

  Poller poller_;
  const rex_births_host host_;
  const std::string library_;
  const std::string spawner_;
  std::list<GroupPtr> groups_;
  std::list<BatchPtr> late_;
};

void Births::Note(const std::string& line) const {
  if (host_.on_note != nullptr) host_.on_note(host_.self, line.c_str());
}

void Births::Move(Batch* batch, BatchEvent event) {
  const auto next = Next(batch->state, event);
  REX_CHECK(next.has_value());
  batch->state = *next;
}

// The newest group of this kind that is not flushed yet, or a new one.
Group& Births::GroupOf(const rex_birth_order& order) {
  Kind kind{order.path, Strings(order.argv), order.wdir, Text(order.library_path),
            Text(order.image_dir)};
  for (const GroupPtr& group : groups_) {
    if (!group->flushed && group->kind == kind) return *group;
  }
  groups_.push_back(std::make_shared<Group>());
  groups_.back()->kind = std::move(kind);
  return *groups_.back();
}

void Births::Expect(const rex_birth_order& order) {
  Group& group = GroupOf(order);
  if (library_.empty() || std::exchange(group.expected, true)) return;
  TemplateOrder wanted;
  wanted.path = group.kind.path;
  wanted.argv = group.kind.argv;
  wanted.wdir = group.kind.wdir;
  wanted.env = Strings(order.env);
  wanted.own_dir = group.kind.image_dir;
  wanted.library_path = group.kind.library_path;
  wanted.library = library_;
  auto started = Template::Start(std::move(wanted));
  if (started) {
    group.tmpl = std::move(*started);
    Note("template of " + group.kind.path + " is pid " + std::to_string(group.tmpl->pid()));
  } else {
    Note("no template of " + group.kind.path + ": " + started.error().text);
  }
}

void Births::Add(const rex_birth_order& order) {
  NewRank rank;
  rank.handle = order.rank;
  rank.env = Strings(order.env);
  rank.mem_nodes.assign(order.mem_nodes, order.mem_nodes + order.mem_words);
  rank.fds[0].Reset(order.stdin_fd);
  rank.fds[1].Reset(order.stdout_fd);
  rank.fds[2].Reset(order.stderr_fd);
  GroupOf(order).ranks.push_back(std::move(rank));
}

void Births::Flush() {
  const std::list<GroupPtr> groups = groups_;
  for (const GroupPtr& group : groups) {
    if (group->flushed) continue;
    group->flushed = true;
    // A template for one rank is one exec more than none.
    if (group->ranks.size() < 2) group->tmpl.reset();
    size_t begin = 0;
    while (begin < group->ranks.size()) {
      const size_t count = FitsInBatch(group->ranks, begin);
      const auto from = group->ranks.begin() + static_cast<ptrdiff_t>(begin);
      std::vector<NewRank> part(std::make_move_iterator(from),
                                std::make_move_iterator(from + static_cast<ptrdiff_t>(count)));
      group->queue.push_back(MakeBatch(group->kind, std::move(part)));
      begin += count;
    }
    group->ranks.clear();
    Pump(group);
  }
  SetAlarm();
}

// The next batch of the group, if none is under way.
void Births::Pump(const GroupPtr& group) {
  while (group->current == nullptr) {
    if (group->queue.empty()) return Done(group);
    group->current = group->queue.front();
    group->queue.pop_front();
    group->current->begin = Now();
    group->current->deadline = Now() + kTemplateBound;
    if (group->tmpl == nullptr) {
      SendToSpawner(group);
    } else if (group->tmpl->fit()) {
      SendToTemplate(group);
    } else if (!poller_.Watch(group->tmpl->socket(), [this, group] { OnTemplate(group); })) {
      DropTemplate(group, "it can't be watched");
    }
    if (group->current != nullptr) return;
  }
}

void Births::Done(const GroupPtr& group) {
  if (group->tmpl != nullptr) poller_.Forget(group->tmpl->socket());
  if (group->spawner != nullptr) poller_.Forget(group->spawner->socket());
  groups_.remove(group);  // ends its makers
}

void Births::OnTemplate(const GroupPtr& group) {
  if (group->tmpl->fit()) {
    if (group->current != nullptr) TakeAnswer(group, nullptr);
    return;
  }
  const auto greeting = group->tmpl->Greeting();
  if (!greeting) return DropTemplate(group, greeting.error().text);
  if (*greeting) SendToTemplate(group);
}

void Births::SendToTemplate(const GroupPtr& group) {
  Batch& batch = *group->current;
  if (const Status usable = group->tmpl->Check(batch.order); !usable) {
    return DropTemplate(group, usable.error().text);
  }
  auto sent = SendBatch(group->tmpl->socket(), batch.order);
  if (!sent) return DropTemplate(group, sent.error().text);
  batch.sent = std::move(*sent);
  batch.by_template = true;
  batch.deadline = Now() + kTemplateBound;
  Move(&batch, BatchEvent::kToTemplate);
}

// From here on the spawner makes the group. A batch that was with the template first loses
// whatever is half-made: the closed gate sends it away.
void Births::DropTemplate(const GroupPtr& group, const std::string& why) {
  Note("template of " + group->kind.path + " is given up: " + why);
  poller_.Forget(group->tmpl->socket());
  group->tmpl.reset();
  const BatchPtr batch = group->current;
  if (batch == nullptr) return;
  if (batch->state == BatchState::kWaiting) return SendToSpawner(group);
  Move(batch.get(), BatchEvent::kMakerLost);
  batch->sent.gate.Reset();
  batch->sent.gate_read.Reset();
  batch->deadline = Now() + kTemplateBound;
  const bool watched =
      poller_.Watch(batch->sent.report.get(), [this, group] { OnReturned(group); });
  if (!watched) SendToSpawner(group);
}

// What half-made ranks have to report counts for nothing: they are made again.
void Births::OnReturned(const GroupPtr& group) {
  const auto reports = ReadReports(group->current->sent.report.get(), group->current->ranks.size());
  if (reports && !reports->over) return;
  poller_.Forget(group->current->sent.report.get());
  SendToSpawner(group);
}

void Births::SendToSpawner(const GroupPtr& group) {
  Batch& batch = *group->current;
  if (group->spawner == nullptr) {
    auto started = StartSpawner(spawner_);
    if (!started) return LoseSpawner(group, started.error());
    group->spawner = std::make_unique<Maker>(std::move(*started));
    const bool watched =
        poller_.Watch(group->spawner->socket(), [this, group] { OnSpawner(group); });
    if (!watched) return LoseSpawner(group, {Errc::kResource, "the spawner can't be watched"});
  }
  const std::string& library_path = group->kind.library_path;
  if (!library_path.empty()) {
    batch.order.common_env = ExecEnvironment(
        batch.order.common_env, RestoringPreload(group->kind.path, library_), library_path);
  }
  auto sent = SendBatch(group->spawner->socket(), batch.order);
  if (!sent) return LoseSpawner(group, sent.error());
  batch.sent = std::move(*sent);
  batch.by_template = false;
  batch.deadline = Now() + kSpawnerBound;
  Move(&batch, BatchEvent::kToSpawner);
}

void Births::OnSpawner(const GroupPtr& group) {
  if (group->current != nullptr) return TakeAnswer(group, group->spawner.get());
  poller_.Forget(
      group->spawner->socket());  // it ended with nothing to do: the next batch gets another
  group->spawner.reset();
}

void Births::TakeAnswer(const GroupPtr& group, Maker* spawner) {
  const int socket = spawner != nullptr ? spawner->socket() : group->tmpl->socket();
  const auto answer = ReadAnswer(socket, group->current->ranks.size());
  if (answer && !*answer) return;
  if (answer && !(*answer)->unfit) return Tell(group, **answer);
  const Error error =
      answer ? Error{Errc::kInvalid, "it has no room for the ranks' environment"} : answer.error();
  if (spawner == nullptr) return DropTemplate(group, error.text);
  LoseSpawner(group, {error.code, "the spawner: " + error.text});
}

void Births::LoseSpawner(const GroupPtr& group, const Error& error) {
  const BatchPtr batch = group->current;
  if (group->spawner != nullptr) poller_.Forget(group->spawner->socket());
  group->spawner.reset();
  group->current.reset();
  Move(batch.get(), BatchEvent::kNoMaker);
  batch->sent = SentBatch{};
  FailAll(batch.get(), error.sys_errno, error.text);
}

void Births::LetGo(Batch* batch) {
  for (void* rank : batch->ranks) host_.on_gone(host_.self, rank);
  batch->ranks.clear();
}

void Births::FailAll(Batch* batch, int error, const std::string& text) {
  for (size_t i = 0; i < batch->ranks.size(); ++i) {
    EndRank(batch, i, REX_BIRTH_NO_PROCESS, error, text);
  }
  LetGo(batch);
}

void Births::EndRank(Batch* batch, size_t index, rex_birth_failure failure, int error,
                     const std::string& text) {
  if (batch->ended[index]) return;
  batch->ended[index] = failure != REX_BIRTH_OK;
  host_.on_end(host_.self, batch->ranks[index], failure, error, text.c_str());
}

// The maker's answer: pids to the host, then the gate. Goes on with the group's next batch.
void Births::Tell(const GroupPtr& group, const BatchAnswer& answer) {
  const BatchPtr batch = group->current;
  group->current.reset();
  Move(batch.get(), BatchEvent::kTold);
  if (answer.pids.size() < batch->ranks.size()) {
    batch->sent = SentBatch{};  // those that were made leave
    batch->state = BatchState::kFailed;
    FailAll(batch.get(), answer.error, "");
  } else {
    Release(batch, RecordPids(batch.get(), answer.pids));
  }
  Pump(group);
}

// Which of the ranks may go on; of the others the host has been told.
std::vector<bool> Births::RecordPids(Batch* batch, const std::vector<pid_t>& pids) {
  std::vector<bool> held(pids.size(), true);
  for (size_t i = 0; i < pids.size(); ++i) {
    const int stderr_fd = batch->order.ranks[i].stderr_fd.get();
    if (host_.on_pid(host_.self, batch->ranks[i], pids[i], stderr_fd) != 0) {
      ::kill(pids[i], SIGKILL);  // our child, and nobody reaps while we are here
      EndRank(batch, i, REX_BIRTH_REFUSED, 0, "");
      held[i] = false;
    } else if (IsGone(pids[i])) {
      EndRank(batch, i, REX_BIRTH_NO_PROCESS, 0, "it was ended before it could start");
      held[i] = false;
    }
  }
  return held;
}

void Births::Release(const BatchPtr& batch, const std::vector<bool>& held) {
  batch->order = BirthBatch();  // closes its descriptors: ends of output depend on it
  OpenGate(&batch->sent, batch->ranks.size());
  const bool over = AwaitBirths(batch.get());
  Move(batch.get(), over ? BatchEvent::kOver : BatchEvent::kSlow);
  size_t running = 0;
  for (size_t i = 0; i < held.size(); ++i) {
    if (!held[i] || batch->ended[i]) continue;
    EndRank(batch.get(), i, REX_BIRTH_OK, 0, "");
    ++running;
  }
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Now() - batch->begin);
  Note(std::to_string(running) + " ranks by " + (batch->by_template ? "template" : "exec") +
       " in " + std::to_string(took.count()) + " us");
  const bool watched =
      !over && poller_.Watch(batch->sent.report.get(), [this, batch] { OnLate(batch); });
  if (watched) {
    late_.push_back(batch);
  } else {
    LetGo(batch.get());
  }
}

// Waits, without the host's loop. False: some have still not reached their program.
bool Births::AwaitBirths(Batch* batch) {
  const Time deadline = Now() + kBirthBound;
  for (;;) {
    if (TakeReports(batch)) return true;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Now()).count();
    if (left <= 0) return false;
    pollfd reports{batch->sent.report.get(), POLLIN, 0};
    ::poll(&reports, 1, static_cast<int>(left));
  }
}

// True when there will be no more.
bool Births::TakeReports(Batch* batch) {
  const auto reports = ReadReports(batch->sent.report.get(), batch->ranks.size());
  if (!reports) {
    Note(reports.error().text);
    return true;
  }
  for (const BirthFailure& failure : reports->failures) {
    EndRank(batch, failure.index, FailureOf(failure.phase), failure.error, "");
  }
  return reports->over;
}

void Births::OnLate(const BatchPtr& batch) {
  if (!TakeReports(batch.get())) return;
  Move(batch.get(), BatchEvent::kOver);
  poller_.Forget(batch->sent.report.get());
  LetGo(batch.get());
  const BatchPtr keep = batch;  // `batch` may be the watcher's own
  late_.remove(keep);
}

void Births::OnDeadlines() {
  const std::list<GroupPtr> groups = groups_;
  for (const GroupPtr& group : groups) {
    const BatchPtr batch = group->current;
    if (batch == nullptr || Now() < batch->deadline) continue;
    if (batch->state == BatchState::kReturning) {
      poller_.Forget(batch->sent.report.get());
      SendToSpawner(group);
    } else if (group->tmpl != nullptr) {
      DropTemplate(group, "it took too long");
    } else {
      LoseSpawner(group, {Errc::kTimeout, "the spawner took too long"});
    }
    Pump(group);
  }
}

void Births::SetAlarm() {
  std::optional<Time> first;
  for (const GroupPtr& group : groups_) {
    if (group->current == nullptr) continue;
    if (!first || group->current->deadline < *first) first = group->current->deadline;
  }
  poller_.SetAlarm(first);
}

void Births::Run() {
  poller_.Run();
  OnDeadlines();
  // A lost spawner leaves its group without a current batch and perhaps with a queue.
  const std::list<GroupPtr> groups = groups_;
  for (const GroupPtr& group : groups) {
    if (group->flushed) Pump(group);
  }
  SetAlarm();
}

}  // namespace rex::openmpi

struct rex_births {
  rex::openmpi::Births births;
};

extern "C" {
struct rex_births* rex_births_new(const struct rex_births_host* host,
                                  const struct rex_births_files* files) {
  auto poller = rex::openmpi::Poller::Make();
  if (!poller) return nullptr;
  return new rex_births{rex::openmpi::Births(std::move(*poller), *host, *files)};
}
void rex_births_free(struct rex_births* births) { delete births; }
int rex_births_fd(const struct rex_births* births) { return births->births.fd(); }
void rex_births_run(struct rex_births* births) { births->births.Run(); }
void rex_births_expect(struct rex_births* births, const struct rex_birth_order* order) {
  births->births.Expect(*order);
}
void rex_births_add(struct rex_births* births, const struct rex_birth_order* order) {
  births->births.Add(*order);
}
void rex_births_flush(struct rex_births* births) { births->births.Flush(); }
int rex_births_busy(const struct rex_births* births) { return births->births.busy() ? 1 : 0; }
int rex_births_usable(const char* path) {
  struct stat st {};
  return ::stat(path, &st) == 0 && S_ISREG(st.st_mode) && ::access(path, R_OK | X_OK) == 0 ? 1 : 0;
}
}
