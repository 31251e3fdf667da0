// What rexd --join starts in the tree's tests, as its agent and, by another name, as its host: an
// agent that joins with Tree and does what messages tell it to. Its node's name says how it fails:
// "mute…" never greets, "crash…" ends before it greets, "old…" is of another version, "silent…"
// never reports its facts, "chatty…" writes to stderr.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "launcher/base/log.h"
#include "launcher/base/private_dir.h"
#include "launcher/base/programs.h"
#include "launcher/tree/tree.h"
#include "tests/integration/tree/tree_kinds.h"

namespace rex {
namespace {

struct Options {
  UniqueFd in;
  UniqueFd out;
  UniqueFd keeper;
  UniqueFd host;
  std::string name;
  std::vector<std::string> dirs;  // the keeper's
};

class TestAgent {
 public:
  explicit TestAgent(Options options)
      : options_(std::move(options)),
        children_(loop_),
        keeper_watcher_(loop_, options_.keeper.get(), [this] { OnKeeperGone(); }),
        sigterm_(loop_, SIGTERM, [this] { loop_.Stop(); }) {}

  int Run() {
    if (options_.name.starts_with("crash")) {
      WriteError("crash: something broke\n");
      return 3;
    }
    if (!options_.name.starts_with("mute")) Join();
    loop_.Run();
    if (tree_) tree_->Close(std::chrono::seconds(3));
    return 0;
  }

 private:
  void Join() {
    Tree::Handlers handlers;
    handlers.on_welcome = [this](const Welcome& welcome) { OnWelcome(welcome); };
    handlers.on_message = [this](NodeId from, uint8_t kind, FrameClass, std::string payload) {
      OnMessage(from, kind, std::move(payload));
    };
    handlers.on_lost = [this](const std::vector<NodeId>& lost, const Error& why) {
      if (lost.front() != kHeadNode) return;
      Log(LogLevel::kInfo, "parent gone why=" + why.text);
      loop_.Stop();
    };
    const bool old = options_.name.starts_with("old");
    tree_ = Tree::Join(loop_, children_, std::move(options_.in), std::move(options_.out),
                       std::move(handlers), old ? "0.0.9" : REX_VERSION);
  }

  // As the real one does: the keeper's directories fall to its agent.
  void OnKeeperGone() {
    for (const std::string& dir : options_.dirs) RemoveTree(dir);
    loop_.Stop();
  }

  void OnWelcome(const Welcome& welcome) {
    if (options_.name.starts_with("chatty")) WriteError("a line of the chatty agent\n");
    if (options_.name.starts_with("silent")) return;
    AgentFacts facts;
    facts.hostname = welcome.name;
    facts.cores = 2;
    facts.hardware = std::to_string(::getpid());
    facts.rex_version = REX_VERSION;
    facts.open_files = 1024;
    tree_->Ready(facts);
  }

  void OnMessage(NodeId from, uint8_t kind, std::string payload) {
    if (kind == testing::kEcho) {
      tree_->Send(from, testing::kAnswer, FrameClass::kControl, options_.name + " " + payload);
    } else if (kind == testing::kTell) {  // "NODE TEXT"
      const size_t blank = payload.find(' ');
      const NodeId to{static_cast<uint32_t>(std::atoi(payload.c_str()))};
      tree_->Send(to, testing::kTold, FrameClass::kControl, payload.substr(blank + 1));
    } else if (kind == testing::kTold) {
      tree_->Send(kHeadNode, testing::kAnswer, FrameClass::kControl,
                  options_.name + " heard " + payload + " from " + std::to_string(Index(from)));
    } else if (kind == testing::kFlood) {  // "NODE MESSAGES"
      const NodeId to{static_cast<uint32_t>(std::atoi(payload.c_str()))};
      const int count = std::atoi(payload.substr(payload.find(' ')).c_str());
      for (int i = 0; i < count; ++i) {
        tree_->Send(to, testing::kBulk, FrameClass::kStdio, std::string(60000, 'x'));
      }
      tree_->Send(to, testing::kBulkEnd, FrameClass::kStdio, "");
    } else if (kind == testing::kBulk) {
      bulk_bytes_ += payload.size();
    } else if (kind == testing::kBulkEnd) {
      tree_->Send(kHeadNode, testing::kAnswer, FrameClass::kControl,
                  options_.name + " got " + std::to_string(bulk_bytes_));
    }
  }

  static void WriteError(const std::string& text) {
    [[maybe_unused]] const Status lost = WriteAll(STDERR_FILENO, text);
  }

  Options options_;
  EventLoop loop_;
  ChildTable children_;
  ReadWatcher keeper_watcher_;
  SignalWatcher sigterm_;
  std::unique_ptr<Tree> tree_;
  uint64_t bulk_bytes_ = 0;
};

// The host: nothing but a process that ends with its agent.
int RunHost(int agent_fd) {
  char byte = 0;
  while (::read(agent_fd, &byte, 1) > 0) {
  }
  return 0;
}

int Main(int argc, char** argv) {
  const std::string program = argv[0];
  if (program.ends_with("rexd-pmix")) return RunHost(InternalFdOption(argc, argv, "agent-fd"));
  InitLog("rexd-agent");
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  Options options;
  options.in.Reset(InternalFdOption(argc, argv, "channel-in"));
  options.out.Reset(InternalFdOption(argc, argv, "channel-out"));
  options.keeper.Reset(InternalFdOption(argc, argv, "keeper-fd"));
  options.host.Reset(InternalFdOption(argc, argv, "host-fd"));
  options.name = InternalOption(argc, argv, "node-name");
  for (const char* dir : {"session-dir", "shm-dir"}) {
    options.dirs.push_back(InternalOption(argc, argv, dir));
  }
  if (!options.in || !options.out || !options.keeper || !options.host) return 123;
  // Handed to us for the exec only: what this agent starts must not have them.
  for (const UniqueFd* fd : {&options.in, &options.out, &options.keeper, &options.host}) {
    ::fcntl(fd->get(), F_SETFD, FD_CLOEXEC);
  }
  TestAgent agent(std::move(options));
  return agent.Run();
}

}  // namespace
}  // namespace rex

int main(int argc, char** argv) { return rex::Main(argc, argv); }
