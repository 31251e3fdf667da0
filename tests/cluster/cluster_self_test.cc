// The cluster does what it says: nodes that are apart, links that fail as told, and nothing left.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "tests/support/cluster.h"

namespace rex::testing {
namespace {

constexpr char kPython[] = "/usr/bin/python3";
// Seconds to wait for what comes, on a loaded machine, and for what does not.
constexpr int kLong = 30;
constexpr int kShort = 1;

std::string Script() { return SourceDir() + "/tests/cluster/cluster"; }

bool Exists(const std::string& path) { return std::filesystem::exists(path); }

bool WaitUntil(const std::function<bool()>& condition, milliseconds bound = seconds(10)) {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return true;
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The number behind `name` in "name    pid 123" of `cluster status`, or "supervisor 123".
pid_t PidIn(const std::string& status, const std::string& name) {
  std::smatch match;
  const bool found = std::regex_search(status, match, std::regex(name + " +(?:pid +)?(\\d+)"));
  return found ? std::stoi(match[1]) : -1;
}

std::string AddressIn(const std::string& status, const std::string& name) {
  std::smatch match;
  const bool found = std::regex_search(status, match, std::regex(name + " .*?(10\\.[0-9.]+)"));
  return found ? match[1].str() : "";
}

std::string NetNamespace(pid_t pid) {
  std::error_code gone;
  return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/ns/net", gone).string();
}

std::vector<std::string> ProcessesIn(const std::set<std::string>& net_namespaces) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (net_namespaces.contains(NetNamespace(std::stoi(name)))) {
      found.push_back(ProcessLine(std::stoi(name)));
    }
  }
  return found;
}

// What a cluster is made of, to look for after its end.
struct Parts {
  std::string directory;
  std::set<std::string> net_namespaces;
  pid_t supervisor = -1;
};

Parts PartsOf(Cluster& cluster, int nodes) {
  const std::string status = cluster.Status().out;
  Parts parts{cluster.Directory(), {}, PidIn(status, "supervisor")};
  parts.net_namespaces.insert(NetNamespace(PidIn(status, "head")));
  for (int i = 1; i <= nodes; ++i) {
    parts.net_namespaces.insert(NetNamespace(PidIn(status, "n" + std::to_string(i))));
  }
  EXPECT_EQ(parts.net_namespaces.size(), static_cast<size_t>(nodes) + 1);
  EXPECT_FALSE(parts.net_namespaces.contains(""));
  EXPECT_FALSE(parts.net_namespaces.contains(NetNamespace(::getpid())));
  return parts;
}

bool Lives(pid_t pid) {
  return StartTime(pid) != 0 && ProcessLine(pid).find(" state Z ") == std::string::npos;
}

std::string WhatIsLeftOf(const Parts& parts) {
  std::string left;
  for (const auto& line : ProcessesIn(parts.net_namespaces)) left += "process " + line + "\n";
  if (Lives(parts.supervisor)) left += "supervisor " + ProcessLine(parts.supervisor) + "\n";
  if (Exists(parts.directory)) left += parts.directory + "\n";
  const std::string id = parts.directory.substr(parts.directory.rfind('/') + 1);
  if (Exists("/sys/fs/cgroup/cpuset/rexcluster-" + id)) left += "cpuset of " + id + "\n";
  if (ReadAll("/proc/self/mountinfo").find(id) != std::string::npos) left += "mount of " + id;
  return left;
}

// Within a bound: processes that were killed take a moment to be gone.
::testing::AssertionResult NothingLeftOf(const Parts& parts) {
  if (WaitUntil([&] { return WhatIsLeftOf(parts).empty(); })) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "left:\n" << WhatIsLeftOf(parts);
}

class ClusterSelfTest : public ClusterTest {
 protected:
  CommandResult Ssh(const std::string& from, const std::vector<std::string>& words) {
    std::vector<std::string> argv{"ssh", "-o", "ConnectTimeout=" + std::to_string(kLong)};
    argv.insert(argv.end(), words.begin(), words.end());
    return RunIn(from, argv);
  }

