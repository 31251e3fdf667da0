#include "tests/support/cluster.h"
#include "tests/support/paths.h"
#include "tests/support/rex_test.h"

#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

namespace rex::testing {
namespace {

constexpr int kExitCannotHere = 77;

std::string Script() { return SourceDir() + "/tests/cluster/cluster"; }

std::string Trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool IsPrivateInNodes(const std::string& path) {
  for (const char* top : {"/tmp/", "/dev/shm/", "/run/"}) {
    if (path.starts_with(top)) return true;
  }
  return false;
}

void AddEach(std::vector<std::string>& argv, const std::string& option,
             const std::vector<std::string>& values) {
  for (const auto& value : values) argv.insert(argv.end(), {option, value});
}

std::vector<std::string> UpCommand(const ClusterOptions& options) {
  std::vector<std::string> argv{Script(), "up", std::to_string(options.nodes), "--fast-ssh"};
  argv.insert(argv.end(), {"--owner", std::to_string(::getpid())});
  if (!options.rate.empty()) argv.insert(argv.end(), {"--rate", options.rate});
  if (options.cores_per_node > 0) {
    argv.insert(argv.end(), {"--cpus", std::to_string(options.cores_per_node)});
  }
  if (options.slurm) argv.emplace_back("--slurm");
  if (!options.max_startups.empty()) {
    argv.insert(argv.end(), {"--max-startups", options.max_startups});
  }
  AddEach(argv, "--hide", options.hide);
  AddEach(argv, "--share", options.share);
  AddEach(argv, "--pass-env", options.pass_env);
  // The programs under test must be there, wherever the tree was put.
  for (const auto& path : {SourceDir(), BuildDir()}) {
    if (IsPrivateInNodes(path)) argv.insert(argv.end(), {"--share", path});
  }
  return argv;
}

CommandOptions ScriptOptions() {
  CommandOptions options;
  options.unset_env = {"REX_CLUSTER"};  // a user's own cluster is none of our business
  return options;
}

}  // namespace

std::optional<std::string> Cluster::WhyNot() {
  const CommandResult result = RunCommand({Script(), "check"}, ScriptOptions());
  if (result.exit_code != kExitCannotHere) return std::nullopt;
  return Trimmed(result.err);
}

std::optional<std::string> Cluster::WhyNoSlurm() {
  const CommandResult result = RunCommand({Script(), "check", "--slurm"}, ScriptOptions());
  if (result.exit_code != kExitCannotHere) return std::nullopt;
  return Trimmed(result.err);
}

Cluster::Cluster(const ClusterOptions& options) : nodes_(options.nodes) {
  const CommandResult result = RunCommand(UpCommand(options), ScriptOptions());
  if (result.exit_code == 0) {
    id_ = Trimmed(result.out);
  } else {
    error_ = Describe(result);
  }
}

Cluster::~Cluster() { Down(); }

CommandResult Cluster::Down() {
  if (!ok()) return {};
  CommandResult result = Verb({"down"});
  id_.clear();
  return result;
}

std::string Cluster::Directory() const { return "/run/rexcluster/" + id_; }

std::string Cluster::SshConfig() const { return Directory() + "/ssh_config"; }

std::string Cluster::Hosts() const {
  std::string hosts = "n1";
  for (int i = 2; i <= nodes_; ++i) hosts += ",n" + std::to_string(i);
  return hosts;
}

std::vector<std::string> Cluster::In(const std::string& node,
                                     const std::vector<std::string>& argv) const {
  std::vector<std::string> all{Script(), "--id", id_, "exec", node};
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

CommandResult Cluster::Verb(const std::vector<std::string>& words) const {
  std::vector<std::string> argv{Script(), "--id", id_};
  argv.insert(argv.end(), words.begin(), words.end());
  return RunCommand(argv, ScriptOptions());
}

std::vector<std::string> Cluster::StatusWords(const std::string& node) const {
  for (const std::string& line : Lines(Verb({"status"}).out)) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (!words.empty() && words[0] == node) return words;
  }
  return {};
}

pid_t Cluster::FirstProcess(const std::string& node) const {
  const std::vector<std::string> words = StatusWords(node);
  return words.size() > 2 && words[1] == "pid" ? std::atoi(words[2].c_str()) : -1;
}

std::string Cluster::Ipv4(const std::string& node) const {
  const std::vector<std::string> words = StatusWords(node);
  return words.size() > 3 ? words[3] : "";
}

std::string Cluster::Ipv6(const std::string& node) const {
  const std::vector<std::string> words = StatusWords(node);
  return words.size() > 4 && words[4].find(':') != std::string::npos ? words[4] : "";
}

std::vector<std::string> Cluster::Left(milliseconds bound) const {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  while (true) {
    const CommandResult result = Verb({"left", "all"});
    if (result.exit_code != 0) return {Describe(result)};
    const std::vector<std::string> left = WithReports(Lines(result.out));
    if (left.empty() || std::chrono::steady_clock::now() >= deadline) return left;
    ::poll(nullptr, 0, 50);
  }
}

// A sanitizer makes the directory for its reports when a process starts. Where Slurm has handed on
// the environment that is in the node: what is in it counts, not the directory.
std::vector<std::string> Cluster::WithReports(std::vector<std::string> left) const {
  if (!IsSanitized()) return left;
  std::vector<std::string> out;
  for (std::string& line : left) {
    const size_t colon = line.find(": file /tmp/rextest-");
    if (colon == std::string::npos) {
      out.push_back(std::move(line));
      continue;
    }
    const std::string dir = line.substr(line.find('/'));
    const CommandResult reports = RunCommand(
        In(line.substr(0, colon), {"sh", "-c", "cat " + dir + "/sanitizer.* 2>/dev/null"}),
        ScriptOptions());
    if (!reports.out.empty()) out.push_back(line + ":\n" + reports.out);
  }
  return out;
}

void ClusterTest::SetUp() {
  if (const auto reason = Cluster::WhyNot()) GTEST_SKIP() << *reason;
}

void ClusterTest::TearDown() {
  if (cluster_ && cluster_->ok()) {
    for (const auto& line : cluster_->Left()) ADD_FAILURE() << "left behind in node " << line;
    const CommandResult down = cluster_->Down();
    EXPECT_TRUE(ExitedWith(down, 0));
  }
  cluster_.reset();
  RexTest::TearDown();
}

::testing::AssertionResult ClusterTest::StartCluster(ClusterOptions options) {
  const std::string& marker = left().marker();
  options.pass_env.push_back(marker.substr(0, marker.find('=')));
  options.pass_env.push_back("XDG_CACHE_HOME");  // a topology is discovered once for all tests
  cluster_ = std::make_unique<Cluster>(options);
  if (cluster_->ok()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << cluster_->error();
}

CommandResult ClusterTest::RunIn(const std::string& node, const std::vector<std::string>& argv,
                                 CommandOptions options) {
  return StartIn(node, argv, std::move(options))->Wait();
}

std::unique_ptr<RunningCommand> ClusterTest::StartIn(const std::string& node,
                                                     const std::vector<std::string>& argv,
                                                     CommandOptions options) {
  // One path on all nodes; what is there is each node's own (rexcluster/node.py).
  options.set_env.try_emplace("REX_LEASES", cluster_->Directory() + "/leases");
  return std::make_unique<RunningCommand>(cluster_->In(node, argv), Prepare(std::move(options)));
}

CommandResult ClusterTest::RexOnHead(const std::vector<std::string>& args, CommandOptions options) {
  return StartRexOnHead(args, std::move(options))->Wait();
}

std::unique_ptr<RunningCommand> ClusterTest::StartRexOnHead(const std::vector<std::string>& args,
                                                            CommandOptions options) {
  std::vector<std::string> argv{RexlaunchPath()};
  argv.insert(argv.end(), args.begin(), args.end());
  return StartIn("head", argv, std::move(options));
}

}  // namespace rex::testing
