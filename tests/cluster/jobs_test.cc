// Jobs over real nodes: what holds on one machine holds across nodes.
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "launcher/base/descendants.h"
#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

using JobsTest = NodesTest;

struct Shape {
  int nodes;
  int ranks;  // on each node
};

void PrintTo(const Shape& shape, std::ostream* os) {
  *os << shape.nodes << " nodes with " << shape.ranks << " ranks each";
}

std::string ShapeName(const ::testing::TestParamInfo<Shape>& info) {
  return std::to_string(info.param.nodes) + "NodesOf" + std::to_string(info.param.ranks);
}

class MpiOverNodes : public NodesTest, public ::testing::WithParamInterface<Shape> {
 protected:
  int size() const { return GetParam().nodes * GetParam().ranks; }
  std::string WithSize(const std::string& before, const std::string& after) const {
    return before + std::to_string(size()) + after;
  }
  CommandResult RunMpi(const std::vector<std::string>& program) {
    std::vector<std::string> args{"--host", Hosts(GetParam().nodes, GetParam().ranks)};
    args.insert(args.end(), program.begin(), program.end());
    CommandResult result = RexOnHead(args);
    EXPECT_TRUE(ExitedWith(result, 0));
    return result;
  }
  void ExpectLine(const std::vector<std::string>& program, const std::string& line) {
    EXPECT_TRUE(Contains(RunMpi(program).out, line));
  }
};

TEST_P(MpiOverNodes, EveryProgramDoesWhatItDoesOnOne) {
  ASSERT_TRUE(StartNodes(GetParam().nodes));
  const CommandResult hello = RunMpi({ProgramPath("mpi_hello")});
  for (int rank = 0; rank < size(); ++rank) {
    EXPECT_TRUE(Contains(hello.out, "hello rank=" + std::to_string(rank) + WithSize(" size=", "") +
                                        " node=n" + std::to_string(rank / GetParam().ranks + 1)));
  }
  ExpectLine({ProgramPath("mpi_ring")}, WithSize("ring size=", " token="));
  ExpectLine({ProgramPath("mpi_collectives"), std::to_string(GetParam().ranks)},
             WithSize("collectives size=", " failures=0"));
  // Open MPI's own choice (osc rdma) can't do it over TCP, under mpirun neither.
  ExpectLine({"--mca", "osc", "pt2pt", ProgramPath("mpi_rma")}, WithSize("rma size=", " wrong=0"));
  ExpectLine({ProgramPath("mpi_io"), left().work_dir() + "/data"},
             WithSize("io size=", " wrong=0"));
  ExpectLine({ProgramPath("mpi_publish")}, WithSize("publish size=", " wrong=0"));
  ExpectLine({"/usr/bin/python3", ProgramPath("mpi4py_check.py")}, WithSize(" size=", " ok=1"));
}

INSTANTIATE_TEST_SUITE_P(Shapes, MpiOverNodes, ::testing::Values(Shape{2, 2}, Shape{4, 1}),
                         ShapeName);

TEST_F(JobsTest, ProgramsOfOneJobOnNodesOfTheirOwn) {
  ASSERT_TRUE(StartNodes(3));
  const CommandResult result =
      RexOnHead({"--host", "n1:2,n2:2", "-n", "3", ProgramPath("mpi_hello"), ":", "--host", "n3",
                 "-n", "1", ProgramPath("mpi_info_env")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "hello rank=1 size=4 node=n1")) << result;
  EXPECT_TRUE(Contains(result.out, "hello rank=2 size=4 node=n2")) << result;
  EXPECT_TRUE(Contains(result.out, "rank=3 attr.appnum=1")) << result;
}

