// rexd-spawner: makes ranks by fork and exec for one agent. Protocol: template_proto.h.
//
// Started by the agent as `rexd-spawner --agent-fd=N`; ends at end of file there, or with the agent
// (PR_SET_PDEATHSIG). One thread, static, libc only: it is cloned once per rank, so what it maps
// and holds is what each birth costs. A malformed request is answered with EPROTO and changes
// nothing. Ranks are the agent's children (CLONE_PARENT); nothing is ever reaped here.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/template/batch_check.h"
#include "launcher/template/rank_child.h"

namespace {

constexpr int kScmMaxFds = 253;  // unix(7): a datagram carries no more
constexpr int kUsageExit = 2;

// A datagram as it came. Owns its descriptors: CloseAll() before the next one.
struct Datagram {
  rex_batch_request request;
  int fds[kScmMaxFds];
  uint32_t fd_count = 0;
  int error = 0;  // errno: the datagram is unusable

  void CloseAll() {
    for (uint32_t i = 0; i < fd_count; ++i) ::close(fds[i]);
    fd_count = 0;
  }
};

struct Answer {
  rex_batch_answer head;
  int32_t pids[REX_BATCH_MAX_RANKS];
};

// A mapping and its size; unmapped at the end of the batch.
struct Mapping {
  void* at = MAP_FAILED;
  size_t bytes = 0;
  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (at != MAP_FAILED) ::munmap(at, bytes);
  }
};

[[noreturn]] void Die(const char* text) {
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text, ::strlen(text));
  ::_exit(kUsageExit);
}

int AgentFd(int argc, char** argv) {
  static constexpr char kOption[] = "--agent-fd=";
  if (argc != 2 || ::strncmp(argv[1], kOption, sizeof kOption - 1) != 0) return -1;
  char* end = nullptr;
  const long fd = ::strtol(argv[1] + sizeof kOption - 1, &end, 10);
  return *end == '\0' && fd > 2 && fd < 1 << 20 ? static_cast<int>(fd) : -1;
}

// Ranks inherit dispositions and mask as they are here, so they are put right once, not per rank.
// The system call itself: glibc's posix_spawn, which made this process, leaves the two signals that
// it keeps for itself ignored, and its sigaction refuses to touch them.
void ResetSignals() {
  constexpr int kSignals = 64;
  constexpr size_t kMaskBytes = kSignals / 8;
  const unsigned long defaults[8] = {};  // more than the kernel's struct sigaction; 0 is SIG_DFL
  for (int signo = 1; signo <= kSignals; ++signo) {  // KILL and STOP refuse
    ::syscall(SYS_rt_sigaction, signo, defaults, nullptr, kMaskBytes);
  }
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, defaults, nullptr, kMaskBytes);
}

// Descriptors: 0, 1, 2 in use whatever the agent gave (so that no received one lands there), the
// socket, and /dev/null, which is returned.
int ArrangeDescriptors(int socket) {
  ::syscall(SYS_close_range, 3u, static_cast<unsigned>(socket) - 1, 0);
  ::syscall(SYS_close_range, static_cast<unsigned>(socket) + 1, ~0u, 0);
  ::fcntl(socket, F_SETFD, FD_CLOEXEC);
  int null_device = -1;
  do {
    null_device = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_device < 0) Die("rexd-spawner: /dev/null can't be opened read-write\n");
  } while (null_device < 3);
  return null_device;
}

void TakeDescriptors(msghdr* message, Datagram* datagram) {
  for (cmsghdr* c = CMSG_FIRSTHDR(message); c != nullptr; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count && datagram->fd_count < kScmMaxFds; ++i) {
      ::memcpy(&datagram->fds[datagram->fd_count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
  }
}

// Reads one request. False at end of file.
bool Receive(int socket, Datagram* datagram) {
  alignas(cmsghdr) char control[CMSG_SPACE(kScmMaxFds * sizeof(int))];
  iovec data{&datagram->request, sizeof datagram->request};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n <= 0) return false;
  datagram->error = 0;
  TakeDescriptors(&message, datagram);
  // There was room for every descriptor a datagram can have: what is missing found no free number.
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    datagram->error = EMFILE;
  } else if (n != sizeof datagram->request || (message.msg_flags & MSG_TRUNC) != 0) {
    datagram->error = EPROTO;
  }
  return true;
}

