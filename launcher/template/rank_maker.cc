// Life of a batch: queued -> with the maker (sent_) -> held at its gate -> released -> born.
// The last two live in told_. A batch leaves wherever it is by Lose() when its bound runs out;
// when the maker ends, only those that are with it are lost: the others' ranks are our own
// children and their gates are ours. What a template loses before its pids were told is given back:
// at once when it was never sent, else (returning_) when the end of its report pipe has proved that
// no half-made rank is left at the closed gate.
#include "launcher/template/rank_maker.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <list>
#include <optional>

#include "launcher/base/programs.h"
#include "launcher/template/maker_channel.h"
#include "launcher/template/template_process.h"

namespace rex {

namespace {
constexpr char kSpawner[] = "rexd-spawner";

// A timer that fires this much too late says that we were stopped ourselves, not that others hang.
constexpr std::chrono::seconds kOwnDelay{1};
// A template finds its next batch at its socket when it has made one; it idled for 5 ms of 40 when
// 256 ranks were born one batch at a time. What a spawner has not read is lost with it, so it gets
// no more than it is making.
constexpr size_t kMostWithTemplate = 2;
constexpr size_t kMostWithSpawner = 1;

size_t DescriptorsOf(const BirthBatch::Rank& rank) {
  return size_t{static_cast<bool>(rank.stdin_fd)} + size_t{static_cast<bool>(rank.stdout_fd)} +
         size_t{static_cast<bool>(rank.stderr_fd)};
}

std::string Describe(const ExitStatus& status) {
  if (status.signal != 0) return "signal " + std::to_string(status.signal);
  return "exit code " + std::to_string(status.code);
}

Result<MakerProcess> StartSpawnerProcess() {
  auto program = FindLibexecProgram(kSpawner);
  if (!program) return program.error();
  auto pair = MakeSeqpacketPair();
  if (!pair) return pair.error();
  const int theirs = pair->second.get();
  const auto pid = SpawnProgram({*program, "--agent-fd=" + std::to_string(theirs)}, {theirs});
  if (!pid) return pid.error();
  return MakerProcess{*pid, std::move(pair->first)};
}
}  // namespace

size_t BirthBatch::Fits(const std::vector<Rank>& ranks, size_t begin) {
  size_t fds = REX_BATCH_FIXED_FDS;
  size_t count = 0;
  for (size_t i = begin; i < ranks.size() && count < REX_BATCH_MAX_RANKS; ++i, ++count) {
    fds += DescriptorsOf(ranks[i]);
    if (fds > REX_BATCH_MAX_FDS) break;
  }
  return count;
}

class RankMaker::Impl {
 public:
  Impl(EventLoop& loop, ChildTable& children, MakerProgram program, std::chrono::milliseconds bound)
      : loop_(loop), children_(children), program_(std::move(program)), bound_(bound) {}
  ~Impl();

  Status Start();
  void StartAhead();
  void Submit(BirthBatch order, BatchEvents events);
  void Release(uint64_t owner);
  pid_t pid() const { return pid_; }
  bool alive() const { return pid_ != 0 && !ending_; }

 private:
  struct Batch {
    BirthBatch order;  // its descriptors until it is sent; a template's: until its pids are told
    BatchEvents events;
    size_t count = 0;
    uint64_t owner = 0;
    bool told = false;      // on_pids was called
    bool released = false;  // or never will be: fewer than asked
    bool resent = false;
    Error why_returned;
    bool over = false;  // forgotten: no more events
    SentBatch sent;
    std::unique_ptr<ReadWatcher> reports;
    Clock::Time deadline{0};
    std::unique_ptr<Timer> timer;
  };
  using BatchPtr = std::shared_ptr<Batch>;

  // True as long as this is there: a callback may have destroyed it.
  std::weak_ptr<bool> Guard() const { return alive_; }

