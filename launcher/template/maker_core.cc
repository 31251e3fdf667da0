#include "launcher/template/maker_core.h"

#include "launcher/template/raw_sys.h"

namespace rex {

namespace {
constexpr uint32_t kScmMaxFds = 253;  // unix(7): a datagram carries no more

// A datagram as it came. Owns its descriptors: CloseAll() before the next one.
struct Datagram {
  rex_batch_request request;
  int fds[kScmMaxFds];
  uint32_t fd_count;
  int error;  // errno: the datagram is unusable

  void CloseAll() {
    for (uint32_t i = 0; i < fd_count; ++i) sys::Call(sys::kClose, fds[i]);
    fd_count = 0;
  }
};

struct Answer {
  rex_batch_answer head;
  int32_t pids[REX_BATCH_MAX_RANKS];
};

// One for the life of the process: a maker has no heap, and a rank little of its stack yet.
Datagram g_datagram;

struct Mapping {
  void* at = nullptr;
  size_t bytes = 0;

  void Unmap() {
    if (at != nullptr) sys::Call(sys::kMunmap, sys::Address(at), static_cast<long>(bytes));
    at = nullptr;
  }
};

struct alignas(sys::Cmsghdr) Control {
  sys::Cmsghdr head;
  int fds[kScmMaxFds + 1];  // rounded up to the header's alignment
};

// A datagram has one control message at most: the kernel folds all SCM_RIGHTS of one sendmsg.
void TakeDescriptors(const sys::Msghdr& message, const Control& control, Datagram* datagram) {
  if (message.control_length < sizeof(sys::Cmsghdr)) return;
  if (control.head.level != sys::kSolSocket || control.head.type != sys::kScmRights) return;
  const size_t count = (control.head.length - sizeof(sys::Cmsghdr)) / sizeof(int);
  for (size_t i = 0; i < count && datagram->fd_count < kScmMaxFds; ++i) {
    datagram->fds[datagram->fd_count++] = control.fds[i];
  }
}

// Reads one request. False at end of file.
bool Receive(int socket, Datagram* datagram) {
  Control control;
  sys::Iovec data{&datagram->request, sizeof datagram->request};
  sys::Msghdr message;
  long n = 0;
  do {
    message = {nullptr, 0, &data, 1, &control, sizeof control, 0};
    n = sys::Call(sys::kRecvmsg, socket, sys::Address(&message), sys::kMsgCmsgCloexec);
  } while (n == -sys::kEintr);
  if (n <= 0) return false;
  datagram->error = 0;
  TakeDescriptors(message, control, datagram);
  // There was room for every descriptor a datagram can have: what is missing found no free number.
  if ((message.flags & sys::kMsgCtrunc) != 0) {
    datagram->error = sys::kEmfile;
  } else if (n != sizeof datagram->request || (message.flags & sys::kMsgTrunc) != 0) {
    datagram->error = sys::kEproto;
  }
  return true;
}

bool IsPipe(int fd) { return sys::Call(sys::kFcntl, fd, sys::kFGetPipeSize) > 0; }

// Maps the blob, once it is known that nobody can change or shorten it any more. 0 or errno.
int MapBlob(int fd, uint64_t bytes, Mapping* mapping) {
  constexpr long kSeals = sys::kSealWrite | sys::kSealShrink | sys::kSealGrow;
  const long seals = sys::Call(sys::kFcntl, fd, sys::kFGetSeals);
  const long size = sys::Call(sys::kLseek, fd, 0, sys::kSeekEnd);
  if (seals < 0 || (seals & kSeals) != kSeals || size < 0 || static_cast<uint64_t>(size) != bytes) {
    return sys::kEproto;
  }
  const long at = sys::Call(sys::kMmap, 0, size, sys::kProtRead, sys::kMapPrivate, fd, 0);
  if (sys::IsMapFailure(at)) return static_cast<int>(-at);
  mapping->at = reinterpret_cast<void*>(at);
  mapping->bytes = bytes;
  return 0;
}

// Checks the request and fills the context; 0 or errno.
int OpenBatch(const Datagram& datagram, int null_device, Mapping* blob, RankContext* context) {
  if (datagram.error != 0) return datagram.error;
  if (const int error = CheckRequest(datagram.request, datagram.fd_count)) return error;
  if (const int error = MapBlob(datagram.fds[0], datagram.request.blob_bytes, blob)) return error;
  if (const int error = CheckBlob(datagram.request, blob->at, blob->bytes, &context->view)) {
    return error;
  }
  context->blob_bytes = blob->bytes;
  context->fds = datagram.fds;
  context->gate = datagram.fds[1];
  context->report = datagram.fds[2];
  context->null_device = null_device;
  if (!IsPipe(context->gate) || !IsPipe(context->report)) return sys::kEproto;
  // A rank whose parent is not the agent of the request would end at once: say so instead.
  if (sys::Call(sys::kGetppid) != context->view.header->agent_pid) return sys::kEproto;
  return 0;
}

// Memory that ranks do not inherit; null when there is none. What the maker writes between two
// clones is here: anywhere else each write would copy the page once more, for the rank just made.
Answer* MapAnswer() {
  const long at = sys::Call(sys::kMmap, 0, sizeof(Answer), sys::kProtRead | sys::kProtWrite,
                            sys::kMapPrivate | sys::kMapAnonymous, -1, 0);
  if (sys::IsMapFailure(at)) return nullptr;
  sys::Call(sys::kMadvise, at, sizeof(Answer), sys::kMadvDontfork);
  return reinterpret_cast<Answer*>(at);
}

// Clones `count` ranks. The index of the rank in each of them; `count` in the maker.
uint32_t CloneRanks(void* child_tid, uint32_t count, Answer* answer) {
  for (uint32_t i = 0; i < count; ++i) {
    const long pid = sys::CloneSibling(child_tid);
    if (pid == 0) return i;
    if (pid < 0) {
      answer->head.error = static_cast<int32_t>(-pid);
      return count;
    }
    answer->pids[answer->head.started++] = static_cast<int32_t>(pid);
  }
  return count;
}

// Makes the ranks of an opened batch. True in each of them.
bool MakeRanks(const MakerKind& kind, Answer* answer, BornRank* born) {
  answer->head.error = kind.prepare(kind.self, &born->context);
  if (answer->head.error == 0) {
    const uint32_t count = born->context.view.header->count;
    born->index = CloneRanks(kind.child_tid, count, answer);
    if (born->index < count) return true;
  }
  kind.finish(kind.self, &born->context);
  return false;
}

bool Send(int socket, const Answer& answer) {
  const size_t bytes = sizeof answer.head + answer.head.started * sizeof answer.pids[0];
  long n = 0;
  do {
    n = sys::Call(sys::kSendto, socket, sys::Address(&answer), static_cast<long>(bytes),
                  sys::kMsgNosignal);
  } while (n == -sys::kEintr);
  return n == static_cast<long>(bytes);
}

// The maker is the rank: it answers first, as nobody will after it.
bool Become(int socket, const MakerKind& kind, Answer* answer, BornRank* born) {
  answer->head.error = kind.prepare(kind.self, &born->context);
  if (answer->head.error != 0) {
    kind.finish(kind.self, &born->context);
    return false;
  }
  answer->pids[answer->head.started++] = static_cast<int32_t>(sys::Call(sys::kGetpid));
  if (!Send(socket, *answer)) sys::Exit(REX_GATE_CLOSED);
  sys::Call(sys::kMunmap, sys::Address(answer), sizeof(Answer));
  born->index = 0;
  return true;
}

// True in each rank.
bool Bear(int socket, const MakerKind& kind, Answer* answer, BornRank* born) {
  const bool last = (born->context.view.header->flags & REX_BLOB_BECOME) != 0;
  return kind.can_become && last ? Become(socket, kind, answer, born)
                                 : MakeRanks(kind, answer, born);
}
}  // namespace

int ArrangeDescriptors(int socket) {
  if (socket > 3) sys::Call(sys::kCloseRange, 3, socket - 1, 0);
  sys::Call(sys::kCloseRange, socket + 1, 0xffffffffL, 0);
  sys::Call(sys::kFcntl, socket, sys::kFSetfd, sys::kFdCloexec);
  // 0, 1 and 2 must be in use, so that no received descriptor lands there.
  long null_device = -1;
  do {
    null_device = sys::Call(sys::kOpenat, sys::kAtFdcwd, sys::Address("/dev/null"),
                            sys::kORdwr | sys::kOCloexec, 0);
  } while (null_device >= 0 && null_device < 3);
  return static_cast<int>(null_device);
}

bool ServeBatches(int socket, int null_device, const MakerKind& kind, BornRank* born) {
  Answer* const answer = MapAnswer();
  while (answer != nullptr && Receive(socket, &g_datagram)) {
    Mapping blob;
    born->context = RankContext{};
    answer->head = {REX_BATCH_MAGIC, 0, 0, 0};
    answer->head.error = OpenBatch(g_datagram, null_device, &blob, &born->context);
    if (answer->head.error == 0 && Bear(socket, kind, answer, born)) return true;
    blob.Unmap();
    const bool sent = Send(socket, *answer);
    g_datagram.CloseAll();
    if (!sent) return false;
  }
  return false;
}

}  // namespace rex
