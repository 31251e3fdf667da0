// The messages of template_proto.h on a maker's socket, for those who drive makers: RankMaker in an
// agent, and the births of Open MPI's orted. No loop, no process.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/template/rank_maker.h"

namespace rex {

// What is left of a sent batch on our side. The ranks wait for the gate.
struct SentBatch {
  UniqueFd gate_read;  // kept to the release, so that writing can't raise SIGPIPE
  UniqueFd gate;
  UniqueFd report;  // non-blocking
};

// Sends a batch whose ranks become children of this process. Never blocks: a maker has taken and
// answered everything before it gets the next datagram. Errors: kClosed (the maker has ended),
// kInvalid (larger than a blob may be), kResource.
Result<SentBatch> SendBatch(int socket, const BirthBatch& batch);

// Opens the gate for `count` ranks and lets go of it.
void OpenGate(SentBatch* sent, size_t count);

// A template's greeting. True: it is fit; false: nothing there yet. Errors: kClosed, kProtocol,
// kInvalid (unfit: text says why).
Result<bool> ReadGreeting(int socket);

struct BatchAnswer {
  std::vector<pid_t> pids;
  int error = 0;       // errno(3); not 0 when pids are fewer than asked
  bool unfit = false;  // REX_BATCH_UNFIT: another maker can
};

// A maker's answer to a batch of `count`. No value: nothing there yet. Errors: kClosed, kProtocol.
Result<std::optional<BatchAnswer>> ReadAnswer(int socket, size_t count);

// The births' reports that are there. `over`: every rank has gone on or ended.
struct BirthReports {
  std::vector<BirthFailure> failures;
  bool over = false;
};
Result<BirthReports> ReadReports(int report, size_t count);

}  // namespace rex