  // For a node that can't be reached.
  bool SshFails(const std::string& from, const std::string& to) {
    return RunIn(from, {"ssh", "-4", "-o", "ConnectTimeout=1", to, "true"}).exit_code == 255;
  }

  CommandResult Python(const std::string& node, const std::string& program,
                       const std::vector<std::string>& args = {}) {
    std::vector<std::string> argv{kPython, "-c", program};
    argv.insert(argv.end(), args.begin(), args.end());
    return RunIn(node, argv);
  }

  // "connected", or why not.
  std::string Connect(const std::string& from, const std::string& to, const std::string& port,
                      int patience = kLong) {
    return Python(from,
                  "import socket, sys\n"
                  "try:\n"
                  "  socket.create_connection((sys.argv[1], int(sys.argv[2])), int(sys.argv[3]))\n"
                  "  print('connected')\n"
                  "except OSError as error: print(error)\n",
                  {to, port, std::to_string(patience)})
        .out;
  }

  // A server in `node` that accepts for ever, on IPv4 and, if there is one, IPv6; its port.
  std::string StartServer(const std::string& node) {
    server_ = StartIn(node, {kPython, "-c",
                             "import socket\n"
                             "server = socket.create_server(('::', 0), family=socket.AF_INET6,\n"
                             "                              dualstack_ipv6=True)\n"
                             "print('port=%d.' % server.getsockname()[1], flush=True)\n"
                             "while True: server.accept()\n"});
    EXPECT_TRUE(server_->WaitForText(".\n")) << server_->Snapshot();
    return std::to_string(NumberAfter(server_->out(), "port"));
  }
  void StopServer() { server_.reset(); }

  // Seconds until `to` has received `bytes` that `from` sent.
  double SecondsToSend(const std::string& from, const std::string& to, int bytes) {
    auto receiver = StartIn(to, {kPython, "-c",
                                 "import socket, time\n"
                                 "server = socket.create_server(('', 0))\n"
                                 "print('port=%d.' % server.getsockname()[1], flush=True)\n"
                                 "peer = server.accept()[0]\n"
                                 "begin, got = time.monotonic(), 0\n"
                                 "while part := peer.recv(65536): got += len(part)\n"
                                 "print('bytes=%d us=%d.' % (got,\n"
                                 "      (time.monotonic() - begin) * 1e6))\n"});
    EXPECT_TRUE(receiver->WaitForText(".\n")) << receiver->Snapshot();
    const std::string address = AddressIn(cluster().Status().out, to);
    Python(from,
           "import socket, sys\n"
           "peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
           "peer.sendall(bytes(int(sys.argv[3])))\n",
           {address, std::to_string(NumberAfter(receiver->out(), "port")), std::to_string(bytes)});
    const CommandResult result = receiver->Wait();
    EXPECT_EQ(NumberAfter(result.out, "bytes"), bytes) << result;
    return static_cast<double>(NumberAfter(result.out, "us")) / 1e6;
  }
  // At least once: other tests may have the cores now and then.
  bool IsFaster(const std::string& from, const std::string& to, int bytes, double than) {
    return WaitUntil([&] { return SecondsToSend(from, to, bytes) < than; }, seconds(kLong));
  }

