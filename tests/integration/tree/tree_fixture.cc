#include "tests/integration/tree/tree_fixture.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tests/support/paths.h"

namespace rex::testing {

namespace fs = std::filesystem;

TreeTest::TreeTest() {
  ::signal(SIGPIPE, SIG_IGN);
  for (const auto& [name, value] : left_.Environment()) ::setenv(name.c_str(), value.c_str(), 1);
  ::setenv("FAKE_SSH_DIR", left_.work_dir().c_str(), 1);
  for (const char* name : {"REX_LOG", "SSH_CONNECTION", "FAKE_SSH_NODE"}) ::unsetenv(name);
}

void TreeTest::SetUp() {
  prefix_ = left_.work_dir() + "/libexec/rex";
  fs::create_directories(prefix_);
  fs::copy_file(LibexecPath("rexd"), prefix_ + "/rexd");
  for (const char* name : {"/rexd-agent", "/rexd-pmix"}) {
    fs::create_symlink(BuildDir() + "/tests/tree_agent", prefix_ + name);
  }
  fs::create_symlink(BuildDir() + "/tests/tree_fake_ssh", left_.work_dir() + "/ssh");
  fs::create_symlink(BuildDir() + "/tests/tree_fake_ssh", left_.work_dir() + "/rsh");
}

void TreeTest::TearDown() {
  Close();
  for (const auto& thing : left_.Check()) ADD_FAILURE() << thing;
}

void TreeTest::Close() {
  if (tree_) tree_->Close(seconds(10));
  tree_.reset();
}

void TreeTest::Start(const std::vector<std::string>& names, TreeOptions options) {
  if (options.rexd.empty()) options.rexd = prefix_ + "/rexd";
  std::vector<NodeSpec> nodes;
  for (const std::string& name : names) {
    const NodeId id{static_cast<uint32_t>(nodes.size() + 1)};
    nodes.push_back({id, name, "", 0});
    names_[id] = name;
  }
  Tree::Handlers handlers;
  handlers.on_node_ready = [this](NodeId node, const AgentFacts& facts) {
    EXPECT_TRUE(ready_.emplace(node, facts).second) << "ready twice: " << names_[node];
    left_.Track({AgentPid(Index(node))});
  };
  handlers.on_start_failed = [this](const StartFailure& f) { failures_.push_back(f); };
  handlers.on_lost = [this](std::vector<NodeId> lost, const Error& why) {
    losses_.push_back({std::move(lost), why});
  };
  handlers.on_notice = [this](const std::string& text) { notices_.push_back(text); };
  handlers.on_message = [this](NodeId, uint8_t kind, FrameClass, std::string payload) {
    if (kind == kAnswer) answers_.push_back(std::move(payload));
  };
  tree_ = Tree::Head(loop_, children_, std::move(options), "head", std::move(nodes), handlers);
}

void TreeTest::StartVirtual(uint32_t count, TreeShape shape) {
  std::vector<std::string> names;
  for (uint32_t i = 1; i <= count; ++i) names.push_back("v" + std::to_string(i));
  TreeOptions options;
  options.kind = BootstrapKind::kVirtual;
  options.shape = shape;
  options.start_timeout = seconds(60);
  Start(names, options);
}

TreeOptions TreeTest::FakeSsh(const std::string& called) const {
  TreeOptions options;
  options.ssh = {left_.work_dir() + "/" + called};
  return options;
}

bool TreeTest::RunUntil(const std::function<bool()>& condition, seconds bound) {
  bool late = false;
  Timer deadline(loop_, [&late] { late = true; });
  deadline.Set(bound);
  while (!condition() && !late) loop_.RunOnce();
  return condition();
}

bool TreeTest::AwaitReady(size_t count) {
  return RunUntil(
             [&] { return ready_.size() >= count || !failures_.empty() || !losses_.empty(); }) &&
         ready_.size() >= count;
}

bool TreeTest::AwaitAnswers(size_t count) {
  return RunUntil([&] { return answers_.size() >= count || !losses_.empty(); }) &&
         answers_.size() >= count;
}

void TreeTest::EchoAll() {
  answers_.clear();
  std::vector<std::string> expected;
  for (const auto& [node, facts] : ready_) {
    tree_->Send(node, kEcho, FrameClass::kControl, "hello");
    expected.push_back(names_[node] + " hello");
  }
  ASSERT_TRUE(AwaitAnswers(expected.size())) << Trouble();
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(SortedAnswers(), expected);
}

pid_t TreeTest::AgentPid(uint32_t node) const {
  // The tests' own agent says it here; the real one, which is sent to nodes, says something longer.
  const std::string& said = ready_.at(NodeId{node}).hardware;
  return said.size() < 8 ? std::atoi(said.c_str()) : -1;
}

std::vector<std::string> TreeTest::SortedAnswers() const {
  std::vector<std::string> sorted = answers_;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

const StartFailure* TreeTest::FailureOf(const std::string& name) const {
  for (const StartFailure& failure : failures_) {
    if (failure.name == name) return &failure;
  }
  return nullptr;
}

std::string TreeTest::Trouble() const {
  std::string text =
      std::to_string(ready_.size()) + " ready, " + std::to_string(answers_.size()) + " answers\n";
  for (const StartFailure& f : failures_) {
    text += f.name + " failed (" + f.phase + "): " + f.cause + " [" + f.remedy + "]\n";
  }
  for (const Loss& loss : losses_) {
    text += std::to_string(loss.nodes.size()) + " lost: " + loss.why.text + "\n";
  }
  for (const std::string& notice : notices_) text += "notice: " + notice + "\n";
  return text;
}

std::vector<NodeId> NodeIds(std::initializer_list<uint32_t> ids) {
  std::vector<NodeId> nodes;
  for (const uint32_t id : ids) nodes.push_back(NodeId{id});
  return nodes;
}

}  // namespace rex::testing
