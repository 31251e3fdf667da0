// The sender's side of what is said until rexd runs on a node that had none. Pure: no descriptor,
// no clock; the owner moves the bytes. docs/protocol.md, "Sending rex", is normative;
// docs/design/ship-agent.md has the states.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/ship/ship_bundle.h"

namespace rex {

enum class ShipState : uint8_t {
  kAwaitsShell,
  kSendsStage0,
  kAwaitsStage0,
  kAwaitsBundle,  // stage-0 is there, our own files are not read yet
  kAwaitsNeeds,   // the manifest is sent, or under way
  kSendsFiles,
  kDone,  // rexd's greeting comes next
};

class ShipDialog {
 public:
  // `machine`: of this side, uname(2).
  ShipDialog(std::string machine, std::shared_ptr<const Stage0> stage0)
      : machine_(std::move(machine)), stage0_(std::move(stage0)) {}

  // What the node wrote; gives back what is not ours: a login's noise, rexd's greeting. Errors,
  // each of which is the end: kProtocol: nonsense; kNotRunnable: rex's programs can't run there.
  Result<std::string> Feed(std::string_view bytes);
  // Once. Before that the node waits.
  void SetBundle(std::shared_ptr<const ShipBundle> bundle);

  // What is to be written next, borrowed until Written; empty: nothing now.
  std::string_view Pending() const;
  void Written(size_t bytes);

  ShipState state() const { return state_; }
  // What is waited for, for an error: "while the node asked for files".
  std::string_view Doing() const;

 private:
  Status OnLine(std::string_view line);
  Status OnHere(const std::string& machine);
  Status OnStage(const std::string& version);
  Status OnNeed(const std::string& libc, const std::string& list);
  Status CheckLibc(const std::string& libc) const;
  void SendManifest();
  void SkipWritten();

  std::string machine_;
  std::shared_ptr<const Stage0> stage0_;
  std::shared_ptr<const ShipBundle> bundle_;
  ShipState state_ = ShipState::kAwaitsShell;
  std::string text_;  // of the node, unfinished
  std::string manifest_;
  std::vector<size_t> needed_;  // indices of files, in ascending order
  size_t file_ = 0;             // of needed_, the one under way
  size_t at_ = 0;               // of what is pending
};

// What to do about an error of Feed, or about what a node's shell or stage-0 said behind
// "rex-ship: "; empty: nothing is known.
std::string ShipRemedy(std::string_view cause);

}  // namespace rex