 private:
  std::unique_ptr<RunningCommand> server_;
};

TEST_F(ClusterSelfTest, EveryNodeHasItsNameAndAnswersToSsh) {
  ASSERT_TRUE(StartCluster({.nodes = 4}));
  EXPECT_EQ(cluster().Hosts(), "n1,n2,n3,n4");
  for (const std::string name : {"n1", "n2", "n3", "n4"}) {
    EXPECT_EQ(RunIn(name, {"hostname"}).out, name + "\n");
    EXPECT_EQ(Ssh("head", {"-4", name, "hostname"}).out, name + "\n");
    EXPECT_EQ(Ssh("head", {"-F", cluster().SshConfig(), name + ".cluster", "hostname", "-f"}).out,
              name + ".cluster\n");
  }
  EXPECT_EQ(RunIn("head", {"hostname"}).out, "head\n");
  EXPECT_EQ(Ssh("n4", {"n1", "hostname"}).out, "n1\n");
  if (Exists("/proc/sys/net/ipv6")) {
    EXPECT_EQ(Ssh("n1", {"-6", "n3", "hostname"}).out, "n3\n");
  }
}

TEST_F(ClusterSelfTest, AStrangersKeyIsRefused) {
  ASSERT_TRUE(StartCluster({.nodes = 1}));
  const std::string key = left().work_dir() + "/key";
  ASSERT_TRUE(ExitedWith(Run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key}), 0));
  const CommandResult result =
      RunIn("head",
            {"ssh", "-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "n1", "true"});
  EXPECT_TRUE(ExitedWith(result, 255));
  EXPECT_TRUE(StderrNames(result, {"permission denied"}));
}

TEST_F(ClusterSelfTest, PrivateDirectoriesAreApartAndTheRestIsShared) {
  ASSERT_TRUE(StartCluster({.nodes = 2}));
  for (const std::string dir : {"/tmp", "/dev/shm", "/run"}) {
    const std::string path = dir + "/mark-" + cluster().id();
    ASSERT_TRUE(ExitedWith(RunIn("n1", {"touch", path}), 0));
    EXPECT_TRUE(ExitedWith(RunIn("n1", {"test", "-e", path}), 0));
    EXPECT_TRUE(ExitedWith(RunIn("n2", {"test", "-e", path}), 1));
    EXPECT_FALSE(Exists(path));
    EXPECT_EQ(cluster().Left(milliseconds(0)), std::vector<std::string>{"n1: file " + path});
    ASSERT_TRUE(ExitedWith(RunIn("n1", {"rm", path}), 0));
  }
  EXPECT_TRUE(ExitedWith(Ssh("head", {"n2", "test", "-e", BuildDir() + "/CMakeCache.txt"}), 0));
}

TEST_F(ClusterSelfTest, SharesWhatItIsToldToShare) {
  ASSERT_TRUE(StartCluster({.nodes = 2, .share = {left().work_dir()}}));
  const std::string path = WriteFile("file", "text");
  EXPECT_EQ(RunIn("n2", {"cat", path}).out, "text");
  EXPECT_EQ(cluster().Left(milliseconds(0)), std::vector<std::string>{});
}

TEST_F(ClusterSelfTest, NodesDoNotSeeEachOthersProcesses) {
  ASSERT_TRUE(StartCluster({.nodes = 2}));
  ASSERT_TRUE(ExitedWith(Ssh("head", {"n1", "setsid sleep 1234 >/dev/null 2>&1 </dev/null &"}), 0));
  // The machine sees it, with the marker that ssh has taken along; so have shells on their way out.
  const auto sees_it = [this] {
    const auto marked = ProcessesWithMarker(left().marker());
    return std::any_of(marked.begin(), marked.end(),
                       [](pid_t pid) { return Contains(ProcessLine(pid), "sleep 1234"); });
  };
  ASSERT_TRUE(WaitUntil(sees_it));
  EXPECT_TRUE(Contains(RunIn("n1", {"ps", "-e", "-o", "args"}).out, "sleep 1234"));
  EXPECT_EQ(CountOf(RunIn("n2", {"ps", "-e", "-o", "args"}).out, "sleep 1234"), 0u);
  const auto left_over = cluster().Left(milliseconds(0));
  ASSERT_EQ(left_over.size(), 1u);
  EXPECT_TRUE(Contains(left_over.front(), "n1: process"));
  EXPECT_TRUE(ExitedWith(RunIn("n1", {"pkill", "-f", "sleep 1234"}), 0));
}

TEST_F(ClusterSelfTest, TheFirstProcessReaps) {
  ASSERT_TRUE(StartCluster({.nodes = 1}));
  // An orphan that ends: a zombie would stay in the list.
  ASSERT_TRUE(ExitedWith(RunIn("n1", {"/bin/sh", "-c", "(sleep 0.05 &)"}), 0));
  const auto zombies = [this] { return CountOf(RunIn("n1", {"ps", "-e"}).out, "sleep"); };
  EXPECT_TRUE(WaitUntil([&] { return zombies() == 0; }));
}

TEST_F(ClusterSelfTest, MpirunStartsOnFourNodes) {
  ASSERT_TRUE(StartCluster({.nodes = 4}));
  CommandOptions options;
  options.set_env = {{"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}};
  const CommandResult result =
      RunIn("head", {"mpirun", "--host", cluster().Hosts(), "hostname"}, options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"n1", "n2", "n3", "n4"}));
}

TEST_F(ClusterSelfTest, ThirtyTwoNodesAnswerInParallel) {
  ASSERT_TRUE(StartCluster({.nodes = 32}));
  const CommandResult result =
      RunIn("head", {"/bin/sh", "-c", "for i in $(seq 32); do ssh n$i hostname & done; wait"});
  const auto names = Lines(result.out);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 32u) << result;
}

