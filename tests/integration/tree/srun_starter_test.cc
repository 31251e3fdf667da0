// What SrunStarter makes of Slurm's lines when a step comes to nothing, in each order in which they
// may come. The srun is a script of the test's; what the agents would do the test does.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "launcher/base/fd.h"
#include "launcher/tree/join_lines.h"
#include "launcher/tree/srun_starter.h"
#include "tests/support/nothing_left.h"

namespace rex::testing {
namespace {

constexpr char kKilled[] =
    "0: slurmstepd-n1: error: *** STEP 1.0 ON n1 CANCELLED AT 2026-11-26T21:42:02 ***";
constexpr char kNotLaunched[] =
    "srun: error: Task launch for StepId=1.0 failed on node n2: Unable to contact slurmd";
constexpr char kAborted[] =
    "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.";
constexpr char kTaskKilled[] = "srun: error: n1: task 0: Killed";

bool Has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

Result<std::string> PlainCredential(std::string_view, std::chrono::seconds) {
  return std::string("credential");
}

// Two nodes: n1 is task 0, n2 task 1.
class SrunStarterTest : public ::testing::Test {
 protected:
  SrunStarterTest() {
    ::signal(SIGPIPE, SIG_IGN);
    for (const auto& [name, value] : left_.Environment()) ::setenv(name.c_str(), value.c_str(), 1);
    path_ = std::getenv("PATH");
    ::setenv("PATH", (left_.work_dir() + ":" + path_).c_str(), 1);
    options_.rexd = "/opt/rex/rexd";
    options_.kind = BootstrapKind::kSlurm;
  }
  ~SrunStarterTest() override { ::setenv("PATH", path_.c_str(), 1); }
  void TearDown() override {
    starter_.reset();
    RunUntil([this] { return children_.size() == 0; });
    for (const auto& thing : left_.Check()) ADD_FAILURE() << thing;
  }

  // An srun that reads the credential, has n1 greet, and runs `then`.
  void Start(const std::string& then) {
    const std::string file = left_.work_dir() + "/srun";
    std::ofstream(file) << "#!/bin/sh\nread -r credential\nprintf '0: " << kMarkerStart
                        << "1 n1\\n'\n"
                        << then;
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    BroadcastTicket ticket;
    ticket.version = "1";
    ticket.key = &key_;
    ticket.port = 1;
    ticket.parent_name = "head";
    starter_ = std::make_unique<SrunStarter>(
        loop_, children_, options_, ticket,
        SrunStarter::Handlers{[this](const StartFailure& failure) {
                                told_.push_back(failure.name);
                                failures_[failure.name] = failure;
                              },
                              [](const NodeSpec&, const std::string&) {}},
        PlainCredential);
    starter_->Add({NodeId{1}, "n1", "", 0});
    starter_->Add({NodeId{2}, "n2", "", 0});
  }
  bool RunUntil(const std::function<bool()>& condition) {
    bool late = false;
    Timer deadline(loop_, [&late] { late = true; });
    deadline.Set(std::chrono::seconds(60));
    while (!condition() && !late) loop_.RunOnce();
    return condition();
  }
  static std::string Say(const std::vector<std::string>& lines) {
    std::string script;
    for (const std::string& line : lines) script += "echo '" + line + "' >&2\n";
    return script;
  }
  void Lose(NodeId node) {
    starter_->ExplainLoss(node, "the connection was closed", [this](const std::string& text) {
      told_.push_back("loss");
      loss_ = text;
    });
  }

  NothingLeft left_;
  EventLoop loop_;
  ChildTable children_{loop_};
  TreeOptions options_;
  LinkKey key_ = MakeLinkKey();
  std::string path_;
  std::unique_ptr<SrunStarter> starter_;
  std::map<std::string, StartFailure> failures_;
  std::vector<std::string> told_;
  std::string loss_;
};

std::vector<std::vector<std::string>> EveryOrder(std::vector<std::string> lines) {
  std::vector<std::vector<std::string>> orders;
  std::sort(lines.begin(), lines.end());
  do {
    orders.push_back(lines);
  } while (std::next_permutation(lines.begin(), lines.end()));
  return orders;
}

TEST_F(SrunStarterTest, TheNodeThatWasNotLaunchedIsNamedInEveryOrder) {
  for (const auto& lines : EveryOrder({kKilled, kNotLaunched, kAborted, kTaskKilled})) {
    failures_.clear();
    Start(Say(lines) + "exit 1\n");
    ASSERT_TRUE(RunUntil([&] { return failures_.size() == 2; })) << Say(lines);
    EXPECT_TRUE(Has(failures_["n2"].cause, "failed on node n2")) << failures_["n2"].cause;
    EXPECT_TRUE(Has(failures_["n2"].remedy, "is slurmd running")) << failures_["n2"].remedy;
    EXPECT_TRUE(Has(failures_["n1"].cause, "because of node n2")) << failures_["n1"].cause;
  }
}

// n1 is ready, and lost before srun has said why.
TEST_F(SrunStarterTest, AReadyNodeThatTheStepTakesAlongIsToldAfterTheOtherOnesFailure) {
  const std::string gate = left_.work_dir() + "/gate";
  ASSERT_EQ(::mkfifo(gate.c_str(), 0600), 0);
  const UniqueFd open_gate(::open(gate.c_str(), O_RDWR | O_CLOEXEC));
  for (const auto& lines : EveryOrder({kKilled, kNotLaunched, kTaskKilled})) {
    told_.clear();
    failures_.clear();
    Start("read -r go < " + gate + "\n" + Say(lines) + "exit 1\n");
    ASSERT_TRUE(RunUntil([&] { return !starter_->ProcessIds().empty(); }));
    starter_->OnHandshake(NodeId{1});
    ASSERT_TRUE(starter_->OnFacts(NodeId{1}));
    Lose(NodeId{1});
    EXPECT_TRUE(told_.empty());
    ASSERT_TRUE(WriteAll(open_gate.get(), "go\n"));
    ASSERT_TRUE(RunUntil([&] { return told_.size() == 2; })) << Say(lines);
    EXPECT_EQ(told_, (std::vector<std::string>{"n2", "loss"})) << Say(lines);
    EXPECT_TRUE(Has(failures_["n2"].cause, "failed on node n2")) << failures_["n2"].cause;
    EXPECT_TRUE(Has(loss_, "because of node n2")) << loss_;
  }
}

TEST_F(SrunStarterTest, AStepThatIsCancelledWhileNodesStartIsNobodysFault) {
  for (const auto& lines : EveryOrder({kKilled, kTaskKilled, "srun: error: n2: task 1: Killed"})) {
    failures_.clear();
    Start(Say(lines) + "exit 1\n");
    ASSERT_TRUE(RunUntil([&] { return failures_.size() == 2; })) << Say(lines);
    EXPECT_TRUE(Has(failures_["n1"].cause, "CANCELLED AT")) << failures_["n1"].cause;
    EXPECT_FALSE(Has(failures_["n2"].cause, "because of")) << failures_["n2"].cause;
  }
}

}  // namespace
}  // namespace rex::testing
