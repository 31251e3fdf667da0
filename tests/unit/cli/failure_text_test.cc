#include "launcher/cli/failure_text.h"

#include <gtest/gtest.h>

#include <csignal>

namespace rex {
namespace {

using Lines = std::vector<std::string>;

Failure OfRank(FailureKind kind) {
  Failure f;
  f.kind = kind;
  f.rank = 3;
  f.node = "n1";
  f.pid = 1234;
  f.program = "./app";
  return f;
}

Lines Text(const Failure& f, int exit_code = 1) { return FailureLines({exit_code, f, {}, {}}); }

TEST(FailureText, NothingToSayAfterSuccess) { EXPECT_EQ(Text({}, 0), Lines{}); }

TEST(FailureText, CodeWithoutAReason) {
  EXPECT_EQ(Text({}, 9), Lines{"the job ended with exit code 9"});
}

TEST(FailureText, RankExit) {
  Failure f = OfRank(FailureKind::kRankExit);
  f.code = 7;
  EXPECT_EQ(Text(f), Lines{"rank 3 on node n1 (pid 1234, ./app) exited with code 7"});
  f.others = 1;
  EXPECT_EQ(Text(f), Lines{"rank 3 on node n1 (pid 1234, ./app) exited with code 7 (and 1 more "
                           "rank failed)"});
  f.others = 2;
  EXPECT_EQ(Text(f), Lines{"rank 3 on node n1 (pid 1234, ./app) exited with code 7 (and 2 more "
                           "ranks failed)"});
}

TEST(FailureText, Exit127PointsAtLibraries) {
  Failure f = OfRank(FailureKind::kRankExit);
  f.code = 127;
  EXPECT_EQ(Text(f), (Lines{"rank 3 on node n1 (pid 1234, ./app) exited with code 127",
                            "  code 127 often means that a shared library is missing: 'ldd ./app' "
                            "shows which"}));
  f.remedy = "the head knows better";
  EXPECT_EQ(Text(f)[1], "  the head knows better");
}

TEST(FailureText, RankSignal) {
  Failure f = OfRank(FailureKind::kRankSignal);
  f.signo = SIGSEGV;
  f.core_dumped = true;
  EXPECT_EQ(Text(f), Lines{"rank 3 on node n1 (pid 1234, ./app) was ended by signal 11 "
                           "(Segmentation fault), core dumped"});
  f.signo = SIGKILL;
  f.core_dumped = false;
  EXPECT_EQ(Text(f), Lines{"rank 3 on node n1 (pid 1234, ./app) was ended by signal 9 (Killed), no "
                           "core dumped"});
  f.signo = 40;  // a real-time signal
  EXPECT_EQ(Text(f), Lines{"rank 3 on node n1 (pid 1234, ./app) was ended by signal 40 (unknown), "
                           "no core dumped"});
}

TEST(FailureText, Abort) {
  Failure f = OfRank(FailureKind::kAbort);
  f.code = -5;
  f.detail = "out of cheese";
  EXPECT_EQ(Text(f), (Lines{"rank 3 on node n1 (pid 1234, ./app) aborted the job with code -5",
                            "  out of cheese"}));
}

TEST(FailureText, NoFinalize) {
  EXPECT_EQ(Text(OfRank(FailureKind::kNoFinalize)),
            (Lines{"rank 3 on node n1 (pid 1234, ./app) exited with code 0 after MPI_Init but "
                   "without MPI_Finalize",
                   "  call MPI_Finalize, or MPI_Abort, on every way out of the program"}));
}

TEST(FailureText, NoInit) {
  EXPECT_EQ(Text(OfRank(FailureKind::kNoInit)),
            (Lines{"rank 3 on node n1 (pid 1234, ./app) exited with code 0 without MPI_Init, and "
                   "other ranks called it",
                   "  a rank that calls MPI_Init waits for every rank of its job: start programs "
                   "without MPI by a rexlaunch of their own"}));
}

TEST(FailureText, Timeout) {
  Failure f;
  f.kind = FailureKind::kTimeout;
  EXPECT_EQ(Text(f), (Lines{"the job was ended because its time limit was over",
                            "  the limit comes from --timeout or the environment variable "
                            "MPIEXEC_TIMEOUT"}));
}

TEST(FailureText, UserSignal) {
  Failure f;
  f.kind = FailureKind::kUserSignal;
  f.signo = SIGTERM;
  EXPECT_EQ(Text(f), Lines{"the job was ended because rexlaunch got signal 15 (Terminated)"});
}

TEST(FailureText, ProgramsAndDirectories) {
  Failure f = OfRank(FailureKind::kProgramNotFound);
  f.detail = "no such file";
  f.remedy = "check the path";
  EXPECT_EQ(Text(f), (Lines{"program './app' was not found on node n1", "  no such file",
                            "  check the path"}));
  f.kind = FailureKind::kProgramNotRunnable;
  EXPECT_EQ(Text(f)[0], "program './app' cannot be executed on node n1");
  f.kind = FailureKind::kWdirMissing;
  EXPECT_EQ(Text(f)[0], "the working directory for program './app' cannot be entered on node n1");
}

TEST(FailureText, OfRexItself) {
  Failure f;
  f.kind = FailureKind::kNoResources;
  f.node = "n1";
  EXPECT_EQ(Text(f), Lines{"the job could not be started: out of resources on node n1"});
  f.kind = FailureKind::kRefused;
  EXPECT_EQ(Text(f), Lines{"the job was refused on node n1"});
  f.kind = FailureKind::kInternal;
  f.detail = "line one\n\nline two";
  EXPECT_EQ(Text(f),
            (Lines{"a process of rex failed on node n1", "  line one", "  line two",
                   "  try again with REX_LOG=debug set; if it fails again, please report those "
                   "lines"}));
}

TEST(FailureText, NodeStart) {
  Failure f;
  f.kind = FailureKind::kNodeStart;
  f.node = "n7";
  f.detail = "ssh ended with code 255: ssh: connect to host n7 port 22: Connection refused";
  const std::string remedy =
      "  no rank was started; try 'ssh n7 true' by hand: it has to work without a password or a "
      "question (--start-timeout gives a slow node more time, --prefix says where rex is installed "
      "there)";
  EXPECT_EQ(Text(f, 120), (Lines{"node n7 could not be started",
                                 "  ssh ended with code 255: ssh: connect to host n7 port 22: "
                                 "Connection refused",
                                 remedy}));
  f.others = 1;
  EXPECT_EQ(Text(f)[0], "node n7 could not be started, nor could 1 more node");
  f.others = 31;
  EXPECT_EQ(Text(f)[0], "node n7 could not be started, nor could 31 more nodes");
  f.remedy = "is sshd running there?";
  EXPECT_EQ(Text(f)[2], "  is sshd running there?");
}

TEST(FailureText, NodeLost) {
  Failure f;
  f.kind = FailureKind::kNodeLost;
  f.node = "n7";
  f.detail = "nothing was heard of it for 120 s";
  EXPECT_EQ(Text(f, 119),
            (Lines{"node n7 was lost", "  nothing was heard of it for 120 s",
                   "  all ranks were ended, those on other nodes too; look whether 'n7' is up, and "
                   "there for a process that was killed for lack of memory (journalctl -k); "
                   "--node-timeout says how long silence is no loss"}));
  f.others = 1;
  EXPECT_EQ(Text(f)[0], "node n7 was lost, and with it 1 more node");
  f.others = 5;
  EXPECT_EQ(Text(f)[0], "node n7 was lost, and with it 5 more nodes");
  f.node = "";
  EXPECT_EQ(Text(f)[0], "a node was lost, and with it 5 more nodes");
}

TEST(FailureText, EveryKindHasAText) {
  for (int kind = 0; kind <= kLastFailureKind; ++kind) {
    Failure f;
    f.kind = static_cast<FailureKind>(kind);
    const Lines lines = Text(f);
    ASSERT_FALSE(lines.empty());
    EXPECT_NE(lines[0], "the job failed");
    EXPECT_EQ(lines[0].find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace rex
