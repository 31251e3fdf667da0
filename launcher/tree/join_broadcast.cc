#include "launcher/tree/join_broadcast.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "launcher/tree/join_lines.h"
#include "launcher/tree/munge_credential.h"

namespace rex {

namespace {
constexpr std::chrono::seconds kDialBound{20};

// srun's machine as Slurm knows it (srun(1)), then all that the parent said.
std::vector<std::string> Addresses(const BroadcastTicket& ticket) {
  std::vector<std::string> addresses;
  const char* launcher = std::getenv("SLURM_LAUNCH_NODE_IPADDR");
  if (launcher != nullptr && *launcher != '\0') addresses.emplace_back(launcher);
  addresses.insert(addresses.end(), ticket.addresses.begin(), ticket.addresses.end());
  return addresses;
}
}  // namespace

JoinBroadcast::JoinBroadcast(EventLoop& loop, UniqueFd in, UniqueFd out, std::string name,
                             std::string version, std::chrono::milliseconds bound,
                             Handlers handlers)
    : loop_(loop),
      in_(std::move(in)),
      out_(std::move(out)),
      name_(std::move(name)),
      version_(std::move(version)),
      handlers_(std::move(handlers)),
      read_watcher_(loop, in_.get(), [this] { OnReadable(); }),
      bound_(loop, [this] {
        Fail({Errc::kTimeout, "no credential came from the parent in time"});
      }) {
  REX_CHECK(SetNonBlocking(in_.get()).has_value());
  bound_.Set(bound);
  // Fits a pipe that nothing was written to yet; srun's end shows as that of stdin.
  std::string greeting = MarkerLine(version_);
  greeting.back() = ' ';
  [[maybe_unused]] const Status lost = WriteAll(out_.get(), greeting + name_ + "\n");
}

void JoinBroadcast::OnReadable() {
  std::array<char, 16 << 10> bytes;
  const ssize_t n = ::read(in_.get(), bytes.data(), bytes.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return Fail({Errc::kClosed, "srun closed the channel"});
  if (opened_) return;  // nothing is to come, and nothing is believed
  credential_.append(bytes.data(), static_cast<size_t>(n));
  const Status taken = TakeCredential();
  if (!taken) Fail(taken.error());
}

Status JoinBroadcast::TakeCredential() {
  const size_t end = credential_.find('\n');
  if (end == credential_.npos) {
    if (credential_.size() <= kMaxCredentialBytes) return Ok{};
    return Error{Errc::kProtocol, "what srun brings is no credential"};
  }
  opened_ = true;
  bound_.Cancel();
  auto secret = DecodeCredential(credential_.substr(0, end));
  if (!secret) return secret.error();
  auto received = TreeFromWire<ReceivedTicket>(*secret);
  Wipe(*secret);
  if (!received) return received.error();
  const BroadcastTicket ticket = received->ticket;
  if (ticket.version != version_) {
    return Error{Errc::kProtocol, "rexd is of version " + version_ + " here, of version " +
                                      ticket.version + " on node " + ticket.parent_name};
  }
  const auto self = std::find_if(ticket.nodes.begin(), ticket.nodes.end(),
                                 [this](const NodeSpec& node) { return node.name == name_; });
  if (self == ticket.nodes.end()) {
    return Error{Errc::kProtocol, "node " + name_ + " is none of those that were to be started"};
  }
  Dial(ticket, handlers_.on_ticket(*std::move(received), *self));
  return Ok{};
}

void JoinBroadcast::Dial(const BroadcastTicket& ticket, LinkParams params) {
  dialer_ = std::make_unique<LinkDialer>(loop_, std::move(params), Addresses(ticket), ticket.port,
                                         kDialBound, [this](Result<AuthenticatedStream> stream) {
                                           dialer_.reset();
                                           if (!stream) return Fail(stream.error());
                                           handlers_.on_stream(*std::move(stream));
                                         });
}

void JoinBroadcast::Fail(Error error) {
  if (std::exchange(failed_, true)) return;
  bound_.Cancel();
  dialer_.reset();
  read_watcher_.Enable(false);
  const auto on_failed = handlers_.on_failed;  // survives our destruction
  on_failed(error);
}

}  // namespace rex