TEST_F(JobsTest, ThisMachineIsANodeAmongOthers) {
  ASSERT_TRUE(StartNodes(2));
  const CommandResult result =
      RexOnHead({"--host", "n1,head:2,n2,localhost", "--map-by", "slot", ProgramPath("mpi_hello")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "hello rank=0 size=5 node=n1")) << result;
  for (const char* rank : {"1", "2", "3"}) {
    EXPECT_TRUE(Contains(result.out, std::string("rank=") + rank + " size=5 node=head")) << result;
  }
  EXPECT_TRUE(Contains(result.out, "hello rank=4 size=5 node=n2")) << result;
}

// ---- output and input

void ExpectWholeLines(const CommandResult& result, int ranks, long count) {
  std::vector<long> next(static_cast<size_t>(ranks), 0);
  for (const auto& line : Lines(result.out)) {
    const long long rank = NumberAfter(line, "rank");
    ASSERT_TRUE(rank >= 0 && rank < ranks) << "mixed line: '" << line << "'";
    long& number = next[static_cast<size_t>(rank)];
    ASSERT_EQ(line, "rank=" + std::to_string(rank) + " line=" + std::to_string(number) +
                        " abcdefghijklmnopqrstuvwxyz");
    ++number;
  }
  for (const long number : next) EXPECT_EQ(number, count);
}

TEST_F(JobsTest, TwentyThousandLinesOfEachRankArriveWholeAndInOrder) {
  ASSERT_TRUE(StartNodes(3));
  const CommandResult result =
      RexOnHead({"--host", Hosts(3, 2), TestProgram(), "lines", "20000", "3"});
  ASSERT_TRUE(ExitedWith(result, 0));
  ExpectWholeLines(result, 6, 20000);
}

TEST_F(JobsTest, BytesOfARankOnAnotherNodeAreExact) {
  ASSERT_TRUE(StartNodes(1));
  const CommandResult result = RexOnHead({"--host", "n1", TestProgram(), "binary", "3000001"});
  ASSERT_TRUE(ExitedWith(result, 0));
  ASSERT_EQ(result.out.size(), 3000001u);
  EXPECT_TRUE(Contains(result.err, "fnv=" + Fnv(result.out)));
}

TEST_F(JobsTest, StdinGoesToTheRankOnAnotherNodeAndToAll) {
  ASSERT_TRUE(StartNodes(2));
  CommandOptions options;
  options.stdin_kind = StdinKind::kBytes;
  for (int i = 0; i < 60000; ++i) options.stdin_bytes += "line " + std::to_string(i) + "\n";
  const std::string hash = "fnv=" + Fnv(options.stdin_bytes);
  const CommandResult one =
      RexOnHead({"--host", Hosts(2, 2), "--stdin", "3", TestProgram(), "stdin-hash"}, options);
  EXPECT_TRUE(ExitedWith(one, 0));
  EXPECT_EQ(CountOf(one.err, hash), 1u) << one;
  const CommandResult all =
      RexOnHead({"--host", Hosts(2, 2), "--stdin", "all", TestProgram(), "stdin-hash"}, options);
  EXPECT_TRUE(ExitedWith(all, 0));
  EXPECT_EQ(CountOf(all.err, hash), 4u) << all;
}

// ---- directory and environment

TEST_F(JobsTest, ANodeWithoutTheDirectoryStartsInTheHomeAndSaysSo) {
  ASSERT_TRUE(StartCluster({.nodes = 2}));  // the work directory is the head's alone
  const CommandResult result = RexOnHead({"--host", "head,n2", TestProgram(), "cwd"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "cwd rank=0 dir=" + left().work_dir())) << result;
  EXPECT_TRUE(Contains(result.out, "cwd rank=1 dir=/root")) << result;
  EXPECT_TRUE(StderrNames(result, {"n2", "no directory", left().work_dir(), "/root"}));
}

TEST_F(JobsTest, ADirectoryThatWasAskedForAndIsMissingEndsTheJob) {
  ASSERT_TRUE(StartNodes(2));
  const std::string dir = "/run/lock/here";
  Shell("n1", "mkdir " + dir);
  const CommandResult result = RexOnHead({"--host", "n1,n2", "--wdir", dir, TestProgram(), "cwd"});
  ExpectFailure(result, kExitNoWdir, {"node n2", dir});
  EXPECT_EQ(result.out, "");
}

