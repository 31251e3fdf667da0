#include "launcher/tree/ship_channel.h"

#include <sys/utsname.h>
#include <unistd.h>

#include "launcher/tree/start_text.h"

namespace rex {

namespace {
constexpr std::string_view kSaid = "rex-ship: ";  // before what the node's shell and stage-0 say

// Its last line of that kind, without the prefix.
std::string SaidOnNode(std::string_view errors) {
  std::string said;
  for (const std::string& line : PrintableLines(errors)) {
    if (line.starts_with(kSaid)) said = line.substr(kSaid.size());
  }
  return said;
}
}  // namespace

std::string OwnMachine() {
  utsname names{};
  ::uname(&names);
  return names.machine;
}

ShipChannel::ShipChannel(EventLoop& loop, int out, ShipSource& source, Handlers handlers)
    : out_(out),
      handlers_(std::move(handlers)),
      dialog_(OwnMachine(), source.stage0()),
      watcher_(std::make_unique<WriteWatcher>(loop, out, [this] { Flush(); })) {
  source.Await([this, alive = alive_](const ShipSource::Bundle& bundle) {
    if (!*alive || out_ < 0) return;
    if (!bundle) return handlers_.on_failed(bundle.error());
    dialog_.SetBundle(*bundle);
    Flush();
  });
}

Result<std::string> ShipChannel::Feed(std::string_view bytes) {
  auto rest = dialog_.Feed(bytes);
  refused_ = !rest;
  if (rest) Flush();
  return rest;
}

void ShipChannel::Stop() {
  watcher_.reset();
  out_ = -1;
}

// An error shows as an end of file on the other half.
void ShipChannel::Flush() {
  if (out_ < 0) return;
  const std::string_view pending = dialog_.Pending();
  const ssize_t n = pending.empty() ? 0 : ::write(out_, pending.data(), pending.size());
  if (n > 0) {
    dialog_.Written(static_cast<size_t>(n));
    handlers_.on_progress();
  }
  const bool gone = n < 0 && errno != EAGAIN && errno != EINTR;
  watcher_->Enable(!gone && !dialog_.Pending().empty());
}

void ShipChannel::Explain(StartEvidence* evidence, std::chrono::seconds bound) const {
  if (evidence->phase != StartPhase::kSsh) return;
  const std::string said = SaidOnNode(evidence->errors);
  const bool began = dialog_.state() != ShipState::kAwaitsShell || refused_;
  if (began || !said.empty()) evidence->phase = StartPhase::kShip;
  if (!evidence->detail.empty()) {
    evidence->remedy = ShipRemedy(evidence->detail);
  } else if (!said.empty()) {
    evidence->detail = said;
    evidence->remedy = ShipRemedy(said);
  } else if (evidence->timed_out && evidence->phase == StartPhase::kShip) {
    evidence->detail =
        "nothing moved for " + std::to_string(bound.count()) + " s " + std::string(dialog_.Doing());
    evidence->remedy = "a slow node needs a longer --start-timeout";
  }
}

}  // namespace rex
