#include "tests/cluster/nodes_fixture.h"

#include <signal.h>

#include <algorithm>
#include <thread>

#include "launcher/base/descendants.h"

namespace rex::testing {
bool NodesTest::Await(const std::function<bool()>& condition, milliseconds bound) {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

::testing::AssertionResult NodesTest::StartNodes(ClusterOptions options) {
  options.share.push_back(left().work_dir());
  return StartCluster(std::move(options));
}

std::string NodesTest::Hosts(int nodes, int slots) {
  std::string hosts;
  for (int i = 1; i <= nodes; ++i) {
    hosts += (i > 1 ? ",n" : "n") + std::to_string(i) + ":" + std::to_string(slots);
  }
  return hosts;
}

std::unique_ptr<RunningCommand> NodesTest::StartReady(const std::vector<std::string>& args,
                                                      const std::string& ready, size_t count,
                                                      CommandOptions options) {
  auto job = StartRexOnHead(args, std::move(options));
  const bool up = job->WaitUntil(
      [&] { return job->ended() || CountOf(job->out() + job->err(), ready) >= count; },
      seconds(45));
  EXPECT_TRUE(up && !job->ended()) << job->Snapshot();
  return job;
}

std::vector<pid_t> NodesTest::ListOn(const std::string& node, const std::string& program) {
  return DescendantsNamed(cluster().FirstProcess(node), program);
}

pid_t NodesTest::FindOn(const std::string& node, const std::string& program, milliseconds bound) {
  const pid_t first = cluster().FirstProcess(node);
  std::vector<pid_t> found;
  const bool came = Await(
      [&] {
        found = DescendantsNamed(first, program);
        return !found.empty();
      },
      bound);
  if (!came) return -1;
  left().Track(found);
  return found.front();
}

bool NodesTest::SignalOn(const std::string& node, const std::string& program, int signo) {
  const pid_t pid = FindOn(node, program);
  return pid > 0 && ::kill(pid, signo) == 0;
}

pid_t NodesTest::Settled(const std::string& node, const std::string& program) {
  const pid_t pid = FindOn(node, program);
  if (pid < 0) return -1;
  constexpr int kLooks = 5;
  int asleep = 0;
  const auto sleeps = [&] {
    asleep = ReadProcess(pid).state == 'S' ? asleep + 1 : 0;
    return asleep == kLooks;
  };
  return Await(sleeps, seconds(10)) ? pid : -1;
}

bool NodesTest::StopOn(const std::string& node, const std::string& program) {
  const pid_t pid = Settled(node, program);
  return pid > 0 && ::kill(pid, SIGSTOP) == 0;
}

void NodesTest::Shell(const std::string& node, const std::string& script) {
  EXPECT_TRUE(ExitedWith(RunIn(node, {"/bin/sh", "-ec", script}), 0)) << script;
}

// Below /run/lock, which no node's leftovers include.
std::string NodesTest::PutFile(const std::string& node, const std::string& name,
                               const std::string& text, int mode) {
  std::string path = "/run/lock/" + name;
  const std::string source = WriteFile(node + "-" + name, text, mode);
  Shell(node, "cp -p " + ShellWord(source) + " " + ShellWord(path));
  return path;
}

void NodesTest::Overlay(const std::string& node, const std::string& path, const std::string& text,
                        int mode) {
  const std::string name = "overlay-" + std::to_string(std::hash<std::string>{}(path));
  const std::string source = PutFile(node, name, text, mode);
  // mount(8) itself notes what it mounts in /run/mount.
  Shell(node, "mount --bind " + ShellWord(source) + " " + ShellWord(path) + "; rm -rf /run/mount");
}

void NodesTest::SetShell(const std::string& node, const std::string& shell,
                         const std::string& home) {
  std::string changed;
  for (const auto& line : Lines(RunIn(node, {"cat", "/etc/passwd"}).out)) {
    changed += (line.starts_with("root:") ? "root:x:0:0:root:" + home + ":" + shell : line) + "\n";
  }
  Overlay(node, "/etc/passwd", changed, 0644);
}

void NodesTest::UsePlainShells(int nodes) {
  for (int i = 1; i <= nodes; ++i) SetShell("n" + std::to_string(i), "/bin/sh", "/root");
}

void NodesTest::ExpectOnlySshdLeft(const std::string& node, milliseconds bound) {
  std::vector<std::string> others;
  const bool clean = Await(
      [&] {
        others = cluster().Left(milliseconds(0));
        std::erase_if(others, [](const auto& line) { return line.find(": sshd: ") != line.npos; });
        return others.empty();
      },
      bound);
  EXPECT_TRUE(clean) << ::testing::PrintToString(others);
  for (const pid_t pid : ListOn(node, "sshd")) {
    if (ProcessLine(pid).find("sshd: root") != std::string::npos) ::kill(pid, SIGKILL);
  }
}

void ExpectFailure(const CommandResult& result, int code, const std::vector<std::string>& parts) {
  EXPECT_TRUE(ExitedWith(result, code));
  EXPECT_TRUE(StderrNames(result, parts));
}

}  // namespace rex::testing
