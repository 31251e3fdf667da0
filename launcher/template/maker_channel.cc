#include "launcher/template/maker_channel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "launcher/base/fd_passing.h"
#include "launcher/template/batch_blob.h"

namespace rex {

namespace {
static_assert(REX_BATCH_MAX_FDS <= kMostFdsAtOnce);
constexpr size_t kReportsPerRead = 64;

// Nothing to read now, rather than a failure.
bool Later(ssize_t n) { return n < 0 && (errno == EAGAIN || errno == EINTR); }

Status SendDatagram(int socket, const BirthBatch& batch, const std::vector<int>& fds,
                    size_t blob_bytes) {
  rex_batch_request request{REX_BATCH_MAGIC, REX_BATCH_VERSION,
                            static_cast<uint32_t>(batch.ranks.size()),
                            static_cast<uint32_t>(fds.size()), blob_bytes};
  if (SendBytesAndFds(socket, {&request, sizeof request}, fds, MSG_DONTWAIT) >= 0) return Ok{};
  Error error = Error::FromErrno(errno, "send a batch of ranks");
  if (error.sys_errno == ENOTCONN) error.code = Errc::kClosed;
  return error;
}
}  // namespace

Result<SentBatch> SendBatch(int socket, const BirthBatch& batch) {
  const std::string bytes = EncodeBatch(batch, ::getpid());
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
  std::vector<int> fds = {blob->get(), gate->first.get(), report->second.get()};
  for (const int fd : RankDescriptors(batch)) fds.push_back(fd);
  const Status sent = SendDatagram(socket, batch, fds, bytes.size());
  if (!sent) return sent.error();
  return SentBatch{std::move(gate->first), std::move(gate->second), std::move(report->first)};
}

void OpenGate(SentBatch* sent, size_t count) {
  // An empty pipe takes this at once, and keeps it for the ranks when our ends are closed.
  static constexpr std::array<char, REX_BATCH_MAX_RANKS> kGo{};
  const Status opened = WriteAll(sent->gate.get(), std::string_view(kGo.data(), count));
  REX_CHECK(static_cast<bool>(opened));
  sent->gate.Reset();
  sent->gate_read.Reset();
}

Result<bool> ReadGreeting(int socket) {
  static constexpr const char* kReasons[] = {
      "fit",
      "this kernel lacks PR_GET_TID_ADDRESS or close_range",
      "another object of the program is linked -z initfirst",
      "a sanitizer's runtime is mapped",
      "ld.so has something to say that every rank must say",
      "it has more than one thread before its first constructor",
      "its stack or list of objects is not laid out as usual"};
  rex_template_hello hello{};
  const ssize_t n = ::recv(socket, &hello, sizeof hello, MSG_DONTWAIT | MSG_TRUNC);
  if (Later(n)) return false;
  if (n <= 0) return Error{Errc::kClosed, "it ended before it was ready"};
  if (n != sizeof hello || hello.magic != REX_BATCH_MAGIC || hello.version != REX_BATCH_VERSION ||
      hello.fitness > REX_TEMPLATE_LAST_FITNESS) {
    return Error{Errc::kProtocol, "it sent nonsense"};
  }
  if (hello.fitness != REX_TEMPLATE_FIT) return Error{Errc::kInvalid, kReasons[hello.fitness]};
  return true;
}

Result<std::optional<BatchAnswer>> ReadAnswer(int socket, size_t count) {
  struct {
    rex_batch_answer head;
    std::array<int32_t, REX_BATCH_MAX_RANKS> pids;
  } answer{};
  const ssize_t n = ::recv(socket, &answer, sizeof answer, MSG_DONTWAIT | MSG_TRUNC);
  if (Later(n)) return std::optional<BatchAnswer>{};
  if (n <= 0) return Error{Errc::kClosed, "it ended"};
  const rex_batch_answer& head = answer.head;
  const bool sound = n >= static_cast<ssize_t>(sizeof head) && head.magic == REX_BATCH_MAGIC &&
                     head.started <= count &&
                     static_cast<size_t>(n) == sizeof head + head.started * sizeof answer.pids[0] &&
                     !(head.error == REX_BATCH_UNFIT && head.started != 0);
  if (!sound) return Error{Errc::kProtocol, "it sent nonsense"};
  if (head.started == 0 && head.error == EPROTO) {
    return Error{Errc::kProtocol, "it refused a batch as malformed"};
  }
  BatchAnswer out;
  out.pids.assign(answer.pids.begin(), answer.pids.begin() + head.started);
  out.unfit = head.error == REX_BATCH_UNFIT;
  out.error = head.error;
  if (head.started < count && out.error == 0) out.error = EPROTO;
  return std::optional<BatchAnswer>{std::move(out)};
}

Result<BirthReports> ReadReports(int report, size_t count) {
  BirthReports out;
  std::array<rex_birth_report, kReportsPerRead> reports;
  for (;;) {
    const ssize_t n = ::read(report, reports.data(), sizeof reports);
    if (Later(n)) return out;
    if (n < 0) return Error::FromErrno(errno, "read the reports of a batch of ranks");
    out.over = n == 0;
    if (out.over) return out;
    const Error nonsense{Errc::kProtocol, "a rank reported nonsense before its program"};
    if (static_cast<size_t>(n) % sizeof reports[0] != 0) return nonsense;
    for (size_t i = 0; i < static_cast<size_t>(n) / sizeof reports[0]; ++i) {
      const rex_birth_report& one = reports[i];
      const bool sound =
          one.index < count && one.phase >= REX_PHASE_SETUP && one.phase <= REX_PHASE_EXEC;
      if (!sound) return nonsense;
      out.failures.push_back({one.index, static_cast<rex_birth_phase>(one.phase), one.error});
    }
  }
}

}  // namespace rex