  void Pump();
  bool SendNext();
  Status Prepare();
  void ReturnQueue();
  Status Send(Batch& batch);
  void SetBound(const BatchPtr& batch);
  void OnBound(const BatchPtr& batch);
  void OnAnswer();
  void OnGreeting();
  void OnBadAnswer(const Error& error);
  void TakeAnswer(const BatchAnswer& answer);
  void Tell(const BatchPtr& batch, std::vector<pid_t> pids, int error);
  void OnReports(const BatchPtr& batch);
  void OnMakerEnd(pid_t pid, const ExitStatus& status);
  void EndMaker(Error why);
  void ExpectBirths(bool expected);
  void Forget(const BatchPtr& batch);
  void Lose(const BatchPtr& batch, Error error);
  void GiveBack(const BatchPtr& batch, const Error& error);
  void OnReturning(const BatchPtr& batch);
  void Return(const BatchPtr& batch);
  void LetGo();
  void LoseSent(const Error& error);
  bool IsSent(const BatchPtr& batch) const;
  void EraseSent(const BatchPtr& batch);
  bool AwaitsAnswer() const { return !sent_.empty() || (program_.is_template && !greeted_); }
  size_t most_sent() const { return program_.is_template ? kMostWithTemplate : kMostWithSpawner; }
  std::string The() const { return "the " + program_.name; }

