// Opens the three standard descriptors of a rank: ours and its.
#pragma once

#include "launcher/base/fd.h"

namespace rex {

struct RankStdio {
  // Ours, non-blocking. stdin_write is none when the rank reads /dev/null.
  UniqueFd stdin_write;
  UniqueFd stdout_read;
  UniqueFd stderr_read;
  // The rank's. stdin none: /dev/null.
  UniqueFd stdin_fd;
  UniqueFd stdout_fd;
  UniqueFd stderr_fd;
  bool pty = false;  // stdout is a pty
};

// Fills `io`, which is empty. `want_pty`: a pty in raw mode (bytes pass unchanged, the C library
// buffers by line); when the system has none left (ENOSPC) or no devpts, a pipe takes its place.
// Errors: kResource (EMFILE, ENFILE, ENOMEM).
Status OpenRankStdio(bool want_pty, bool want_stdin, RankStdio* io);

}  // namespace rex
