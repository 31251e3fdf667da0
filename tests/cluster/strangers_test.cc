// Strangers: whoever can reach a node's TCP ports, or is another user of it, learns and changes
// nothing, and a job that runs meanwhile is unharmed.
#include <algorithm>

#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

constexpr char kPython[] = "/usr/bin/python3";

class StrangersTest : public NodesTest {
 protected:
  // A job of two ranks that ends, with 0, when the test says so.
  void StartJob() {
    CommandOptions options;
    options.stdin_kind = StdinKind::kPipe;
    job_ = StartReady({"--host", Hosts(2), "--stdin", "all", TestProgram(), "then", "print",
                       "here\\n", ",", "stdin-cat"},
                      "here\n", 2, options);
    port_ = ListeningPort();
  }
  // Text still makes its way to both ranks and back; then everything ends well.
  CommandResult EndJob() {
    job_->Write("still here\n");
    EXPECT_TRUE(job_->WaitUntil([&] { return CountOf(job_->out(), "still here\n") == 2; }))
        << job_->Snapshot();
    job_->CloseStdin();
    CommandResult result = job_->Wait(seconds(30));
    EXPECT_TRUE(ExitedWith(result, 0));
    return result;
  }
  // The head's agent listens on all addresses, and nobody else does (libpmix: loopback only).
  std::string ListeningPort() {
    const std::string found =
        RunIn("head", {kPython, "-c",
                       "for name in ('tcp6', 'tcp'):\n"
                       "  for line in open('/proc/net/' + name).readlines()[1:]:\n"
                       "    address, state = line.split()[1], line.split()[3]\n"
                       "    if state == '0A' and set(address.split(':')[0]) == {'0'}:\n"
                       "      print(int(address.split(':')[1], 16))\n"})
            .out;
    EXPECT_EQ(Lines(found).size(), 1u) << found;
    return Lines(found).empty() ? "" : Lines(found).front();
  }
  // `program` in python, from n2, with the names connect(), which gives a socket to the head's
  // agent, and gone(socket), which awaits its end and returns what was read.
  std::string Attack(const std::string& program) {
    const std::string prelude =
        "import os, socket, struct, sys, time\n"
        "def connect(): return socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)\n"
        "def gone(s):\n"
        "  data = b''\n"
        "  try:\n"
        "    while part := s.recv(65536): data += part\n"
        "  except ConnectionError: pass\n"
        "  return data\n";
    const CommandResult result =
        RunIn("n2", {kPython, "-c", prelude + program, cluster().Ipv4("head"), port_});
    EXPECT_TRUE(ExitedWith(result, 0));
    return result.out;
  }

  std::unique_ptr<RunningCommand> job_;
  std::string port_;
};

// A HELLO1 of node 2, as docs/protocol.md has it, without the key.
constexpr char kHello[] =
    "version = sys.argv[3] if len(sys.argv) > 3 else '0.1.0'\n"
    "hello = b'rexlink' + bytes([1]) + version.encode().ljust(32, b'\\0')\n"
    "hello += struct.pack('<III', 2, 0, 1) + os.urandom(32)\n";

TEST_F(StrangersTest, GarbageIsRefusedAndSaidOnceAtMost) {
  ASSERT_TRUE(StartNodes(2));
  StartJob();
  EXPECT_EQ(
      Attack("for i in range(30):\n"
             "  s = connect()\n"
             "  s.sendall(os.urandom(4096) if i % 2 else b'GET / HTTP/1.1\\r\\n\\r\\n' * 20)\n"
             "  assert gone(s) == b'', i\n"
             "print('refused')\n"),
      "refused\n");
  const CommandResult result = EndJob();
  EXPECT_LE(Lines(result.err).size(), 2u + 2u) << result;  // two lines of stdin-cat's own
}

TEST_F(StrangersTest, APeerWithoutTheKeyGetsNoFurtherThanItsProof) {
  ASSERT_TRUE(StartNodes(2));
  StartJob();
  EXPECT_EQ(Attack(std::string(kHello) +
                   "s = connect(); s.sendall(hello)\n"
                   "answer = s.recv(4096)\n"  // its own proof, which tells nothing
                   "print(len(answer))\n"
                   "s.sendall(b'rexlink' + bytes([3]) + version.encode().ljust(32, b'\\0') +\n"
                   "          os.urandom(32))\n"
                   "print(len(gone(s)))\n"
                   "# The parent's own proof sent back to it is none.\n"
                   "s = connect(); s.sendall(hello); answer = s.recv(4096)\n"
                   "if answer: s.sendall(b'rexlink' + bytes([3]) + answer[8:40] + answer[-32:])\n"
                   "print(len(gone(s)))\n"),
            "0\n0\n0\n");
  EndJob();
}

TEST_F(StrangersTest, HalfOpenConnectionsAndHugeFramesCostTheJobNothing) {
  ASSERT_TRUE(StartNodes(2));
  StartJob();
  EXPECT_EQ(
      Attack(std::string(kHello) +
             "open_ones = []\n"
             "for i in range(300):\n"
             "  s = connect(); open_ones.append(s)\n"
             "  if i % 3: s.sendall(hello[:i % 80])\n"
             "for i in range(10):\n"
             "  s = connect()\n"
             "  try:\n"
             "    s.sendall(hello + b'\\xff' * 72 + struct.pack('<I', 2**32 - 1) + bytes(10**6))\n"
             "  except ConnectionError: pass\n"
             "  gone(s)\n"
             "print(sum(len(gone(s)) for s in open_ones))\n"),
      "0\n");
  EndJob();
}

TEST_F(StrangersTest, TheKeyIsNowhereToBeSeenAndFilesAreTheUsersAlone) {
  ASSERT_TRUE(StartNodes(2));
  StartJob();
  // As another user of the node: no directory can be entered, no local socket is there to reach.
  const CommandResult found = RunIn(
      "n2",
      {"/bin/sh", "-c",
       "for d in /tmp/rex-* /dev/shm/rex-*; do stat -c '%a %u' $d; done;"
       "setpriv --reuid=65534 --regid=65534 --clear-groups "
       "sh -c 'cat /tmp/rex-*/* /dev/shm/rex-*/* 2>/dev/null | wc -c;"
       "for p in $(pgrep rexd); do cat /proc/$p/environ /proc/$p/maps 2>/dev/null; done | wc -c'"});
  EXPECT_TRUE(ExitedWith(found, 0));
  const std::vector<std::string> lines = Lines(found.out);
  ASSERT_GE(lines.size(), 3u) << found;
  for (size_t i = 0; i + 2 < lines.size(); ++i) EXPECT_EQ(lines[i], "700 0") << found;
  EXPECT_EQ(lines[lines.size() - 2], "0") << found;
  EXPECT_EQ(lines.back(), "0") << found;
  // Whoever reads command lines sees the marker's version at most.
  const std::string commands = RunIn("n2", {"ps", "-eo", "args"}).out;
  EXPECT_TRUE(Contains(commands, "--join"));
  EXPECT_EQ(CountOf(commands, "key"), 0u) << commands;
  EndJob();
}

}  // namespace
}  // namespace rex::testing
