#include "launcher/base/result.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace rex {

void CheckFailed(const char* file, int line, const char* condition) {
  dprintf(STDERR_FILENO, "rex: internal error at %s:%d: %s does not hold\n", file, line, condition);
  std::abort();
}

std::string_view ErrcName(Errc code) {
  switch (code) {
    case Errc::kInvalid:
      return "invalid";
    case Errc::kNotFound:
      return "not-found";
    case Errc::kPermission:
      return "permission";
    case Errc::kNotRunnable:
      return "not-runnable";
    case Errc::kResource:
      return "resource";
    case Errc::kProtocol:
      return "protocol";
    case Errc::kTimeout:
      return "timeout";
    case Errc::kClosed:
      return "closed";
    case Errc::kInternal:
      return "internal";
  }
  return "internal";
}

namespace {
Errc CodeOfErrno(int err) {
  switch (err) {
    case ENOENT:
    case ESRCH:
    case ENOTDIR:
    case ECHILD:
      return Errc::kNotFound;
    case EACCES:
    case EPERM:
      return Errc::kPermission;
    case ENOEXEC:
    case EISDIR:
    case ELIBBAD:
      return Errc::kNotRunnable;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case ENOSPC:
    case EDQUOT:
      return Errc::kResource;
    case ETIMEDOUT:
      return Errc::kTimeout;
    case EPIPE:
    case ECONNRESET:
      return Errc::kClosed;
    case EINVAL:
    case E2BIG:
    case ENAMETOOLONG:
      return Errc::kInvalid;
    default:
      return Errc::kInternal;
  }
}
}  // namespace

Error Error::FromErrno(int err, std::string_view what) {
  return Error{CodeOfErrno(err), std::string(what) + ": " + std::strerror(err), err};
}

}  // namespace rex
