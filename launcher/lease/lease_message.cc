#include "launcher/lease/lease_message.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "launcher/base/fd_passing.h"

namespace rex {

namespace {

enum class What : uint32_t { kHold = 1, kEnd = 2, kHost = 3 };

struct Message {
  What what = What::kHold;
  uint32_t job = 0;
};

bool Send(int fd, const Message& message, std::span<const int> fds) {
  Message copy = message;
  return SendBytesAndFds(fd, {&copy, sizeof copy}, fds, MSG_DONTWAIT) ==
         static_cast<ssize_t>(sizeof copy);
}

std::vector<UniqueFd> FdsOf(msghdr* header) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* rights = CMSG_FIRSTHDR(header); rights != nullptr;
       rights = CMSG_NXTHDR(header, rights)) {
    if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(rights) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

bool SendLeases(int keeper_fd, uint32_t job, const std::vector<int>& fds) {
  for (size_t first = 0; first < fds.size(); first += kMostFdsAtOnce) {
    const size_t count = std::min(kMostFdsAtOnce, fds.size() - first);
    if (!Send(keeper_fd, {What::kHold, job}, std::span(fds).subspan(first, count))) return false;
  }
  return true;
}

bool SendLeasesEnd(int keeper_fd, uint32_t job) { return Send(keeper_fd, {What::kEnd, job}, {}); }

bool SendHostSocket(int keeper_fd, uint32_t generation, int socket) {
  return Send(keeper_fd, {What::kHost, generation}, {&socket, 1});
}

bool KeptLeases::Receive(int agent_fd) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostFdsAtOnce * sizeof(int))> control{};
  Message message;
  iovec bytes{&message, sizeof message};
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(agent_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  std::vector<UniqueFd> fds = FdsOf(&header);
  if (n != sizeof message) return true;
  if (message.what == What::kEnd) jobs_.erase(message.job);
  if (message.what == What::kHost && fds.size() == 1) {
    host_ = HostWanted{message.job, std::move(fds[0])};
  }
  if (message.what != What::kHold) return true;
  std::vector<UniqueFd>& of_job = jobs_[message.job];
  for (UniqueFd& fd : fds) of_job.push_back(std::move(fd));
  return true;
}

size_t KeptLeases::count() const {
  size_t count = 0;
  for (const auto& [job, fds] : jobs_) count += fds.size();
  return count;
}

}  // namespace rex
