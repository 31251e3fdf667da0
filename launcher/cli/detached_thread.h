// A thread that may block for ever in a read or write and therefore is never joined.
#pragma once

#include <functional>

namespace rex {

// Runs `body` on a thread of its own. False: the kernel has no more threads for us (EAGAIN).
[[nodiscard]] bool StartDetachedThread(std::function<void()> body);

}  // namespace rex
