// The end of a process that leaves its memory to the kernel.
#pragma once

#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace rex {

// Ends this process at once: no destructors, no atexit(3) handlers. Builds with the address
// sanitizer look for leaks first, which otherwise they do in exit(3) only. Any thread; not between
// fork and exec.
[[noreturn]] inline void LeaveNow(int code) {
#if defined(__SANITIZE_ADDRESS__)
  __lsan_do_leak_check();
#endif
  ::_exit(code);
}

}  // namespace rex
