// A DVM that stays over real nodes, one of which is lost.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

using nlohmann::json;

class DvmOverNodesTest : public NodesTest {
 protected:
  CommandResult Ctl(const std::vector<std::string>& args) {
    std::vector<std::string> argv = {RexctlPath()};
    argv.insert(argv.end(), args.begin(), args.end());
    return RunIn("head", argv);
  }
  json Status() { return json::parse(Ctl({"status", "--json"}).out, nullptr, false); }
  static std::vector<std::string> Lines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  ::testing::AssertionResult Await(const char* what, const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(30);
    while (std::chrono::steady_clock::now() < end) {
      if (condition()) return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << what << " did not come";
  }
  // So many ranks that have a pid.
  ::testing::AssertionResult AwaitRanks(size_t count) {
    return Await("the ranks", [&] {
      const json ranks = json::parse(Ctl({"ps", "--json"}).out, nullptr, false)["ranks"];
      const auto born = std::count_if(ranks.begin(), ranks.end(), [](const json& rank) {
        return rank["state"] != "unborn" && rank["state"] != "ended";
      });
      return static_cast<size_t>(born) == count;
    });
  }
  ::testing::AssertionResult AwaitLost(const std::string& node) {
    return Await("the loss", [&] {
      const json status = Status();
      for (const json& each : status["nodes"]) {
        if (each["name"] == node) return each["state"] == "lost";
      }
      return false;
    });
  }
  void TearDown() override {
    Ctl({"stop"});
    NodesTest::TearDown();
  }
};

TEST_F(DvmOverNodesTest, ALostNodeEndsItsJobsByNameAndTheDvmGoesOn) {
  ASSERT_TRUE(StartNodes(3));
  const CommandResult started = Ctl({"start", "--host", Hosts(3, 2)});
  ASSERT_TRUE(ExitedWith(started, 0));
  const CommandResult all = RexOnHead({"--dvm", "default", "hostname"});
  EXPECT_TRUE(ExitedWith(all, 0));
  EXPECT_EQ(SortedLines(all.out), (std::vector<std::string>{"n1", "n1", "n2", "n2", "n3", "n3"}));
  const auto sleeper = [this](const std::string& node) {
    auto job =
        StartRexOnHead({"--dvm", "default", "--host", node, "-n", "1", ProgramPath("testprog"),
                        "then", "print", "awake", ",", "sleep", "600000"});
    EXPECT_TRUE(job->WaitForText("awake")) << job->Snapshot();
    return job;
  };
  auto there = sleeper("n2");
  auto other = sleeper("n1");
  ASSERT_TRUE(ExitedWith(cluster().Kill("n2"), 0));
  const CommandResult lost = there->Wait();
  EXPECT_TRUE(ExitedWith(lost, kExitNodeLost));
  EXPECT_TRUE(StderrNames(lost, {"node n2 was lost"}));
  EXPECT_FALSE(other->ended());
  EXPECT_EQ(Status()["nodes"][1]["state"], "lost");
  const CommandResult next =
      RexOnHead({"--dvm", "default", "-n", "2", "--map-by", "node", "hostname"});
  EXPECT_TRUE(ExitedWith(next, 0));
  EXPECT_EQ(SortedLines(next.out), (std::vector<std::string>{"n1", "n3"}));
  const CommandResult mpi =
      RexOnHead({"--dvm", "default", "-n", "2", "--map-by", "node", ProgramPath("mpi_ring")});
  EXPECT_TRUE(ExitedWith(mpi, 0));
  other->Signal(SIGTERM);
  EXPECT_TRUE(ExitedWith(other->Wait(), kExitSignalBase + SIGTERM));
  EXPECT_TRUE(ExitedWith(Ctl({"stop"}), 0));
}

// A program that rexlaunch has not started has its copies on other nodes; then it is killed.
TEST_F(DvmOverNodesTest, CopiesOfAToolEndEverywhereWithIt) {
  ASSERT_TRUE(StartNodes(3));
  ASSERT_TRUE(ExitedWith(Ctl({"start", "--host", Hosts(3, 2)}), 0));
  const CommandResult done = RunIn(
      "head", {ProgramPath("rexspawn_probe"), "on:n2,n3", "start:4:hostname; exit 3", "wait-all"});
  EXPECT_TRUE(ExitedWith(done, 0));
  EXPECT_EQ(CountOf(done.out, "code=3 signal=0"), 4U) << done;
  EXPECT_EQ(CountOf(done.out, "n2\n") + CountOf(done.out, "n3\n"), 4U) << done;
  auto tool = StartIn("head", {ProgramPath("rexspawn_probe"), "pid", "start:4:sleep 600", "on:n3",
                               "detached:1:sleep 600", "say:started", "wait"});
  ASSERT_TRUE(tool->WaitForText("started\n")) << tool->Snapshot();
  const CommandResult tree = Ctl({"ps", "--tree"});
  EXPECT_TRUE(Contains(tree.out, "\ntool ") || tree.out.starts_with("tool ")) << tree;
  EXPECT_TRUE(Contains(tree.out, " on n2,"));
  const size_t at = tool->out().find("pid ");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(::kill(std::atoi(tool->out().c_str() + at + 4), SIGKILL), 0);
  EXPECT_TRUE(AwaitRanks(1));
  const json left = json::parse(Ctl({"ps", "--json"}).out, nullptr, false)["ranks"];
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0]["node"], "n3");
  EXPECT_TRUE(ExitedWith(Ctl({"stop"}), 0));
}

