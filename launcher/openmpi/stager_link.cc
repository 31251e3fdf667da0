#include "launcher/openmpi/stager_link.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "launcher/base/fd.h"
#include "launcher/base/frame.h"
#include "launcher/base/frame_queue.h"
#include "launcher/base/programs.h"
#include "launcher/openmpi/stager_message.h"

namespace rex::openmpi {

namespace {
constexpr uint8_t kFrameKind = 1;
constexpr size_t kReadBytes = 64 << 10;
constexpr int kReadsPerTurn = 16;

StagerMessage Copied(const rex_stager_message& message) {
  StagerMessage out{message.kind, message.job, message.node, {}};
  for (size_t i = 0; i < message.count; ++i) {
    out.words.emplace_back(message.words[i].bytes, message.words[i].size);
  }
  return out;
}

// For the time of the call.
template <typename Take>
void Lend(const StagerMessage& message, Take take) {
  std::vector<rex_stager_word> words;
  for (const std::string& word : message.words) words.push_back({word.c_str(), word.size()});
  const rex_stager_message lent{message.kind, message.job, message.node, words.size(),
                                words.data()};
  take(&lent);
}
}  // namespace

class StagerLink {
 public:
  StagerLink(UniqueFd epoll, UniqueFd socket, const rex_stager_host& host)
      : epoll_(std::move(epoll)), socket_(std::move(socket)), host_(host) {}

  int fd() const { return epoll_.get(); }
  bool Watch() { return Control(EPOLL_CTL_ADD); }

  void Run() {
    Write();
    const bool keep = true;  // the host does not destroy us from inside
    for (int i = 0; i < kReadsPerTurn && listening_ && !lost_; ++i) {
      std::array<char, kReadBytes> bytes;
      const ssize_t n = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (n <= 0) return Lose("it has ended");
      const Status fed = reader_.Feed(
          std::string_view(bytes.data(), static_cast<size_t>(n)),
          [this](uint8_t, FrameClass, const std::string& payload) { Take(payload); }, keep);
      if (!fed) return Lose(fed.error().text);
    }
  }

  void Send(const rex_stager_message& message) {
    if (lost_) return;
    queue_.Push(kFrameKind, FrameClass::kControl, EncodeStagerMessage(Copied(message)));
    Write();
  }

  void Listen(bool on) {
    if (std::exchange(listening_, on) != on && !lost_) Control(EPOLL_CTL_MOD);
  }

 private:
  bool Control(int operation) {
    epoll_event event{};
    event.events = (listening_ ? uint32_t{EPOLLIN} : 0) | (blocked_ ? uint32_t{EPOLLOUT} : 0);
    return ::epoll_ctl(epoll_.get(), operation, socket_.get(), &event) == 0;
  }

  void Take(const std::string& payload) {
    if (lost_) return;
    const auto message = DecodeStagerMessage(payload);
    if (!message) return Lose(message.error().text);
    Lend(*message, [this](const rex_stager_message* lent) { host_.on_message(host_.self, lent); });
  }

  void Lose(const std::string& why) {
    if (std::exchange(lost_, true)) return;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket_.get(), nullptr);
    host_.on_lost(host_.self, why.c_str());
  }

  // A failure shows as end of file on the other side of the socket.
  void Write() {
    while (!lost_) {
      if (sent_ == chunk_.size()) {
        chunk_.clear();
        sent_ = 0;
        if (queue_.empty()) break;
        queue_.TakeFrame(kMaxFrameBytes, chunk_);
      }
      const ssize_t n =
          ::send(socket_.get(), chunk_.data() + sent_, chunk_.size() - sent_, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) break;
      sent_ += static_cast<size_t>(n);
    }
    const bool blocked = sent_ < chunk_.size();
    if (std::exchange(blocked_, blocked) != blocked && !lost_) Control(EPOLL_CTL_MOD);
  }

  const UniqueFd epoll_;
  const UniqueFd socket_;
  const rex_stager_host host_;
  FrameReader reader_{kMostStagerBytes};
  FrameQueue queue_;
  std::string chunk_;
  size_t sent_ = 0;
  bool blocked_ = false;  // the kernel takes no more
  bool listening_ = true;
  bool lost_ = false;
};

namespace {
Result<std::unique_ptr<StagerLink>> StartStager(const char* program, const rex_stager_host& host) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return Error::FromErrno(errno, "make an epoll descriptor");
  auto pair = MakeStreamPair();
  if (!pair) return pair.error();
  if (const Status set = SetNonBlocking(pair->first.get()); !set) return set.error();
  const int theirs = pair->second.get();
  const auto pid = SpawnProgram({program, "--agent-fd=" + std::to_string(theirs)}, {theirs});
  if (!pid) return pid.error();
  auto link = std::make_unique<StagerLink>(std::move(epoll), std::move(pair->first), host);
  if (!link->Watch()) return Error::FromErrno(errno, "watch a socket");
  return link;
}
}  // namespace

}  // namespace rex::openmpi

struct rex_stager {
  std::unique_ptr<rex::openmpi::StagerLink> link;
};

extern "C" {
struct rex_stager* rex_stager_start(const char* program, const struct rex_stager_host* host) {
  auto link = rex::openmpi::StartStager(program, *host);
  if (link) return new rex_stager{std::move(*link)};
  errno = link.error().sys_errno;
  return nullptr;
}
void rex_stager_free(struct rex_stager* stager) { delete stager; }
int rex_stager_fd(const struct rex_stager* stager) { return stager->link->fd(); }
void rex_stager_run(struct rex_stager* stager) { stager->link->Run(); }
void rex_stager_send(struct rex_stager* stager, const struct rex_stager_message* message) {
  stager->link->Send(*message);
}
void rex_stager_listen(struct rex_stager* stager, int on) { stager->link->Listen(on != 0); }

char* rex_stager_pack(const struct rex_stager_message* message, size_t* size) {
  const std::string bytes = rex::openmpi::EncodeStagerMessage(rex::openmpi::Copied(*message));
  auto* copy = static_cast<char*>(std::malloc(bytes.size()));
  if (copy == nullptr) return nullptr;
  std::memcpy(copy, bytes.data(), bytes.size());
  *size = bytes.size();
  return copy;
}

int rex_stager_unpack(const char* bytes, size_t size, void* self,
                      void (*take)(void* self, const struct rex_stager_message* message)) {
  const auto message = rex::openmpi::DecodeStagerMessage(std::string_view(bytes, size));
  if (!message) return 0;
  rex::openmpi::Lend(*message, [&](const rex_stager_message* lent) { take(self, lent); });
  return 1;
}

const char* rex_stager_version(void) { return REX_VERSION; }
}
