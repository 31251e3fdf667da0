#include "tests/integration/pmix_host/started_host.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/base/programs.h"

namespace rex::pmix {

bool StartedHost::Start(EventLoop& loop, const std::string& session_dir,
                        const std::vector<std::string>& options, HostClient::OnMessage on_message) {
  auto pair = MakeStreamPair();
  if (!pair) return false;
  const int fd = pair->second.get();
  std::vector<std::string> argv = {REX_TEST_HOST, "--agent-fd=" + std::to_string(fd),
                                   "--session-dir=" + session_dir,
                                   "--keeper-pid=" + std::to_string(::getpid())};
  argv.insert(argv.end(), options.begin(), options.end());
  if (const char* more = ::getenv("REX_TEST_HOST_OPTION")) argv.emplace_back(more);
  const auto pid = SpawnProgram(argv, {fd});
  if (!pid) return false;
  pid_ = *pid;
  pair->second.Reset();
  closed_ = false;
  client_ = std::make_unique<HostClient>(loop, std::move(pair->first), std::move(on_message),
                                         [this](const Error&) { closed_ = true; });
  return true;
}

int StartedHost::Stop() {
  client_.reset();
  int status = -1;
  for (int i = 0; i < 500 && ::waitpid(pid_, &status, WNOHANG) == 0; ++i) ::usleep(10000);
  if (status == -1) Kill();
  pid_ = -1;
  return status;
}

void StartedHost::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void StartedHost::Reap(int* wait_status) {
  ::waitpid(pid_, wait_status, 0);
  pid_ = -1;
}

}  // namespace rex::pmix