TEST_F(ClusterSelfTest, ARateHoldsInBothDirectionsUntilItIsLifted) {
  ASSERT_TRUE(StartCluster({.nodes = 2, .rate = "20mbit"}));
  constexpr int kBytes = 2'000'000;
  // 0.8 s on the wire; what two buckets hold goes at once. No upper bound: a machine may be slow.
  constexpr double kAtLeast = 0.7;
  EXPECT_GE(SecondsToSend("n1", "n2", kBytes), kAtLeast);
  EXPECT_GE(SecondsToSend("n2", "n1", kBytes), kAtLeast);
  EXPECT_EQ(CountOf(cluster().Status().out, "20mbit"), 3u);  // the head's, too
  EXPECT_TRUE(ExitedWith(cluster().Rate("all", "none"), 0));
  EXPECT_EQ(CountOf(cluster().Status().out, "20mbit"), 0u);
  EXPECT_TRUE(IsFaster("n1", "n2", kBytes, kAtLeast));
  // Only what comes from n2 or goes there is slow now.
  EXPECT_TRUE(ExitedWith(cluster().Rate("n2", "20mbit"), 0));
  EXPECT_GE(SecondsToSend("n1", "n2", kBytes), kAtLeast);
  EXPECT_GE(SecondsToSend("n2", "n1", kBytes), kAtLeast);
  EXPECT_TRUE(IsFaster("n1", "head", kBytes, kAtLeast));
}

TEST_F(ClusterSelfTest, CutPullsTheCableAndHealPutsItBack) {
  ASSERT_TRUE(StartCluster({.nodes = 3}));
  ASSERT_TRUE(ExitedWith(cluster().Cut("n2-n3"), 0));
  EXPECT_TRUE(Contains(RunIn("n2", {"ip", "link", "show", "eth0"}).out, "NO-CARRIER"));
  EXPECT_TRUE(SshFails("head", "n2"));
  EXPECT_TRUE(SshFails("head", "n3"));
  EXPECT_TRUE(ExitedWith(Ssh("head", {"n1", "true"}), 0));
  EXPECT_TRUE(ExitedWith(cluster().Heal("n2"), 0));
  EXPECT_TRUE(ExitedWith(Ssh("head", {"n2", "true"}), 0));
  EXPECT_TRUE(SshFails("head", "n3"));
}

TEST_F(ClusterSelfTest, BlackholeDropsPacketsAndKeepsTheLink) {
  ASSERT_TRUE(StartCluster({.nodes = 2}));
  ASSERT_TRUE(ExitedWith(cluster().Blackhole("n2"), 0));
  EXPECT_EQ(CountOf(RunIn("n2", {"ip", "link", "show", "eth0"}).out, "NO-CARRIER"), 0u);
  EXPECT_TRUE(Contains(Connect("head", "n2", "22", kShort), "timed out"));
  EXPECT_TRUE(Contains(Connect("n2", "n1", "22", kShort), "timed out"));
  EXPECT_EQ(Connect("head", "n1", "22"), "connected\n");
  EXPECT_TRUE(ExitedWith(cluster().Heal("n2"), 0));
  EXPECT_EQ(Connect("head", "n2", "22"), "connected\n");
  EXPECT_EQ(Connect("n2", "n1", "22"), "connected\n");
}

