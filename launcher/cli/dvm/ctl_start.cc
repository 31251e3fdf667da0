#include "launcher/cli/dvm/ctl_start.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>

#include "launcher/base/dvm_place.h"
#include "launcher/base/programs.h"
#include "launcher/cli/daemon_news.h"
#include "launcher/cli/dvm/dvm_client.h"
#include "launcher/cli/failure_text.h"

namespace rex {

namespace {

constexpr int kExitNoResources = 122;  // docs/rules.md
constexpr int kExitRexFailed = 123;
constexpr std::chrono::milliseconds kStep{100};
// Beyond the nodes' own start timeout, which the head keeps.
constexpr std::chrono::seconds kBeyond{60};
constexpr std::chrono::seconds kFirstHello{30};

struct Daemons {
  pid_t keeper = 0;
  UniqueFd control;
  UniqueFd lifeline;
};

Result<Daemons> SpawnKeeper(const std::string& link, bool verbose) {
  auto rexd = FindLibexecProgram("rexd");
  if (!rexd) return rexd.error();
  auto control = MakeStreamPair();
  if (!control) return control.error();
  auto lifeline = MakeStreamPair();
  if (!lifeline) return lifeline.error();
  std::vector<std::string> argv = {*rexd, "--launch-fd=" + std::to_string(control->second.get()),
                                   "--lifeline-fd=" + std::to_string(lifeline->second.get()),
                                   "--dvm-link=" + link};
  if (verbose) argv.emplace_back("--verbose");
  const auto pid = SpawnProgram(argv, {control->second.get(), lifeline->second.get()});
  if (!pid) return pid.error();
  return Daemons{*pid, std::move(control->first), std::move(lifeline->first)};
}

// What the keeper says until it has ended, or for a moment.
std::string LastWords(int lifeline) {
  std::string text;
  std::array<char, 4096> chunk;
  pollfd fd{lifeline, POLLIN, 0};
  while (::poll(&fd, 1, 10'000) > 0) {
    const ssize_t n = ::recv(lifeline, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n <= 0) break;
    text.append(chunk.data(), static_cast<size_t>(n));
  }
  return text;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

StartOutcome Lost(const Daemons& daemons, const std::string& why) {
  StartOutcome outcome{
      kExitRexFailed, "the DVM ended while it was being started (" + why + ")", {}};
  const std::string words = LastWords(daemons.lifeline.get());
  for (size_t at = 0; at < words.size();) {
    const size_t end = std::min(words.find('\n', at), words.size());
    const std::string line = words.substr(at, end - at);
    at = end + 1;
    const auto news = ParseDaemonEnd(line);
    if (news && news->status.code == kExitNoResources) outcome.exit_code = kExitNoResources;
    outcome.error += "\n  " + (news ? DaemonEndText(*news) : line);
  }
  int status = 0;
  const bool reaped = ::waitpid(daemons.keeper, &status, WNOHANG) == daemons.keeper;
  if (reaped && WIFEXITED(status) && WEXITSTATUS(status) == kExitNoResources) {
    outcome.exit_code = kExitNoResources;
  }
  return outcome;
}

StartOutcome Failed(const std::string& payload) {
  const auto ended = FromWire<JobEnded>(payload);
  if (!ended) return {kExitRexFailed, ended.error().text, {}};
  std::vector<std::string> lines = FailureLines(*ended);
  if (ended->failure.kind == FailureKind::kRefused && !lines.empty()) {
    lines[0] = "the DVM was not started";
  }
  return {ended->exit_code, Joined(lines), {}};
}

void SayNotice(const std::string& payload, bool verbose,
               const std::function<void(const std::string&)>& say) {
  const auto notice = FromWire<Notice>(payload);
  if (!notice || (notice->level == Notice::Level::kDetail && !verbose)) return;
  say((notice->level == Notice::Level::kWarning ? "warning: " : "") + notice->text);
}

StartOutcome Await(DvmConnection& head, const Daemons& daemons, const StartDvm& order,
                   const std::function<void(const std::string&)>& say) {
  const std::chrono::milliseconds patience = order.dvm.start_timeout * 3 + kBeyond;
  for (std::chrono::milliseconds waited{0}; waited < patience;) {
    auto message = head.Next(kStep);
    if (!message && message.error().code == Errc::kTimeout) {
      waited += kStep;
      continue;
    }
    if (!message) return Lost(daemons, message.error().text);
    switch (message->kind) {
      case LaunchMessage::kNotice:
        SayNotice(message->payload, order.verbose, say);
        continue;
      case LaunchMessage::kDvmStarted: {
        auto record = FromWire<DvmRecord>(message->payload);
        if (!record) return {kExitRexFailed, record.error().text, {}};
        return {0, "", *std::move(record)};
      }
      case LaunchMessage::kJobEnded: {
        StartOutcome outcome = Failed(message->payload);
        LastWords(daemons.lifeline.get());  // until nothing of it is left
        return outcome;
      }
      default:
        return {kExitRexFailed, "the head says what is not understood", {}};
    }
  }
  return {kExitRexFailed, "the head does not say whether the nodes have come", {}};
}

}  // namespace

StartOutcome StartDvmProcesses(const StartDvm& order, bool verbose,
                               const std::function<void(const std::string&)>& say) {
  auto daemons = SpawnKeeper(DvmLink(order.name), verbose);
  if (!daemons) {
    const bool lacking = daemons.error().code == Errc::kResource;
    return {lacking ? kExitNoResources : kExitRexFailed,
            "cannot start rex's own processes: " + daemons.error().text,
            {}};
  }
  auto head = DvmConnection::Over(std::move(daemons->control), kFirstHello);
  if (!head) return Lost(*daemons, head.error().text);
  if (head->version() != kProtocolVersion) {
    return {kExitRexFailed,
            "rexctl is version " + std::string(kProtocolVersion) + ", rexd-agent " +
                head->version() + ": install rex anew",
            {}};
  }
  const bool sent =
      head->Send(LaunchMessage::kHello, ToWire(Hello{std::string(kProtocolVersion)})) &&
      head->Send(LaunchMessage::kStartDvm, ToWire(order));
  if (!sent) return Lost(*daemons, "it does not listen");
  return Await(*head, *daemons, order, say);
}

}  // namespace rex
