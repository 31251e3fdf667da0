// Starts agents on nodes and brings each as far as its link: spawn, greeting, key. After that it
// keeps the process (ssh) for as long as the node lives, and says why a node was lost.
//
// At most kStartsAtOnce are under way; states are StartQueue's. Loop thread only; handlers come
// from the loop only and may not destroy the starter.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/child_table.h"
#include "launcher/base/event_loop.h"
#include "launcher/tree/agent_starter.h"
#include "launcher/tree/join_lines.h"
#include "launcher/tree/ship_channel.h"
#include "launcher/tree/ship_source.h"
#include "launcher/tree/start_failure.h"
#include "launcher/tree/start_process.h"
#include "launcher/tree/start_queue.h"

namespace rex {

class Starter : public AgentStarter {
 public:
  struct Handlers {
    // The node has greeted and was sent the key: the channel is the link's from here.
    std::function<void(NodeId, UniqueFd in, UniqueFd out)> on_channel;
    // The last try has failed.
    std::function<void(const StartFailure&)> on_failed;
    // A line that the node's daemons, or ssh, wrote to stderr after the greeting.
    std::function<void(const NodeSpec&, const std::string& line)> on_line;
  };

  // `options` and `children` are borrowed and outlive the starter.
  Starter(EventLoop& loop, ChildTable& children, const TreeOptions& options,
          StarterIdentity identity, Handlers handlers);
  ~Starter() override;
  Starter(const Starter&) = delete;
  Starter& operator=(const Starter&) = delete;

  void Add(const NodeSpec& node) override;
  void OnHandshake(NodeId node) override;
  bool OnFacts(NodeId node) override;
  void OnLinkClosed(NodeId node, const Error& why) override;
  // Ends the node's process as well.
  void ExplainLoss(NodeId node, std::string what, std::function<void(std::string)> done) override;
  std::optional<StartStage> Stage(NodeId node) const override;
  void Close() override;
  std::vector<pid_t> ProcessIds() const override;
  void SignalAll(int signo) override;

 private:
  struct Entry;
  void Pump();
  void Schedule();
  void Spawn(Entry& entry);
  Result<std::vector<std::string>> CommandFor(const Entry& entry);
  void Watch(Entry& entry);
  Status BeginShipping(Entry& entry);
  // Takes from `bytes` what belongs to the sending of rex. False: that has failed.
  bool TakeShipping(Entry& entry, std::string* bytes);
  bool MaySend(const Entry& entry) const;
  void OnReadable(Entry& entry);
  bool ReadGreeting(Entry& entry);
  void OnGreeted(Entry& entry);
  void OnProcessEnd(NodeId node);
  void OnLine(NodeId node, const std::string& line);
  // Begins the end of a try: `entry.evidence` is complete but for what the process still says.
  void Fail(Entry& entry, bool wait_for_words);
  void Conclude(Entry& entry);
  // Runs `then` when the process has ended or its keeper has spoken, or after kLossBound.
  void Settle(Entry& entry, std::function<void()> then);
  void Settled(Entry& entry);
  void Retire(Entry& entry);
  void SweepRetired();
  void Later(std::function<void()> task);  // not when this is destroyed before
  StartContext Context(const NodeSpec& node) const;
  Entry* Find(NodeId node);

  EventLoop& loop_;
  ChildTable& children_;
  const TreeOptions& options_;
  const StarterIdentity identity_;
  Handlers handlers_;
  StartQueue queue_;
  ShipSource ship_source_;
  std::map<NodeId, std::unique_ptr<Entry>> entries_;
  struct Retired {  // told to end; killed when it does not
    std::unique_ptr<StartProcess> process;
    Clock::Time kill_at{0};
  };
  std::vector<Retired> retired_;
  bool closed_ = false;
  bool signalled_ = false;  // SignalAll was called
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Timer timer_;
};

}  // namespace rex
