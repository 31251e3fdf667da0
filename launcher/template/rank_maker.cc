// Life of a batch: queued -> with the maker (current_) -> held at its gate -> released -> born.
// The last two live in told_. A batch leaves wherever it is by Lose() when its bound runs out;
// when the spawner ends, only the one that is with it is lost: the others' ranks are our own
// children and their gates are ours.
#include "launcher/template/rank_maker.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <list>

#include "launcher/base/programs.h"
#include "launcher/template/batch_blob.h"

namespace rex {

namespace {
constexpr size_t kReportsPerRead = 64;
// A timer that fires this much too late says that we were stopped ourselves, not that others hang.
constexpr std::chrono::seconds kOwnDelay{1};

size_t DescriptorsOf(const BirthBatch::Rank& rank) {
  return size_t{static_cast<bool>(rank.stdin_fd)} + size_t{static_cast<bool>(rank.stdout_fd)} +
         size_t{static_cast<bool>(rank.stderr_fd)};
}

std::string Describe(const ExitStatus& status) {
  if (status.signal != 0) return "signal " + std::to_string(status.signal);
  return "exit code " + std::to_string(status.code);
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
  Impl(EventLoop& loop, ChildTable& children, std::chrono::milliseconds bound)
      : loop_(loop), children_(children), bound_(bound) {}
  ~Impl();

  Status Start();
  void Submit(BirthBatch order, BatchEvents events);
  void Release();
  pid_t pid() const { return pid_; }
  bool alive() const { return pid_ != 0 && !ending_; }

 private:
  struct Batch {
    BirthBatch order;  // its descriptors until it is sent
    BatchEvents events;
    size_t count = 0;
    bool told = false;      // on_pids was called
    bool released = false;  // or never will be: fewer than asked
    bool resent = false;
    bool over = false;   // forgotten: no more events
    UniqueFd gate_read;  // kept to the release, so that writing can't raise SIGPIPE
    UniqueFd gate;
    UniqueFd report;
    std::unique_ptr<ReadWatcher> reports;
    Clock::Time deadline{0};
    std::unique_ptr<Timer> timer;
  };
  using BatchPtr = std::shared_ptr<Batch>;

  // True as long as this is there: a callback may have destroyed it.
  std::weak_ptr<bool> Guard() const { return alive_; }

  void Pump();
  Status Send(Batch& batch);
  Status SendDatagram(const Batch& batch, int blob, size_t blob_bytes, int report);
  void SetBound(const BatchPtr& batch);
  void OnBound(const BatchPtr& batch);
  void OnAnswer();
  void TakeAnswer(const rex_batch_answer& head, const int32_t* pids);
  void Tell(const BatchPtr& batch, std::vector<pid_t> pids, int error);
  void OnReports(const BatchPtr& batch);
  bool TakeReport(const BatchPtr& batch, const rex_birth_report& report);
  void OnMakerEnd(pid_t pid, const ExitStatus& status);
  void EndMaker();
  void Forget(const BatchPtr& batch);
  void Lose(const BatchPtr& batch, Error error);

  EventLoop& loop_;
  ChildTable& children_;
  const std::chrono::milliseconds bound_;
  pid_t pid_ = 0;
  bool ending_ = false;  // its socket is at its end or it was killed; not yet reaped
  UniqueFd socket_;
  std::unique_ptr<ReadWatcher> answers_;
  std::deque<BatchPtr> queue_;
  BatchPtr current_;
  std::list<BatchPtr> told_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

RankMaker::Impl::~Impl() {
  // End of file on the socket is enough for a sound spawner; a stopped one needs this.
  if (pid_ != 0) children_.Kill(pid_, SIGKILL);
  if (current_ != nullptr) children_.ExpectBirths(false);
}

Status RankMaker::Impl::Start() {
  auto program = FindLibexecProgram("rexd-spawner");
  if (!program) return program.error();
  auto pair = MakeSeqpacketPair();
  if (!pair) return pair.error();
  const int theirs = pair->second.get();
  const auto pid = SpawnProgram({*program, "--agent-fd=" + std::to_string(theirs)}, {theirs});
  if (!pid) return pid.error();
  pid_ = *pid;
  ending_ = false;
  socket_ = std::move(pair->first);
  children_.Adopt(pid_, [this, guard = Guard(), started = pid_](const ExitStatus& status) {
    if (!guard.expired()) OnMakerEnd(started, status);
  });
  answers_ = std::make_unique<ReadWatcher>(loop_, socket_.get(), [this] { OnAnswer(); });
  return Ok{};
}

void RankMaker::Impl::Submit(BirthBatch order, BatchEvents events) {
  REX_CHECK(!order.ranks.empty() && !order.argv.empty());
  REX_CHECK(BirthBatch::Fits(order.ranks, 0) == order.ranks.size());
  auto batch = std::make_shared<Batch>();
  batch->count = order.ranks.size();
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

// Sends the next batch unless one is with the maker, starting a maker when there is none.
void RankMaker::Impl::Pump() {
  if (current_ != nullptr || queue_.empty() || (pid_ != 0 && ending_)) return;
  const BatchPtr batch = queue_.front();
  Status sent = pid_ != 0 ? Status(Ok{}) : Start();
  if (sent) sent = Send(*batch);
  if (sent) {
    queue_.pop_front();
    batch->order = BirthBatch();  // closes its descriptors
    current_ = batch;
    children_.ExpectBirths(true);
    return;
  }
  if (sent.error().code == Errc::kClosed && !batch->resent) {
    batch->resent = true;  // it had died unnoticed: its end brings us back here
    EndMaker();
    return;
  }
  queue_.pop_front();
  loop_.Post([this, guard = Guard(), batch, error = sent.error()] {
    if (!guard.expired()) Lose(batch, error);
  });
}

Status RankMaker::Impl::Send(Batch& batch) {
  const std::string bytes = EncodeBatch(batch.order, ::getpid());
  if (bytes.size() > REX_BATCH_MAX_BLOB_BYTES) {
    return Error{Errc::kInvalid, "arguments and environment of a batch take " +
                                     std::to_string(bytes.size() >> 20) + " MiB, more than " +
                                     std::to_string(REX_BATCH_MAX_BLOB_BYTES >> 20)};
  }
  const auto blob = SealedMemory(bytes);
  if (!blob) return blob.error();
  auto gate = MakePipe();
  if (!gate) return gate.error();
  auto report = MakePipe();
  if (!report) return report.error();
  const Status quick = SetNonBlocking(report->first.get());
  if (!quick) return quick.error();
  batch.gate_read = std::move(gate->first);
  batch.gate = std::move(gate->second);
  batch.report = std::move(report->first);
  return SendDatagram(batch, blob->get(), bytes.size(), report->second.get());
}

Status RankMaker::Impl::SendDatagram(const Batch& batch, int blob, size_t blob_bytes, int report) {
  std::vector<int> fds = {blob, batch.gate_read.get(), report};
  for (const int fd : RankDescriptors(batch.order)) fds.push_back(fd);
  rex_batch_request request{REX_BATCH_MAGIC, REX_BATCH_VERSION, static_cast<uint32_t>(batch.count),
                            static_cast<uint32_t>(fds.size()), blob_bytes};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(REX_BATCH_MAX_FDS * sizeof(int))> control{};
  iovec data{&request, sizeof request};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::copy_n(reinterpret_cast<const char*>(fds.data()), fds.size() * sizeof(int),
              reinterpret_cast<char*>(CMSG_DATA(rights)));
  // Never full: a maker has taken and answered everything before it gets the next datagram.
  if (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    Error error = Error::FromErrno(errno, "send a batch of ranks to the spawner");
    if (error.sys_errno == ENOTCONN) error.code = Errc::kClosed;
    return error;
  }
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
  if (batch == current_) EndMaker();
  Lose(batch, Error{Errc::kTimeout,
                    "the spawner did not make " + std::to_string(batch->count) + " ranks" + limit});
}

void RankMaker::Impl::OnAnswer() {
  struct {
    rex_batch_answer head;
    std::array<int32_t, REX_BATCH_MAX_RANKS> pids;
  } answer{};
  const ssize_t n = ::recv(socket_.get(), &answer, sizeof answer, MSG_DONTWAIT | MSG_TRUNC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    EndMaker();
    return;
  }
  const bool sound =
      n >= static_cast<ssize_t>(sizeof answer.head) && answer.head.magic == REX_BATCH_MAGIC &&
      current_ != nullptr && answer.head.started <= current_->count &&
      static_cast<size_t>(n) == sizeof answer.head + answer.head.started * sizeof answer.pids[0];
  if (sound) return TakeAnswer(answer.head, answer.pids.data());
  EndMaker();
  if (current_ != nullptr) Lose(current_, Error{Errc::kProtocol, "the spawner sent nonsense"});
}

void RankMaker::Impl::TakeAnswer(const rex_batch_answer& head, const int32_t* pids) {
  const BatchPtr batch = current_;
  if (head.started == 0 && head.error == EPROTO) {
    return Lose(batch, Error{Errc::kProtocol, "the spawner refused a batch as malformed"});
  }
  int error = head.error;
  if (head.started < batch->count && error == 0) error = EPROTO;
  Tell(batch, std::vector<pid_t>(pids, pids + head.started), error);
}

void RankMaker::Impl::Tell(const BatchPtr& batch, std::vector<pid_t> pids, int error) {
  current_.reset();
  batch->told = true;
  told_.push_back(batch);
  if (pids.size() < batch->count) {
    batch->released = true;
    batch->gate.Reset();
    batch->gate_read.Reset();
    SetBound(batch);
  } else {
    batch->timer->Cancel();
  }
  const auto guard = Guard();
  batch->events.on_pids(pids, error);
  if (guard.expired()) return;
  children_.ExpectBirths(false);                // forgets what was not adopted
  children_.ExpectBirths(current_ != nullptr);  // on_pids may have submitted the next one
  batch->reports = std::make_unique<ReadWatcher>(loop_, batch->report.get(),
                                                 [this, weak = std::weak_ptr<Batch>(batch)] {
                                                   if (const BatchPtr still = weak.lock())
                                                     OnReports(still);
                                                 });
  Pump();
}

void RankMaker::Impl::Release() {
  for (const BatchPtr& batch : told_) {
    if (batch->released) continue;
    batch->released = true;
    SetBound(batch);
    // An empty pipe takes this at once, and keeps it for the ranks when our ends are closed.
    static constexpr std::array<char, REX_BATCH_MAX_RANKS> kGo{};
    const Status opened = WriteAll(batch->gate.get(), std::string_view(kGo.data(), batch->count));
    REX_CHECK(static_cast<bool>(opened));
    batch->gate.Reset();
    batch->gate_read.Reset();
  }
}

void RankMaker::Impl::OnReports(const BatchPtr& batch) {
  const auto guard = Guard();
  std::array<rex_birth_report, kReportsPerRead> reports;
  const ssize_t n = ::read(batch->report.get(), reports.data(), sizeof reports);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return Lose(batch, Error::FromErrno(errno, "read the reports of a batch of ranks"));
  if (n == 0) {
    Forget(batch);
    batch->events.on_born();
    return;
  }
  bool sound = static_cast<size_t>(n) % sizeof reports[0] == 0;
  for (size_t i = 0; sound && i < static_cast<size_t>(n) / sizeof reports[0]; ++i) {
    sound = TakeReport(batch, reports[i]);
    if (guard.expired()) return;
  }
  if (!sound) Lose(batch, Error{Errc::kProtocol, "a rank reported nonsense before its program"});
}

bool RankMaker::Impl::TakeReport(const BatchPtr& batch, const rex_birth_report& report) {
  if (report.index >= batch->count) return false;
  if (report.phase < REX_PHASE_SETUP || report.phase > REX_PHASE_EXEC) return false;
  batch->events.on_failure(
      BirthFailure{report.index, static_cast<rex_birth_phase>(report.phase), report.error});
  return true;
}

// Makes sure that it ends; OnMakerEnd follows when it has been reaped.
void RankMaker::Impl::EndMaker() {
  if (pid_ == 0 || ending_) return;
  ending_ = true;
  answers_->Enable(false);
  children_.Kill(pid_, SIGKILL);
}

void RankMaker::Impl::OnMakerEnd(pid_t pid, const ExitStatus& status) {
  if (pid != pid_) return;
  const auto guard = Guard();
  // What it answered before it ended still counts.
  if (!ending_ && current_ != nullptr) OnAnswer();
  if (guard.expired() || pid != pid_) return;
  answers_.reset();
  socket_.Reset();
  pid_ = 0;
  ending_ = false;
  if (current_ == nullptr) return Pump();
  const std::string text = "the spawner (pid " + std::to_string(pid) + ") ended with " +
                           Describe(status) + " while it made " + std::to_string(current_->count) +
                           " ranks";
  Lose(current_, Error{Errc::kClosed, text});
}

// Out of every list, timer and watcher; closes its gate.
void RankMaker::Impl::Forget(const BatchPtr& batch) {
  batch->over = true;
  batch->timer->Cancel();
  batch->reports.reset();
  batch->gate.Reset();
  batch->gate_read.Reset();
  batch->order = BirthBatch();
  if (batch == current_) {
    current_.reset();
    children_.ExpectBirths(false);
  }
  std::erase(queue_, batch);
  told_.remove(batch);
}

void RankMaker::Impl::Lose(const BatchPtr& batch, Error error) {
  if (batch->over) return;
  const BatchPtr keep = batch;  // `batch` may be a reference to one of our own
  const auto guard = Guard();
  Forget(keep);
  keep->events.on_lost(error);
  if (!guard.expired()) Pump();
}

RankMaker::RankMaker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RankMaker::~RankMaker() = default;

Result<std::unique_ptr<RankMaker>> RankMaker::StartSpawner(EventLoop& loop, ChildTable& children,
                                                           std::chrono::milliseconds bound) {
  auto impl = std::make_unique<Impl>(loop, children, bound);
  const Status started = impl->Start();
  if (!started) return started.error();
  return std::unique_ptr<RankMaker>(new RankMaker(std::move(impl)));
}

void RankMaker::Submit(BirthBatch batch, BatchEvents events) {
  impl_->Submit(std::move(batch), std::move(events));
}
void RankMaker::Release() { impl_->Release(); }
pid_t RankMaker::pid() const { return impl_->pid(); }
bool RankMaker::alive() const { return impl_->alive(); }

}  // namespace rex
