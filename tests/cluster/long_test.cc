// The wide matrix, and what needs a minute.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "launcher/base/fd.h"
#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

class NodesLongTest : public NodesTest {
 protected:
  void ExpectLine(const std::string& hosts, const std::vector<std::string>& program,
                  const std::string& line) {
    std::vector<std::string> args{"--host", hosts};
    args.insert(args.end(), program.begin(), program.end());
    CommandOptions options;
    options.timeout = seconds(120);
    const CommandResult result = RexOnHead(args, options);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_TRUE(Contains(result.out, line)) << result;
  }
};

TEST_F(NodesLongTest, ProgramsOnTwoFourAndEightNodesWithOneTwoAndFourRanks) {
  ASSERT_TRUE(StartNodes(8));
  for (const int nodes : {2, 4, 8}) {
    for (const int ranks : {1, 2, 4}) {
      const std::string hosts = Hosts(nodes, ranks);
      const std::string size = "size=" + std::to_string(nodes * ranks);
      SCOPED_TRACE(hosts);
      ExpectLine(hosts, {ProgramPath("mpi_hello")}, size + " node=n" + std::to_string(nodes));
      ExpectLine(hosts, {ProgramPath("mpi_ring")}, "ring " + size);
      ExpectLine(hosts, {ProgramPath("mpi_collectives"), std::to_string(ranks)},
                 size + " failures=0");
      ExpectLine(hosts, {"--mca", "osc", "pt2pt", ProgramPath("mpi_rma")}, size + " wrong=0");
      ExpectLine(hosts, {ProgramPath("mpi_io"), left().work_dir() + "/data"}, size + " wrong=0");
      ExpectLine(hosts, {"/usr/bin/python3", ProgramPath("mpi4py_check.py")}, size + " ok=1");
    }
  }
}

TEST_F(NodesLongTest, AnAgentThatIsStoppedForAMinuteGoesOn) {
  ASSERT_TRUE(StartNodes(2));
  CommandOptions options;
  options.timeout = seconds(150);
  auto job =
      StartReady({"--host", Hosts(2), TestProgram(), "then", "sleep", "62000", ",", "lines", "100"},
                 "sleeping rank=", 2, options);
  ASSERT_TRUE(SignalOn("n2", "rexd-agent", SIGSTOP));
  EXPECT_FALSE(job->WaitUntil([&] { return job->ended(); }, seconds(60))) << job->Snapshot();
  ASSERT_TRUE(SignalOn("n2", "rexd-agent", SIGCONT));
  const CommandResult result = job->Wait(seconds(45));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "abcdefghijklmnopqrstuvwxyz\n"), 200u);
  EXPECT_TRUE(StderrNames(result, {"node n2", "15 s"}));
}

// More than 32 bits count: read, sent, kept and linked as real bytes, whatever the user's disk
// holds of it.
TEST_F(NodesLongTest, AFileOfMoreThanFourGigabytesIsSent) {
  const std::string big = "/tmp/big-" + std::to_string(::getpid());
  const off_t bytes = (off_t{4} << 30) + 300'000;
  const std::vector<std::pair<off_t, std::string>> marks = {{5, "first"},
                                                            {(off_t{2} << 30) - 3, "middle"},
                                                            {(off_t{4} << 30) - 3, "bounds"},
                                                            {bytes - 4, "last"}};
  ASSERT_TRUE(StartNodes(2));
  {
    const UniqueFd fd(::open(big.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(fd.get(), bytes), 0);
    for (const auto& [at, text] : marks) {
      ASSERT_EQ(::pwrite(fd.get(), text.data(), text.size(), at),
                static_cast<ssize_t>(text.size()));
    }
  }
  std::string script = "f=" + big.substr(5) + "; stat -Lc %s $f";
  std::vector<std::string> expected = {std::to_string(bytes)};
  for (const auto& [at, text] : marks) {
    script += "; tail -c +" + std::to_string(at + 1) + " $f | head -c " +
              std::to_string(text.size()) + "; echo";
    expected.push_back(text);
  }
  CommandOptions options;
  options.timeout = seconds(150);
  for (const bool first : {true, false}) {
    const CommandResult result =
        RexOnHead({"--timeline", "-", "--host", "n1,n2", "-n", "2", "--preload-files", big,
                   "--store-size", "5G", "--set-cwd-to-session-dir", "/bin/sh", "-c", script},
                  options);
    EXPECT_TRUE(ExitedWith(result, 0)) << result.err;
    for (const std::string& line : expected) {
      EXPECT_EQ(CountOf(result.out, line + "\n"), 2u) << line << ": " << result.out;
    }
    EXPECT_EQ(Contains(result.err, "all there: 0 bytes sent"), !first) << result.err;
  }
  ::unlink(big.c_str());
}

}  // namespace
}  // namespace rex::testing