TEST_F(JobsTest, AProgramThatIsMissingOnOneNodeIsNamedWithIt) {
  ASSERT_TRUE(StartNodes(2));
  PutFile("n1", "program", "#!/bin/sh\ntrue\n", 0755);
  const CommandResult result = RexOnHead({"--host", "n1,n2", "/run/lock/program"});
  ExpectFailure(result, kExitNotFound, {"node n2", "/run/lock/program"});
}

TEST_F(JobsTest, TheEnvironmentGoesAlongWithoutWhatBelongsToTheLogin) {
  ASSERT_TRUE(StartNodes(1));
  CommandOptions options;
  options.set_env = {
      {"MINE", "with 'quotes'\nand lines"}, {"DISPLAY", "head:0"}, {"SSH_AUTH_SOCK", "/head"}};
  const auto run = [&](const std::vector<std::string>& words) {
    std::vector<std::string> args{"--host", "n1"};
    args.insert(args.end(), words.begin(), words.end());
    args.insert(args.end(), {TestProgram(), "env", "MINE", "DISPLAY", "SSH_AUTH_SOCK", "EXTRA"});
    CommandResult result = RexOnHead(args, options);
    EXPECT_TRUE(ExitedWith(result, 0));
    return result.out;
  };
  const std::string all = run({"-x", "EXTRA=more"});
  EXPECT_TRUE(Contains(all, "MINE=with 'quotes'\nand lines\n"));
  EXPECT_TRUE(Contains(all, "DISPLAY unset"));
  EXPECT_TRUE(Contains(all, "SSH_AUTH_SOCK unset"));
  EXPECT_TRUE(Contains(all, "EXTRA=more"));
  const std::string none = run({"--export", "none", "-x", "EXTRA=more"});
  EXPECT_TRUE(Contains(none, "MINE unset"));
  EXPECT_TRUE(Contains(none, "EXTRA=more"));
}

// ---- ends

TEST_F(JobsTest, TheCodeOfTheRankThatFailedOnAnotherNode) {
  ASSERT_TRUE(StartNodes(2));
  const CommandResult exited = RexOnHead(
      {"--host", Hosts(2), TestProgram(), "at", "1", "exit", "7", "else", "sleep", "60000"});
  ExpectFailure(exited, 7, {"rank 1", "node n2", "code 7"});
  const CommandResult signalled = RexOnHead(
      {"--host", Hosts(2), TestProgram(), "at", "1", "signal", "6", "else", "sleep", "60000"});
  ExpectFailure(signalled, kExitSignalBase + SIGABRT, {"rank 1", "node n2", "signal 6"});
  const CommandResult aborted = RexOnHead({"--host", Hosts(2), ProgramPath("mpi_abort"), "1", "9"});
  ExpectFailure(aborted, 9, {"rank 1", "node n2", "aborted", "code 9"});
}

TEST_F(JobsTest, AKilledRankOnAnotherNodeEndsTheJob) {
  ASSERT_TRUE(StartNodes(2));
  auto job = StartReady({"--host", Hosts(2, 2), ProgramPath("mpi_phases"), "0", "120000"},
                        "phase=initialized", 4);
  ASSERT_TRUE(SignalOn("n2", "mpi_phases", SIGKILL));
  ExpectFailure(job->Wait(seconds(20)), kExitSignalBase + SIGKILL,
                {"rank", "node n2", "pid", "signal 9"});
}

