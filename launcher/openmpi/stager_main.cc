// rexd-stager: brings programs to the nodes of Open MPI's mpirun. Started by mca_filem_rex.so in
// mpirun or orted as `rexd-stager --agent-fd=N`; ends at end of file there.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "launcher/base/log.h"
#include "launcher/base/programs.h"
#include "launcher/openmpi/stager.h"

namespace {
constexpr int kExitUsage = 2;

// orted's other descriptors, which it may not have marked; a copy here would hide its end from who
// is connected to it.
void CloseAllBut(int fd) {
  if (fd > 3) ::syscall(SYS_close_range, 3, fd - 1, 0);
  ::syscall(SYS_close_range, fd + 1, ~0U, 0);
}
}  // namespace

int main(int argc, char** argv) {
  rex::InitLog("rexd-stager");
  rex::UniqueFd socket(rex::InternalFdOption(argc, argv, "agent-fd"));
  if (!socket || ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0) {
    std::fprintf(stderr, "rexd-stager: started by mca_filem_rex.so only, with --agent-fd=N\n");
    return kExitUsage;
  }
  CloseAllBut(socket.get());
  ::setsid();  // the terminal's signals are mpirun's
  ::signal(SIGPIPE, SIG_IGN);
  rex::EventLoop loop;
  auto stager = std::make_unique<rex::openmpi::Stager>(
      loop, std::move(socket), rex::openmpi::OwnMachine(), [&loop] { loop.Stop(); });
  rex::SignalWatcher ended(loop, SIGTERM, [&loop] { loop.Stop(); });
  loop.Run();
  stager.reset();
  ::_exit(0);  // threads that read files may still know the loop
}