  EventLoop& loop_;
  ChildTable& children_;
  const MakerProgram program_;
  const std::chrono::milliseconds bound_;
  pid_t pid_ = 0;
  bool ending_ = false;              // its socket is at its end or it was killed; not yet reaped
  bool greeted_ = false;             // templates: fit
  bool expecting_ = false;           // we told the child table to
  Error end_reason_;                 // why we ended a template
  std::optional<ExitStatus> ended_;  // its end, while we read its last words
  UniqueFd socket_;
  std::unique_ptr<ReadWatcher> answers_;
  std::deque<BatchPtr> queue_;
  std::deque<BatchPtr> sent_;  // answered in this order
  std::list<BatchPtr> told_;
  std::list<BatchPtr> returning_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

RankMaker::Impl::~Impl() {
  // End of file on the socket is enough for a sound spawner; a stopped one needs this.
  if (pid_ != 0) children_.Kill(pid_, SIGKILL);
  ExpectBirths(false);
}

Status RankMaker::Impl::Start() {
  auto process = program_.start();
  if (!process) return process.error();
  pid_ = process->pid;
  ending_ = false;
  socket_ = std::move(process->socket);
  children_.Adopt(pid_, [this, guard = Guard(), started = pid_](const ExitStatus& status) {
    if (!guard.expired()) OnMakerEnd(started, status);
  });
  answers_ = std::make_unique<ReadWatcher>(loop_, socket_.get(), [this] { OnAnswer(); });
  return Ok{};
}

// What hinders it is told when a batch comes.
void RankMaker::Impl::StartAhead() {
  if (pid_ == 0 && !program_.is_template) (void)Start();
}

void RankMaker::Impl::ExpectBirths(bool expected) {
  if (expecting_ == expected) return;
  expecting_ = expected;
  children_.ExpectBirths(expected);
}

void RankMaker::Impl::Submit(BirthBatch order, BatchEvents events) {
  REX_CHECK(!order.ranks.empty() && !order.argv.empty());
  REX_CHECK(BirthBatch::Fits(order.ranks, 0) == order.ranks.size());
  auto batch = std::make_shared<Batch>();
  batch->count = order.ranks.size();
  batch->owner = order.owner;
  batch->order = std::move(order);
  batch->events = std::move(events);
  const auto on_bound = [this, guard = Guard(), weak = std::weak_ptr<Batch>(batch)] {
    const BatchPtr still = weak.lock();
    if (still != nullptr && !guard.expired()) OnBound(still);
  };
  batch->timer = std::make_unique<Timer>(loop_, on_bound);
  SetBound(batch);
  queue_.push_back(std::move(batch));
  Pump();
}

// Sends what the maker has room for, starting a maker when there is none.
void RankMaker::Impl::Pump() {
  while (!queue_.empty() && sent_.size() < most_sent() && (pid_ == 0 || !ending_)) {
    if (program_.is_template && pid_ == 0) return ReturnQueue();
    if (program_.is_template && !greeted_) return;
    if (!SendNext()) return;
  }
}

// False: it is not for now, or never.
bool RankMaker::Impl::SendNext() {
  const BatchPtr batch = queue_.front();
  Status sent = Prepare();
  if (!sent && program_.is_template) {
    EndMaker(sent.error());
    return false;
  }
  if (sent) sent = Send(*batch);
  if (sent) {
    queue_.pop_front();
    if (!program_.is_template) batch->order = BirthBatch();  // closes its descriptors
    sent_.push_back(batch);
    ExpectBirths(true);
    return true;
  }
  if (sent.error().code == Errc::kClosed && !batch->resent) {
    batch->resent = true;  // it had died unnoticed: its end brings us back here
    EndMaker(sent.error());
    return false;
  }
  queue_.pop_front();
  loop_.Post([this, guard = Guard(), batch, error = sent.error()] {
    if (!guard.expired()) Lose(batch, error);
  });
  return false;
}

// A maker that can be sent a batch.
Status RankMaker::Impl::Prepare() {
  if (pid_ == 0) return Start();
  return program_.before_batch ? program_.before_batch(pid_) : Status(Ok{});
}

void RankMaker::Impl::ReturnQueue() {
  const auto guard = Guard();
  while (!guard.expired() && !queue_.empty()) Lose(queue_.front(), end_reason_);
}

Status RankMaker::Impl::Send(Batch& batch) {
  if (!program_.is_template && !batch.order.library_path.empty()) {
    batch.order.common_env =
        ExecEnvironment(batch.order.common_env, RestoringPreload(batch.order.path),
                        std::exchange(batch.order.library_path, ""));
  }
  auto sent = SendBatch(socket_.get(), batch.order);
  if (!sent) return sent.error();
  batch.sent = std::move(*sent);
  return Ok{};
}

void RankMaker::Impl::SetBound(const BatchPtr& batch) {
  batch->deadline = loop_.clock().Now() + bound_;
  batch->timer->Set(bound_);
}

void RankMaker::Impl::OnBound(const BatchPtr& batch) {
  if (loop_.clock().Now() > batch->deadline + kOwnDelay) {
    SetBound(batch);
    return;
  }
  const std::string limit = " within " + std::to_string(bound_.count()) + " ms";
  if (batch->told) {
    Lose(batch, Error{Errc::kTimeout, "some of " + std::to_string(batch->count) +
                                          " ranks neither reached their program nor ended" + limit +
                                          " (does its file system hang?)"});
    return;
  }
  const Error late{Errc::kTimeout,
                   The() + " did not make " + std::to_string(batch->count) + " ranks" + limit};
  if (IsSent(batch) || program_.is_template) EndMaker(late);
  Lose(batch, late);
}

void RankMaker::Impl::OnGreeting() {
  const auto fit = ReadGreeting(socket_.get());
  if (!fit) return EndMaker(fit.error());
  if (!*fit) return;
  const Status trusted = program_.on_greeting ? program_.on_greeting(pid_) : Status(Ok{});
  if (!trusted) return EndMaker(trusted.error());
  greeted_ = true;
  Pump();
}

void RankMaker::Impl::OnAnswer() {
  if (program_.is_template && !greeted_) return OnGreeting();
  auto answer = ReadAnswer(socket_.get(), sent_.empty() ? 0 : sent_.front()->count);
  if (!answer) return OnBadAnswer(answer.error());
  if (!*answer) return;
  if (sent_.empty()) return OnBadAnswer({Errc::kProtocol, "it sent nonsense"});
  TakeAnswer(**answer);
}

void RankMaker::Impl::OnBadAnswer(const Error& error) {
  const Error full{error.code, The() + error.text.substr(2)};  // "it ..."
  const bool refused = error.text == "it refused a batch as malformed";
  if (!refused) EndMaker(full);
  if (error.code == Errc::kClosed) return;
  if (refused && !sent_.empty()) return Lose(sent_.front(), full);
  LoseSent(full);
}

void RankMaker::Impl::TakeAnswer(const BatchAnswer& answer) {
  const BatchPtr batch = sent_.front();
  if (program_.is_template && batch->order.become && answer.error == 0) {
    if (answer.pids.at(0) != pid_) {
      EndMaker({Errc::kProtocol, The() + " sent nonsense"});
      return LoseSent(end_reason_);
    }
    LetGo();
  }
  if (!answer.unfit) return Tell(batch, answer.pids, answer.error);
  if (!program_.is_template) {
    return Lose(batch, Error{Errc::kProtocol, The() + " sent nonsense"});
  }
  const Error unfit{Errc::kInvalid, "it has more than one thread, or no room for an environment"};
  EndMaker(unfit);
  LoseSent(unfit);
}

// The template is a rank now.
void RankMaker::Impl::LetGo() {
  children_.GiveAway(pid_, ended_);
  pid_ = 0;
  answers_.reset();
  socket_.Reset();
  end_reason_ = {Errc::kClosed, The() + " has become a rank"};
}

void RankMaker::Impl::Tell(const BatchPtr& batch, std::vector<pid_t> pids, int error) {
  sent_.pop_front();
  batch->told = true;
  batch->order = BirthBatch();
  told_.push_back(batch);
  if (pids.size() < batch->count) {
    batch->released = true;
    batch->sent.gate.Reset();
    batch->sent.gate_read.Reset();
    SetBound(batch);
  } else {
    batch->timer->Cancel();
  }
  const auto guard = Guard();
  Pump();  // first: the maker works on the next batch while the caller takes in this one
  if (guard.expired()) return;
  batch->events.on_pids(pids, error, program_.birth);
  if (guard.expired()) return;
  if (sent_.empty()) ExpectBirths(false);  // forgets what was not adopted
  batch->reports = std::make_unique<ReadWatcher>(loop_, batch->sent.report.get(),
                                                 [this, weak = std::weak_ptr<Batch>(batch)] {
                                                   if (const BatchPtr still = weak.lock())
                                                     OnReports(still);
                                                 });
  Pump();
}

void RankMaker::Impl::Release(uint64_t owner) {
  for (const BatchPtr& batch : told_) {
    if (batch->released || batch->owner != owner) continue;
    batch->released = true;
    SetBound(batch);
    OpenGate(&batch->sent, batch->count);
  }
}

void RankMaker::Impl::OnReports(const BatchPtr& batch) {
  const auto guard = Guard();
  const auto reports = ReadReports(batch->sent.report.get(), batch->count);
  if (!reports) return Lose(batch, reports.error());
  for (const BirthFailure& failure : reports->failures) {
    batch->events.on_failure(failure);
    if (guard.expired()) return;
  }
  if (!reports->over || batch->over) return;
  Forget(batch);
  batch->events.on_born();
}

// Makes sure that it ends; OnMakerEnd follows when it has been reaped.
void RankMaker::Impl::EndMaker(Error why) {
  if (pid_ == 0 || ending_) return;
  end_reason_ = std::move(why);
  ending_ = true;
  answers_->Enable(false);
  children_.Kill(pid_, SIGKILL);
}

void RankMaker::Impl::OnMakerEnd(pid_t pid, const ExitStatus& status) {
  if (pid != pid_) return;
  const auto guard = Guard();
  // What it answered before it ended still counts. Its end of the socket may live on for a moment
  // in a rank that was just cloned: then nothing is there to read.
  ended_ = status;
  for (size_t most = most_sent() + 1; most > 0 && !ending_ && AwaitsAnswer(); --most) {
    OnAnswer();
    if (guard.expired()) return;
    if (pid != pid_) break;
  }
  ended_.reset();
  if (pid != pid_) return;
  answers_.reset();
  socket_.Reset();
  pid_ = 0;
  const std::string ended =
      The() + " (pid " + std::to_string(pid) + ") ended with " + Describe(status);
  // End of file may have come first, and says less.
  if (!ending_ || end_reason_.code == Errc::kClosed) end_reason_ = Error{Errc::kClosed, ended};
  ending_ = false;
  if (sent_.empty()) return Pump();
  LoseSent(Error{Errc::kClosed,
                 ended + " while it made " + std::to_string(sent_.front()->count) + " ranks"});
}

void RankMaker::Impl::LoseSent(const Error& error) {
  const auto guard = Guard();
  for (const BatchPtr& batch : std::deque<BatchPtr>(sent_)) {
    Lose(batch, error);
    if (guard.expired()) return;
  }
}

bool RankMaker::Impl::IsSent(const BatchPtr& batch) const {
  return std::find(sent_.begin(), sent_.end(), batch) != sent_.end();
}

void RankMaker::Impl::EraseSent(const BatchPtr& batch) {
  if (std::erase(sent_, batch) > 0 && sent_.empty()) ExpectBirths(false);
}

// Out of every list, timer and watcher; closes its gate.
void RankMaker::Impl::Forget(const BatchPtr& batch) {
  batch->over = true;
  batch->timer->Cancel();
  batch->reports.reset();
  batch->sent.gate.Reset();
  batch->sent.gate_read.Reset();
  batch->order = BirthBatch();
  EraseSent(batch);
  std::erase(queue_, batch);
  told_.remove(batch);
  returning_.remove(batch);
}

void RankMaker::Impl::Lose(const BatchPtr& batch, Error error) {
  if (batch->over) return;
  const BatchPtr keep = batch;  // `batch` may be a reference to one of our own
  const bool returning = std::find(returning_.begin(), returning_.end(), keep) != returning_.end();
  if (keep->events.on_returned && !keep->told && !returning) return GiveBack(keep, error);
  const auto guard = Guard();
  Forget(keep);
  keep->events.on_lost(error);
  if (!guard.expired()) Pump();
}

void RankMaker::Impl::GiveBack(const BatchPtr& batch, const Error& error) {
  batch->why_returned = error;
  batch->sent.gate.Reset();
  batch->sent.gate_read.Reset();
  EraseSent(batch);
  std::erase(queue_, batch);
  returning_.push_back(batch);
  const auto guard = Guard();
  if (!batch->sent.report) {
    Return(batch);
  } else {
    SetBound(batch);
    batch->reports = std::make_unique<ReadWatcher>(loop_, batch->sent.report.get(),
                                                   [this, weak = std::weak_ptr<Batch>(batch)] {
                                                     if (const BatchPtr still = weak.lock())
                                                       OnReturning(still);
                                                   });
  }
  if (!guard.expired()) Pump();
}

// What half-made ranks have to report counts for nothing: they are made again.
void RankMaker::Impl::OnReturning(const BatchPtr& batch) {
  const auto reports = ReadReports(batch->sent.report.get(), batch->count);
  if (!reports || reports->over) Return(batch);
}

void RankMaker::Impl::Return(const BatchPtr& batch) {
  const BatchPtr keep = batch;
  BirthBatch order = std::move(keep->order);
  Forget(keep);
  keep->events.on_returned(std::move(order), keep->why_returned);
}

RankMaker::RankMaker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RankMaker::~RankMaker() = default;

void RankMaker::StartAhead() { impl_->StartAhead(); }

Result<std::unique_ptr<RankMaker>> RankMaker::MakeSpawner(EventLoop& loop, ChildTable& children,
                                                          std::chrono::milliseconds bound) {
  if (const auto found = FindLibexecProgram(kSpawner); !found) return found.error();
  MakerProgram program;
  program.name = "spawner";
  program.start = StartSpawnerProcess;
  return std::unique_ptr<RankMaker>(
      new RankMaker(std::make_unique<Impl>(loop, children, std::move(program), bound)));
}

Result<std::unique_ptr<RankMaker>> RankMaker::StartMaker(EventLoop& loop, ChildTable& children,
                                                         MakerProgram program,
                                                         std::chrono::milliseconds bound) {
  auto impl = std::make_unique<Impl>(loop, children, std::move(program), bound);
  const Status started = impl->Start();
  if (!started) return started.error();
  return std::unique_ptr<RankMaker>(new RankMaker(std::move(impl)));
}

void RankMaker::Submit(BirthBatch batch, BatchEvents events) {
  impl_->Submit(std::move(batch), std::move(events));
}
void RankMaker::Release(uint64_t owner) { impl_->Release(owner); }
pid_t RankMaker::pid() const { return impl_->pid(); }
bool RankMaker::alive() const { return impl_->alive(); }

}  // namespace rex