TEST_F(ClusterSelfTest, BlockBackStopsConnectionsToTheHeadOnly) {
  ASSERT_TRUE(StartCluster({.nodes = 2}));
  const std::string port = StartServer("head");
  EXPECT_EQ(Connect("n2", "head", port), "connected\n");
  ASSERT_TRUE(ExitedWith(cluster().BlockBack("n2"), 0));
  const std::string ipv4 = AddressIn(cluster().Status().out, "head");
  EXPECT_TRUE(
      Contains(Connect("n2", "head", port, kShort), "timed out"));  // IPv6, where there is one
  EXPECT_TRUE(Contains(Connect("n2", ipv4, port, kShort), "timed out"));
  EXPECT_EQ(Connect("n1", "head", port), "connected\n");
  EXPECT_EQ(Connect("n2", "n1", "22"), "connected\n");
  EXPECT_EQ(Ssh("head", {"n2", "hostname"}).out, "n2\n");
  ASSERT_TRUE(ExitedWith(cluster().Heal("n2"), 0));
  EXPECT_EQ(Connect("n2", "head", port), "connected\n");
  StopServer();
}

TEST_F(ClusterSelfTest, BlockBackLetsAnswersThrough) {
  ASSERT_TRUE(StartCluster({.nodes = 1}));
  const std::string port = StartServer("n1");
  ASSERT_TRUE(ExitedWith(cluster().BlockBack("n1"), 0));
  EXPECT_EQ(Connect("head", "n1", port), "connected\n");
  StopServer();
}

TEST_F(ClusterSelfTest, AKilledNodeIsGoneWithAllInIt) {
  ASSERT_TRUE(StartCluster({.nodes = 2}));
  auto sleeper = StartIn("n2", {"sleep", "1234"});
  ASSERT_TRUE(WaitUntil([&] { return !cluster().Left(milliseconds(0)).empty(); }));
  EXPECT_TRUE(ExitedWith(cluster().Kill("n2"), 0));
  EXPECT_EQ(sleeper->Wait().signo, SIGKILL);
  EXPECT_TRUE(Contains(cluster().Status().out, "dead"));
  EXPECT_TRUE(StderrNames(RunIn("n2", {"true"}), {"node n2 is dead"}));
  EXPECT_TRUE(StderrNames(cluster().Cut("n2"), {"node n2 is dead"}));
  EXPECT_TRUE(SshFails("head", "n2"));
  EXPECT_TRUE(ExitedWith(Ssh("head", {"n1", "true"}), 0));
}

TEST_F(ClusterSelfTest, HidesAPathOnOneNode) {
  const std::string programs = BuildDir() + "/tests";
  ASSERT_TRUE(StartCluster({.nodes = 2, .hide = {"n2:" + programs}}));
  EXPECT_NE(RunIn("n1", {"ls", programs}).out, "");
  EXPECT_EQ(RunIn("n2", {"ls", programs}).out, "");
}

TEST_F(ClusterSelfTest, WhatThisMachinesShellsReadIsNotReadOnNodes) {
  ASSERT_TRUE(StartCluster({.nodes = 1}));
  const std::string sizes = "cat ~/.bashrc ~/.bash_profile ~/.profile 2>/dev/null | wc -c";
  EXPECT_EQ(RunIn("n1", {"sh", "-c", sizes}).out, "0\n");
  EXPECT_EQ(RunIn("head", {"sh", "-c", sizes}).out, Run({"sh", "-c", sizes}).out);
}

TEST_F(ClusterSelfTest, FewStartupsAreSoonUsedUp) {
  ASSERT_TRUE(StartCluster({.nodes = 1, .max_startups = "1"}));
  auto silent = StartIn("head", {kPython, "-c",
                                 "import socket, time\n"
                                 "peer = socket.create_connection(('n1', 22))\n"
                                 "peer.recv(100)\n"
                                 "print('connected', flush=True)\n"
                                 "time.sleep(1000)\n"});
  ASSERT_TRUE(silent->WaitForText("connected")) << silent->Snapshot();
  EXPECT_TRUE(SshFails("head", "n1"));
  silent.reset();
  EXPECT_TRUE(WaitUntil([&] { return Ssh("head", {"n1", "true"}).exit_code == 0; }));
}

