// System calls without libc, for code that runs before libc's constructor (the template) or between
// clone and exec (both makers). Every call returns what the kernel returns: -errno on failure. Only
// freestanding headers; numbers and structures are the kernel's ABI of x86-64 and aarch64 (the
// kernel's include/uapi; those below without an architecture are the same on both).
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace rex::sys {

#if defined(__x86_64__)
enum Number : long {
  kRead = 0,
  kWrite = 1,
  kClose = 3,
  kLseek = 8,
  kMmap = 9,
  kMunmap = 11,
  kBrk = 12,
  kRtSigaction = 13,
  kRtSigprocmask = 14,
  kMadvise = 28,
  kSendto = 44,
  kRecvmsg = 47,
  kClone = 56,
  kExecve = 59,
  kFcntl = 72,
  kChdir = 80,
  kUmask = 95,
  kSetpgid = 109,
  kGetpid = 39,
  kGetppid = 110,
  kPrctl = 157,
  kSchedSetaffinity = 203,
  kExitGroup = 231,
  kSetMempolicy = 238,
  kOpenat = 257,
  kSetRobustList = 273,
  kGetRobustList = 274,
  kDup3 = 292,
  kPrlimit64 = 302,
  kGetrandom = 318,
  kStatx = 332,
  kCloseRange = 436,
};
#elif defined(__aarch64__)
enum Number : long {
  kDup3 = 24,
  kFcntl = 25,
  kChdir = 49,
  kOpenat = 56,
  kClose = 57,
  kLseek = 62,
  kRead = 63,
  kWrite = 64,
  kExitGroup = 94,
  kSetRobustList = 99,
  kGetRobustList = 100,
  kSchedSetaffinity = 122,
  kRtSigaction = 134,
  kRtSigprocmask = 135,
  kSetpgid = 154,
  kUmask = 166,
  kPrctl = 167,
  kGetpid = 172,
  kGetppid = 173,
  kSendto = 206,
  kRecvmsg = 212,
  kBrk = 214,
  kMunmap = 215,
  kClone = 220,
  kExecve = 221,
  kMmap = 222,
  kMadvise = 233,
  kSetMempolicy = 237,
  kPrlimit64 = 261,
  kGetrandom = 278,
  kStatx = 291,
  kCloseRange = 436,
};
#else
#error "the template knows x86-64 and aarch64"
#endif

inline long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                 long f = 0) {
#if defined(__x86_64__)
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#else
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
#endif
}

template <typename T>
long Address(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

// errno(3), for what is compared or made here.
inline constexpr int kEintr = 4;
inline constexpr int kEmfile = 24;
inline constexpr int kEproto = 71;

inline constexpr int kSigKill = 9;
inline constexpr int kSigChld = 17;
inline constexpr int kSignals = 64;

inline constexpr long kAtFdcwd = -100;
inline constexpr long kORdwr = 2;
inline constexpr long kORdonly = 0;
inline constexpr long kOCloexec = 02000000;
inline constexpr long kFSetfd = 2;
inline constexpr long kFdCloexec = 1;
inline constexpr long kFGetSeals = 1034;
inline constexpr long kFGetPipeSize = 1032;
inline constexpr long kSealShrink = 2;
inline constexpr long kSealGrow = 4;
inline constexpr long kSealWrite = 8;
inline constexpr long kSeekEnd = 2;

inline constexpr long kProtRead = 1;
inline constexpr long kProtWrite = 2;
inline constexpr long kMapPrivate = 2;
inline constexpr long kMapAnonymous = 0x20;
inline constexpr long kMadvDontfork = 10;

inline constexpr long kPrSetPdeathsig = 1;
inline constexpr long kPrSetTimerslack = 29;
inline constexpr long kMpolBind = 2;  // linux/mempolicy.h
inline constexpr long kPrSetMm = 35;
inline constexpr long kPrSetMmMap = 14;
inline constexpr long kPrGetTidAddress = 40;
inline constexpr long kRlimitNofile = 7;

inline constexpr unsigned long kCloneParent = 0x8000;
inline constexpr unsigned long kCloneChildCleartid = 0x200000;
inline constexpr unsigned long kCloneChildSettid = 0x1000000;

inline constexpr int kSolSocket = 1;
inline constexpr int kScmRights = 1;
inline constexpr long kMsgNosignal = 0x4000;
inline constexpr long kMsgCmsgCloexec = 0x40000000;
inline constexpr unsigned kMsgCtrunc = 8;
inline constexpr unsigned kMsgTrunc = 0x20;

struct Rlimit64 {
  uint64_t soft;
  uint64_t hard;
};
struct Iovec {
  void* base;
  size_t length;
};
struct Msghdr {
  void* name;
  int name_length;
  Iovec* iov;
  size_t iov_count;
  void* control;
  size_t control_length;
  unsigned flags;
};
struct Cmsghdr {
  size_t length;  // with this header
  int level;
  int type;
};

inline bool IsMapFailure(long result) { return result < 0 && result >= -4095; }

// The address of a child's cached tid, set and cleared by the kernel as glibc's own fork asks for;
// null: none. Arguments three to five are parent's tid, child's tid, tls on x86-64 and parent's
// tid, tls, child's tid on aarch64: clone(2).
inline long CloneSibling(void* child_tid) {
  unsigned long flags = kCloneParent | static_cast<unsigned long>(kSigChld);
  if (child_tid != nullptr) flags |= kCloneChildSettid | kCloneChildCleartid;
#if defined(__x86_64__)
  return Call(kClone, static_cast<long>(flags), 0, 0, Address(child_tid), 0);
#else
  return Call(kClone, static_cast<long>(flags), 0, 0, 0, Address(child_tid));
#endif
}

[[noreturn]] inline void Exit(int code) {
  for (;;) Call(kExitGroup, code);
}

// Ranks inherit dispositions and mask from their maker, so they are put right there, once. The
// system call itself: glibc's posix_spawn, which made the maker, leaves the two signals that it
// keeps for itself ignored, and its sigaction refuses to touch them.
inline void ResetSignals() {
  const unsigned long defaults[8] = {};  // more than the kernel's struct sigaction; 0 is SIG_DFL
  for (int signo = 1; signo <= kSignals; ++signo) {  // KILL and STOP refuse
    Call(kRtSigaction, signo, Address(defaults), 0, kSignals / 8);
  }
  constexpr long kSetMask = 2;
  Call(kRtSigprocmask, kSetMask, Address(defaults), 0, kSignals / 8);
}

}  // namespace rex::sys