TEST_F(JobsTest, AnInterruptEndsRanksEverywhereAndASecondOneKillsThem) {
  ASSERT_TRUE(StartNodes(2));
  auto clean =
      StartReady({"--host", Hosts(2), TestProgram(), "clean-term", "50", "0"}, "waiting rank=", 2);
  clean->Signal(SIGINT);
  const CommandResult cleaned = clean->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(cleaned, kExitSignalBase + SIGINT));
  EXPECT_EQ(CountOf(cleaned.out, "cleaned rank="), 2u) << cleaned;

  auto stubborn =
      StartReady({"--host", Hosts(2), "--grace", "100", TestProgram(), "ignore-term", "120000"},
                 "ignoring rank=", 2);
  stubborn->Signal(SIGINT);
  ASSERT_TRUE(stubborn->WaitForText("again")) << stubborn->Snapshot();
  stubborn->Signal(SIGINT);
  EXPECT_TRUE(ExitedWith(stubborn->Wait(seconds(20)), kExitSignalBase + SIGINT));
}

TEST_F(JobsTest, GraceHoldsOnAllNodes) {
  ASSERT_TRUE(StartNodes(2));
  auto job =
      StartReady({"--host", Hosts(2), "--grace", "0.5", TestProgram(), "ignore-term", "120000"},
                 "ignoring rank=", 2);
  job->Signal(SIGTERM);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGTERM));
}

TEST_F(JobsTest, SignalsReachRanksEverywhere) {
  ASSERT_TRUE(StartNodes(2));
  auto job = StartReady({"--host", Hosts(2, 2), TestProgram(), "catch", "60000", "12"},
                        "catching rank=", 4);
  const auto all_got = [&](const std::string& name) {
    return job->WaitUntil([&] { return CountOf(job->out(), "signal=" + name + "\n") == 4; });
  };
  // A CONT takes back a TSTP that is still pending: signal(7). A rank that found no time to run
  // between the two has seen none.
  const auto stopped_once = [&](int rank) {
    return CountOf(job->out(), "got rank=" + std::to_string(rank) + " signal=TSTP\n") > 0;
  };
  const auto all_stopped = [&] {
    return stopped_once(0) && stopped_once(1) && stopped_once(2) && stopped_once(3);
  };
  for (size_t round = 1; round <= 10 && !all_stopped(); ++round) {
    job->Signal(SIGTSTP);
    EXPECT_TRUE(job->WaitUntil([&] { return ReadProcess(job->pid()).state == 'T'; }));
    job->Signal(SIGCONT);
    EXPECT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "signal=CONT\n") == 4 * round; }))
        << job->Snapshot();
  }
  EXPECT_TRUE(all_stopped()) << job->Snapshot();
  job->Signal(SIGUSR1);
  EXPECT_TRUE(all_got("USR1")) << job->Snapshot();
  job->Signal(SIGUSR2);
  EXPECT_TRUE(all_got("USR2")) << job->Snapshot();
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), 0));
}

TEST_F(JobsTest, WhatARankOfAnotherNodeLeavesRunningIsEnded) {
  ASSERT_TRUE(StartNodes(2));
  EXPECT_TRUE(ExitedWith(
      RexOnHead({"--host", Hosts(2), TestProgram(), "grandchildren", "120000", "100"}), 0));
}

TEST_F(JobsTest, TheTimeLimitReportsTheStateOfRanksOnAllNodes) {
  ASSERT_TRUE(StartNodes(2));
  const CommandResult result =
      RexOnHead({"--host", Hosts(2), "--timeout", "3", "--report-state-on-timeout",
                 ProgramPath("mpi_phases"), "0", "120000"});
  ExpectFailure(result, kExitTimeout, {"rank 0", "rank 1", "n1", "n2"});
}

TEST_F(JobsTest, TheTimelineTellsOfEveryNode) {
  ASSERT_TRUE(StartNodes(2));
  const CommandResult result =
      RexOnHead({"--host", Hosts(2), "--timeline", "-", ProgramPath("mpi_hello")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {"n1", "n2", "nodes"}));
}

}  // namespace
}  // namespace rex::testing
