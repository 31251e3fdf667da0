// REX_CHECK: a broken invariant, that is a bug of ours, ends the process with file, line and text.
#pragma once

#include <cstdint>

namespace rex {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace rex

#define REX_CHECK(condition)                              \
  do {                                                    \
    if (!(condition)) [[unlikely]]                        \
      ::rex::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (0)