TEST_F(ClusterSelfTest, CoresAreHandedOutInTurn) {
  ASSERT_TRUE(StartCluster({.nodes = 3, .cores_per_node = 1}));
  std::set<std::string> lists;
  for (const std::string name : {"n1", "n2", "n3"}) {
    EXPECT_EQ(RunIn(name, {"nproc"}).out, "1\n");
    const CommandResult result = Ssh("head", {name, "grep Cpus_allowed_list /proc/self/status"});
    EXPECT_EQ(result.exit_code, 0) << result;
    lists.insert(result.out);
  }
  EXPECT_EQ(lists.size(), std::min(3u, std::thread::hardware_concurrency()));
}

TEST_F(ClusterSelfTest, ExecGivesCodeSignalAndStdin) {
  ASSERT_TRUE(StartCluster({.nodes = 1}));
  for (const std::string node : {"head", "n1"}) {
    EXPECT_TRUE(ExitedWith(RunIn(node, {"/bin/sh", "-c", "exit 7"}), 7));
    EXPECT_TRUE(ExitedWith(RunIn(node, {"no-such-program"}), 127));
    EXPECT_EQ(RunIn(node, {"/bin/sh", "-c", "kill -9 $$"}).signo, SIGKILL);
    CommandOptions options;
    options.stdin_kind = StdinKind::kBytes;
    options.stdin_bytes = "typed";
    EXPECT_EQ(RunIn(node, {"cat"}, options).out, "typed");
    auto waits = StartIn(node, {"/bin/sh", "-c",
                                "trap 'echo told; exit 3' TERM; echo waits; "
                                "while :; do sleep 0.02; done"});
    ASSERT_TRUE(waits->WaitForText("waits"));
    waits->Signal(SIGTERM);
    EXPECT_TRUE(ExitedWith(waits->Wait(), 3));
  }
}

TEST_F(ClusterSelfTest, TwoClustersLiveSideBySide) {
  ASSERT_TRUE(StartCluster({.nodes = 2}));
  {
    Cluster other({.nodes = 2});
    ASSERT_TRUE(other.ok()) << other.error();
    ASSERT_NE(other.id(), cluster().id());
    EXPECT_NE(AddressIn(other.Status().out, "n1"), AddressIn(cluster().Status().out, "n1"));
    ASSERT_TRUE(ExitedWith(Run(other.In("n1", {"touch", "/tmp/other"})), 0));
    EXPECT_TRUE(ExitedWith(RunIn("n1", {"test", "-e", "/tmp/other"}), 1));
    EXPECT_EQ(Connect("head", AddressIn(other.Status().out, "n1"), "22"),
              "[Errno 101] Network is unreachable\n");
    EXPECT_TRUE(ExitedWith(other.Cut("n2"), 0));
    EXPECT_EQ(Ssh("head", {"n2", "hostname"}).out, "n2\n");
    const CommandResult which = Run({Script(), "env"});
    EXPECT_TRUE(StderrNames(which, {"--id", cluster().id(), other.id()}));
  }
  EXPECT_EQ(Ssh("head", {"n2", "hostname"}).out, "n2\n");
}

TEST_F(ClusterSelfTest, DownLeavesNothing) {
  Cluster cluster({.nodes = 3, .cores_per_node = 1});
  ASSERT_TRUE(cluster.ok()) << cluster.error();
  const Parts parts = PartsOf(cluster, 3);
  const size_t cpusets = Exists("/sys/fs/cgroup/cpuset") ? 1 : 0;
  EXPECT_EQ(Lines(WhatIsLeftOf(parts)).size(), 1 + 3 + 3 + 1 + 1 + cpusets);  // it does see things
  RunningCommand in_head(cluster.In("head", {"sleep", "1234"}), Prepare());
  RunningCommand in_node(cluster.In("n3", {"sleep", "1234"}), Prepare());
  // The head's, three nodes' and their sshd, and the sleeps; `exec` itself waits in the third node.
  ASSERT_TRUE(WaitUntil([&] { return ProcessesIn(parts.net_namespaces).size() == 1 + 6 + 1 + 2; }));
  EXPECT_TRUE(ExitedWith(cluster.Down(), 0));
  EXPECT_TRUE(NothingLeftOf(parts));
  EXPECT_EQ(in_head.Wait().signo, SIGTERM);
  EXPECT_EQ(in_node.Wait().signo, SIGKILL);
}

