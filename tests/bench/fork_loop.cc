// fork_loop.so, preloaded into a program: the least that so many ranks of it can cost. At the place
// where a template makes ranks, before every constructor and libc's own, the process clones itself
// FORK_LOOP times; each child goes on to main and its end, as a rank does, but nothing tells it who
// it is. Prints "births_us=N": from the first clone until all children are on their way, which is
// what rexlaunch's phase "births" is. Without FORK_LOOP in the environment it does nothing.
#include "launcher/template/raw_sys.h"

namespace rex {
namespace {

#if defined(__x86_64__)
constexpr long kPipe2 = 293;
constexpr long kClockGettime = 228;
constexpr long kWait4 = 61;
#else
constexpr long kPipe2 = 59;
constexpr long kClockGettime = 113;
constexpr long kWait4 = 260;
#endif

long NowUs() {
  struct {
    long seconds, nanoseconds;
  } now{};
  constexpr long kMonotonic = 1;
  sys::Call(kClockGettime, kMonotonic, sys::Address(&now));
  return now.seconds * 1000000 + now.nanoseconds / 1000;
}

// 0 when the variable is not there.
int WantedChildren(char** envp) {
  constexpr char kName[] = "FORK_LOOP=";
  for (; *envp != nullptr; ++envp) {
    const char* at = *envp;
    const char* name = kName;
    while (*name != '\0' && *name == *at) ++name, ++at;
    if (*name != '\0') continue;
    int count = 0;
    for (; *at >= '0' && *at <= '9' && count < 1 << 20; ++at) count = count * 10 + (*at - '0');
    return count;
  }
  return 0;
}

void Print(long microseconds) {
  char text[] = "births_us=0000000000\n";
  for (char* digit = text + 19; digit >= text + 10; --digit, microseconds /= 10) {
    *digit = static_cast<char>('0' + microseconds % 10);
  }
  sys::Call(sys::kWrite, 1, sys::Address(text), sizeof text - 1);
}

void Start(int, char**, char** envp) {
  const int count = WantedChildren(envp);
  int report[2];
  if (count == 0 || sys::Call(kPipe2, sys::Address(report), 0) != 0) return;
  const long begin = NowUs();
  for (int i = 0; i < count; ++i) {
    const long child = sys::Call(sys::kClone, sys::kSigChld);
    if (child < 0) sys::Exit(1);
    if (child > 0) continue;
    sys::Call(sys::kClose, report[0]);
    sys::Call(sys::kClose, report[1]);
    return;
  }
  sys::Call(sys::kClose, report[1]);
  char byte = 0;
  if (sys::Call(sys::kRead, report[0], sys::Address(&byte), 1) != 0) sys::Exit(1);
  const long end = NowUs();
  while (sys::Call(kWait4, -1) > 0) {
  }
  Print(end - begin);
  sys::Exit(0);
}

__attribute__((section(".init_array"), used)) void (*const g_constructor)(int, char**,
                                                                          char**) = Start;

}  // namespace
}  // namespace rex