bool IsPipe(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

// Maps the blob, once it is known that nobody can change or shorten it any more. 0 or errno.
int MapBlob(int fd, uint64_t bytes, Mapping* mapping) {
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
  const int seals = ::fcntl(fd, F_GET_SEALS);
  struct stat st {};
  if (seals < 0 || (seals & kSeals) != kSeals || ::fstat(fd, &st) != 0 ||
      static_cast<uint64_t>(st.st_size) != bytes) {
    return EPROTO;
  }
  mapping->at = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  mapping->bytes = bytes;
  return mapping->at == MAP_FAILED ? errno : 0;
}

// argv and the common environment as execve wants them, in one mapping; 0 or errno.
int BuildVectors(rex::RankContext* context, Mapping* arena) {
  const rex_blob_header& header = *context->view.header;
  const size_t env = size_t{header.common_env_count} + rex::LongestOwnEnv(context->view) + 1;
  arena->bytes = (size_t{header.argc} + 1 + env) * sizeof(char*);
  arena->at =
      ::mmap(nullptr, arena->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (arena->at == MAP_FAILED) return errno;
  char** next = static_cast<char**>(arena->at);
  const uint64_t* words = context->view.Words(header.argv);
  context->argv = next;
  for (uint32_t i = 0; i < header.argc; ++i) {
    *next++ = const_cast<char*>(context->view.String(words[i]));
  }
  *next++ = nullptr;
  const uint64_t* common = context->view.Words(header.common_env);
  context->envp = next;
  for (uint32_t i = 0; i < header.common_env_count; ++i) {
    *next++ = const_cast<char*>(context->view.String(common[i]));
  }
  return 0;
}

// A child of our parent. Raw: glibc's fork would make it ours and run handlers. All arguments after
// the flags are zero, so their order, which differs between x86-64 and aarch64, does not matter.
pid_t CloneSibling() {
  return static_cast<pid_t>(::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0));
}

// Checks the request and makes its ranks; errno of what stopped it, or 0.
int MakeBatch(const Datagram& datagram, int null_device, Answer* answer) {
  if (datagram.error != 0) return datagram.error;
  if (const int error = rex::CheckRequest(datagram.request, datagram.fd_count)) return error;
  Mapping blob;
  Mapping arena;
  if (const int error = MapBlob(datagram.fds[0], datagram.request.blob_bytes, &blob)) return error;
  rex::RankContext context;
  if (const int error = rex::CheckBlob(datagram.request, blob.at, blob.bytes, &context.view)) {
    return error;
  }
  context.fds = datagram.fds;
  context.gate = datagram.fds[1];
  context.report = datagram.fds[2];
  context.null_device = null_device;
  if (!IsPipe(context.gate) || !IsPipe(context.report)) return EPROTO;
  // A rank whose parent is not the agent of the request would end at once: say so instead.
  if (::getppid() != context.view.header->agent_pid) return EPROTO;
  if (const int error = BuildVectors(&context, &arena)) return error;
  for (uint32_t i = 0; i < context.view.header->count; ++i) {
    const pid_t pid = CloneSibling();
    if (pid == 0) rex::RunRank(context, i);
    if (pid < 0) return errno;
    answer->pids[answer->head.started++] = pid;
  }
  return 0;
}

bool Send(int socket, const Answer& answer) {
  const size_t bytes = sizeof answer.head + answer.head.started * sizeof answer.pids[0];
  ssize_t n = 0;
  do {
    n = ::send(socket, &answer, bytes, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(bytes);
}

}  // namespace

int main(int argc, char** argv) {
  const int socket = AgentFd(argc, argv);
  if (socket < 0) Die("rexd-spawner: started by rexd-agent only, with --agent-fd=N\n");
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ResetSignals();
  const int null_device = ArrangeDescriptors(socket);
  static Datagram datagram;
  static Answer answer;
  while (Receive(socket, &datagram)) {
    answer.head = {REX_BATCH_MAGIC, 0, 0, 0};
    answer.head.error = MakeBatch(datagram, null_device, &answer);
    const bool sent = Send(socket, answer);
    datagram.CloseAll();
    if (!sent) return 1;
  }
  return 0;
}
