// Starts agents on all nodes of a Slurm allocation with one srun, and keeps it for as long as they
// live. docs/design/clusters.md, "Slurm", is the design.
//
// The agents have no channel of their own: what is written to srun goes to all of them, and what
// they write comes back mixed. So all get one munge credential with the DVM's key and the way here,
// and connect back over TCP at once. srun's output is for messages, its tasks' numbers tell whose.
//
// A node's states are those of start_state.h: spawned with srun, greeted by rexd's line on stdout,
// joined when its TCP connection is authenticated.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/child_table.h"
#include "launcher/base/event_loop.h"
#include "launcher/tree/agent_starter.h"
#include "launcher/tree/munge_credential.h"
#include "launcher/tree/start_failure.h"
#include "launcher/tree/start_process.h"
#include "launcher/tree/start_state.h"
#include "launcher/tree/tree_messages.h"

namespace rex {

class SrunStarter : public AgentStarter {
 public:
  struct Handlers {
    std::function<void(const StartFailure&)> on_failed;
    // A line that the node's daemons, or Slurm's, wrote to stderr.
    std::function<void(const NodeSpec&, const std::string& line)> on_line;
  };

  // Makes a credential of a secret, in a thread of its own; munge_credential.h's, but for tests.
  using Encode = Result<std::string> (*)(std::string_view secret, std::chrono::seconds lifetime);

  // `options` and `children` are borrowed and outlive the starter. `ticket`: all but its nodes.
  SrunStarter(EventLoop& loop, ChildTable& children, const TreeOptions& options,
              BroadcastTicket ticket, Handlers handlers, Encode encode = EncodeCredential);
  ~SrunStarter() override;

  // All nodes that are added in one turn of the loop, and no others later.
  void Add(const NodeSpec& node) override;
  void OnHandshake(NodeId node) override;
  bool OnFacts(NodeId node) override;
  void OnLinkClosed(NodeId node, const Error& why) override;
  void ExplainLoss(NodeId node, std::string what, std::function<void(std::string)> done) override;
  std::optional<StartStage> Stage(NodeId node) const override;
  void Close() override;
  std::vector<pid_t> ProcessIds() const override;
  void SignalAll(int signo) override;

 private:
  struct Node;
  void Begin();
  void Spawn();
  void EncodeTicket();
  void OnCredential(Result<std::string> credential);
  void WriteCredential();
  void ReadOutput();
  void OnOutput(std::string_view line);
  void OnGreeting(std::optional<size_t> task, std::string_view greeting);
  void OnLine(const std::string& line);
  void OnNodeLine(Node& node, std::string_view text);
  void OnSlurmLine(const std::string& line);
  void OnStepEnd(std::string_view line);
  void OnEnd();
  void OnBound();
  // The start of one node, or of all that are not ready, has failed; only last words are awaited.
  void Fail(Node& node, StartEvidence evidence, bool wait_for_words);
  void FailAll(const std::string& detail, const std::string& remedy);
  void FailAfterEnd();
  bool Starting() const;  // some node is open
  bool StepIsOver() const;
  bool EverythingSaid() const;  // nothing is to come that would explain more
  void Conclude(Node& node);
  void Settle(Node& node, std::function<void()> then);
  void Settled(Node& node);
  void Later(std::function<void()> task);
  void Move(Node& node, StartEvent event);
  bool Open(const Node& node) const;  // neither ready nor failed
  Node* Find(NodeId node);
  Node* OfTask(std::optional<size_t> task);
  std::vector<NodeSpec> Specs() const;
  std::string Words(const Node& node) const;
  std::string GivenUpBecause(const Node& node) const;  // empty: for reasons of its own
  std::string LossText(const Node& node, const std::string& what) const;

  EventLoop& loop_;
  ChildTable& children_;
  const TreeOptions& options_;
  const BroadcastTicket ticket_;
  Handlers handlers_;
  const Encode encode_;
  std::vector<std::unique_ptr<Node>> nodes_;  // in the order of srun's tasks
  std::unique_ptr<StartProcess> process_;
  UniqueFd in_;             // srun's stdout
  UniqueFd out_;            // srun's stdin: open as long as the agents are wanted
  std::string credential_;  // not yet written
  std::string line_;        // of srun's stdout, unfinished
  std::string said_;        // the end of what Slurm itself said
  std::string step_end_;    // why the step ends, in Slurm's words
  bool closed_ = false;
  std::unique_ptr<ReadWatcher> read_watcher_;
  std::unique_ptr<WriteWatcher> write_watcher_;
  Timer bound_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rex