// The parent is in MPI_Comm_spawn, its children on n2 have not come to MPI_Init.
TEST_F(DvmOverNodesTest, WhateverIsKilledOnANodeInMidSpawnCostsThatNode) {
  ASSERT_TRUE(StartNodes(4));
  ASSERT_TRUE(ExitedWith(Ctl({"start", "--host", Hosts(4, 2)}), 0));
  const std::vector<std::pair<std::string, std::string>> victims = {
      {"n2", "rexd-agent"}, {"n3", "rexd"}, {"n4", "rexd-pmix"}};
  for (const auto& [node, program] : victims) {
    CommandOptions bounded;
    bounded.timeout = seconds(60);
    auto job = StartRexOnHead(
        {"--dvm", "default", "--host", "n1", "-n", "1", ProgramPath("mpi_spawn"), "-n", "2", "-i",
         "host=" + node, "-p", PutFile(node, "sleeper", "#!/bin/sh\nexec sleep 600\n", 0755)},
        bounded);
    ASSERT_TRUE(AwaitRanks(3)) << program << job->Snapshot();
    for (const std::string& pid : Lines(RunIn(node, {"pgrep", "-x", program}).out)) {
      RunIn(node, {"kill", "-KILL", pid});
    }
    const CommandResult result = job->Wait();
    EXPECT_TRUE(ExitedWith(result, kExitNodeLost)) << program;
    EXPECT_TRUE(StderrNames(result, {node}));
    EXPECT_TRUE(AwaitRanks(0)) << program;
    EXPECT_TRUE(ExitedWith(RexOnHead({"--dvm", "default", "--host", "n1", "true"}), 0)) << program;
    EXPECT_TRUE(AwaitLost(node)) << Ctl({"status"});
  }
  EXPECT_EQ(RexOnHead({"--dvm", "default", "-n", "1", "hostname"}).out, "n1\n");
  EXPECT_TRUE(ExitedWith(Ctl({"stop"}), 0));
}

TEST_F(DvmOverNodesTest, ANodeThatDoesNotComeIsNamedAndNothingIsLeft) {
  ASSERT_TRUE(StartNodes(2));
  ASSERT_TRUE(ExitedWith(cluster().Cut("n2"), 0));
  const CommandResult started = Ctl({"start", "--host", Hosts(2), "--start-timeout", "3"});
  EXPECT_TRUE(ExitedWith(started, kExitNodeStart));
  EXPECT_TRUE(StderrNames(started, {"n2"}));
  EXPECT_TRUE(ExitedWith(Ctl({"status"}), 3));
}

}  // namespace
}  // namespace rex::testing
