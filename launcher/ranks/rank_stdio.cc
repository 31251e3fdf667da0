#include "launcher/ranks/rank_stdio.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>

namespace rex {

namespace {

struct Pty {
  UniqueFd master;
  UniqueFd slave;
};

Result<Pty> OpenRawPty() {
  Pty pty;
  pty.master.Reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!pty.master) return Error::FromErrno(errno, "open a pseudo terminal");
  if (::unlockpt(pty.master.get()) != 0) return Error::FromErrno(errno, "unlock a pseudo terminal");
  // By number, not by path: /dev/pts may be another mount than the one of our /dev/ptmx.
  // ioctl_tty(2)
  pty.slave.Reset(::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!pty.slave) return Error::FromErrno(errno, "open a pseudo terminal's other end");
  termios raw{};
  if (::tcgetattr(pty.slave.get(), &raw) != 0)
    return Error::FromErrno(errno, "read terminal modes");
  ::cfmakeraw(&raw);
  if (::tcsetattr(pty.slave.get(), TCSANOW, &raw) != 0) {
    return Error::FromErrno(errno, "set terminal modes");
  }
  return pty;
}

bool IsLackOfDescriptors(const Error& error) {
  return error.sys_errno == EMFILE || error.sys_errno == ENFILE || error.sys_errno == ENOMEM;
}

Status OpenStdout(bool want_pty, RankStdio* out) {
  if (want_pty) {
    auto pty = OpenRawPty();
    if (pty) {
      out->stdout_read = std::move(pty->master);
      out->stdout_fd = std::move(pty->slave);
      out->pty = true;
      return Ok{};
    }
    if (IsLackOfDescriptors(pty.error())) return pty.error();
  }
  auto pipe = MakePipe();
  if (!pipe) return pipe.error();
  out->stdout_read = std::move(pipe->first);
  out->stdout_fd = std::move(pipe->second);
  return Ok{};
}

}  // namespace

Status OpenRankStdio(bool want_pty, bool want_stdin, RankStdio* io) {
  if (auto opened = OpenStdout(want_pty, io); !opened) return opened.error();
  auto err = MakePipe();
  if (!err) return err.error();
  io->stderr_read = std::move(err->first);
  io->stderr_fd = std::move(err->second);
  if (want_stdin) {
    auto in = MakePipe();
    if (!in) return in.error();
    io->stdin_fd = std::move(in->first);
    io->stdin_write = std::move(in->second);
    if (auto s = SetNonBlocking(io->stdin_write.get()); !s) return s.error();
  }
  if (auto s = SetNonBlocking(io->stdout_read.get()); !s) return s.error();
  return SetNonBlocking(io->stderr_read.get());
}

}  // namespace rex