TEST_F(ClusterSelfTest, EndsWithItsOwner) {
  RunningCommand owner({"sleep", "1234"});
  const CommandResult up = Run({Script(), "up", "2", "--owner", std::to_string(owner.pid())});
  ASSERT_TRUE(ExitedWith(up, 0));
  const std::string directory = "/run/rexcluster/" + Lines(up.out).at(0);
  const CommandResult status = Run({Script(), "--id", Lines(up.out).at(0), "status"});
  const Parts parts{
      directory,
      {NetNamespace(PidIn(status.out, "n1")), NetNamespace(PidIn(status.out, "head"))},
      PidIn(status.out, "supervisor")};
  ASSERT_TRUE(Exists(directory));
  owner.Signal(SIGKILL);
  EXPECT_TRUE(NothingLeftOf(parts));
}

TEST_F(ClusterSelfTest, WhatAKilledSupervisorLeavesIsStale) {
  Cluster cluster({.nodes = 2, .cores_per_node = 1});
  ASSERT_TRUE(cluster.ok()) << cluster.error();
  const Parts parts = PartsOf(cluster, 2);
  RunningCommand in_head(cluster.In("head", {"sleep", "1234"}), Prepare());
  ASSERT_TRUE(WaitUntil([&] { return ProcessesIn(parts.net_namespaces).size() == 3 + 2 + 1; }));
  ::kill(parts.supervisor, SIGKILL);
  // The nodes die with it; who cleans up may be another test's `up`.
  ASSERT_TRUE(WaitUntil([&] { return ProcessesIn(parts.net_namespaces).size() <= 1; }));
  EXPECT_TRUE(ExitedWith(Run({Script(), "down", "--stale"}), 0));
  EXPECT_TRUE(NothingLeftOf(parts));
}

TEST_F(ClusterSelfTest, SaysWhatIsWrongWithARequest) {
  const struct {
    std::vector<std::string> words;
    int code;
    std::vector<std::string> names;
  } kCases[] = {
      {{"up", "33"}, kExitUsage, {"33", "1 to 32"}},
      {{"up", "2", "--rate", "fast"}, 1, {"fast", "100mbit"}},
      {{"up", "2", "--hide", "n3:/usr"}, 1, {"n3", "n2"}},
      {{"up", "2", "--hide", "/no/such/path"}, 1, {"/no/such/path"}},
      {{"up", "2", "--share", "/no/such/dir"}, 1, {"/no/such/dir"}},
      {{"up", "2", "--owner", "999999999"}, 1, {"--owner"}},
      {{"up", "2", "--max-startups", "many"}, 1, {"sshd", "MaxStartups"}},
      {{"--id", "nosuch", "down"}, 1, {"nosuch"}},
  };
  for (const auto& c : kCases) {
    std::vector<std::string> argv{Script()};
    argv.insert(argv.end(), c.words.begin(), c.words.end());
    const CommandResult result = Run(argv);
    EXPECT_TRUE(ExitedWith(result, c.code));
    EXPECT_TRUE(StderrNames(result, c.names));
  }
  ASSERT_TRUE(StartCluster({.nodes = 1}));
  EXPECT_TRUE(StderrNames(cluster().Cut("n2"), {"n2", "n1"}));
}

TEST_F(ClusterSelfTest, OthersThanRootAreToldWhyNot) {
  const CommandResult result =
      Run({"setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=+dac_override",
           "--ambient-caps=+dac_override",  // wherever the tree is
           Script(), "check"});
  EXPECT_TRUE(ExitedWith(result, 77));
  EXPECT_TRUE(StderrNames(result, {"only root"}));
}

}  // namespace
}  // namespace rex::testing
