// Why a node's start failed, for people: from what ssh, the far shell and rexd said and how they
// ended. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "launcher/base/child_table.h"
#include "launcher/base/node_id.h"

namespace rex {

// How far a start had come. docs/design/tree.md has the table of its states.
enum class StartPhase : uint8_t {
  kSsh,        // until rexd has greeted
  kMarker,     // the greeting was not what it must be
  kHandshake,  // until the far agent has proved that it has the key
  kReady,      // until the node has reported its facts
  kParent,     // its parent in the tree did not start, or was lost
  kShip,       // rex was being sent to it
};
std::string_view StartPhaseName(StartPhase phase);

struct StartFailure {
  NodeId node{};
  std::string name;    // as the user wrote it
  std::string phase;   // StartPhaseName
  std::string cause;   // one line, no full stop
  std::string remedy;  // one line; empty: nothing is known
};

// What is known when a start ends badly.
struct StartEvidence {
  StartPhase phase = StartPhase::kSsh;
  std::optional<ExitStatus> end;  // of the remote shell command; absent: it had not ended
  bool timed_out = false;
  std::string errors;  // the end of its stderr
  std::string noise;   // what came before the greeting on stdout
  std::string detail;  // what rex itself found wrong; goes before what others said
  std::string remedy;  // for `detail`
};

// Where it was tried.
struct StartContext {
  NodeId node{};
  std::string name;
  std::string command;  // the remote shell command, e.g. "ssh"; NODE COMMAND follow it
  std::string rexd;     // the path that was tried
  std::string login;    // the node as that program is given it: "-p 2222 me@n1"; empty: `name`
  std::chrono::seconds bound{30};
  std::string program{};  // what ended, and the first phase's name; empty: `command`, "ssh"
};

StartFailure ExplainStart(const StartEvidence& evidence, const StartContext& context);

// Whether rexd, another program of rex or a library that they need is missing there.
bool RexIsMissing(const StartEvidence& evidence, const StartContext& context);

// Whether the far server only had too much to do: worth another try after a pause.
bool ServerWasBusy(const StartEvidence& evidence);

// What to do about a loss that Slurm has explained; empty: nothing is known.
std::string RemedyForLoss(const std::string& text);

// Why a node that was ready is lost: what its keeper and ssh said last and how ssh ended, behind
// `what`, the link's own words.
std::string ExplainLoss(const std::string& what, const std::string& errors,
                        const std::optional<ExitStatus>& end, const std::string& command);

}  // namespace rex
