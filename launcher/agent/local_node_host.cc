// A node's PMIx host and its successors. libpmix 4.2.2 forgets no namespace whole (36 KB each), so
// a host that has known many is replaced while no job is here and no tool is connected: the keeper
// starts another, which gets ready beside it; then the old one loses its connection, and ends.
#include "launcher/agent/local_node.h"
#include "launcher/base/dvm_place.h"
#include "launcher/base/log.h"
#include "launcher/lease/lease_message.h"

namespace rex {

void LocalNode::ConnectHost(UniqueFd socket) {
  host_ = std::make_unique<pmix::HostClient>(
      loop_, std::move(socket),
      [this](pmix::HostMessage message) { OnHostMessage(std::move(message)); },
      [this](const Error& error) { OnHostClosed(error); });
}

void LocalNode::SendToHost(const pmix::HostMessage& message) {
  if (host_lost_) return;
  if (std::holds_alternative<pmix::RegisterJob>(message)) ++host_namespaces_;
  host_->Send(message);
}

void LocalNode::OnHostReady(const pmix::HostReady& ready) {
  host_ready_ = ready;
  if (!ready.rendezvous.empty()) {
    const Status told =
        WriteFileAtomically(options_.session_dir + "/" + kDvmRendezvousName, ready.rendezvous);
    if (!told) Log(LogLevel::kError, "tools are not told where to connect: " + told.error().text);
  }
  for (const auto& [job, part] : parts_) part->OnHostReady();
}

void LocalNode::MakeUplink(UplinkPort port) {
  const std::string above = port.parent_name;
  uplink_ = std::make_unique<OwnUplink>(
      loop_, std::move(port),
      OwnUplink::Handlers{
          [this](pmix::UseUplink uplink, UniqueFd connection) {
            host_->SendUplink(std::move(uplink), std::move(connection));
          },
          [this](bool stands) { exchange_->SetUplink(stands); },
          [this, above](const std::string& why) {
            const Failure failure = InternalFailure(
                "the PMIx host's link to node " + above + " is lost: " + why,
                "find out what cuts connections between the two nodes; REX_UPLINK_AFTER=0 in the "
                "agents' environment does without this one");
            FailParts(failure, &had_uplink_);
          }});
}

void LocalNode::CountTools(const pmix::HostMessage& message) {
  if (const auto* tool = std::get_if<pmix::ToolConnected>(&message)) {
    tools_.insert(tool->proc.name_space);
  } else if (const auto* gone = std::get_if<pmix::ToolGone>(&message)) {
    tools_.erase(gone->proc.name_space);
    loop_.Post([this] { ThinkOfHost(); });
  }
}

// Not from inside a message of the host that may go.
void LocalNode::ThinkOfHost() {
  if (host_lost_ || keeper_lost_ || !HostIsIdle()) return;
  if (next_ready_ && !next_host_->closed()) return TakeNextHost();
  if (!next_host_ && host_namespaces_ >= options_.host_namespaces) StartNextHost();
}

void LocalNode::StartNextHost() {
  host_namespaces_ = 0;  // when this fails, it is tried again after as many
  auto pair = MakeStreamPair();
  if (!pair) return DropNextHost(pair.error());
  if (!SendHostSocket(options_.keeper_fd.get(), ++generation_, pair->second.get())) {
    return DropNextHost(Error{Errc::kClosed, "the keeper does not take it"});
  }
  next_host_ = std::make_unique<pmix::HostClient>(
      loop_, std::move(pair->first),
      [this](const pmix::HostMessage& message) { OnNextHostMessage(message); },
      [this, generation = generation_](const Error& error) {
        loop_.Post([this, generation, error] {
          if (next_host_ && generation == generation_) DropNextHost(error);
        });
      });
}

void LocalNode::OnNextHostMessage(const pmix::HostMessage& message) {
  const auto* ready = std::get_if<pmix::HostReady>(&message);
  if (ready == nullptr) return;  // nobody has been told of it yet
  next_ready_ = *ready;
  loop_.Post([this] { ThinkOfHost(); });
}

void LocalNode::TakeNextHost() {
  Log(LogLevel::kInfo, "host replaced generation=" + std::to_string(generation_));
  if (uplink_) uplink_->OnHostGone();
  host_ = std::move(next_host_);
  host_->SetHandlers([this](pmix::HostMessage message) { OnHostMessage(std::move(message)); },
                     [this](const Error& error) { OnHostClosed(error); });
  for (auto& [job, known] : known_) known.elsewhere = false;
  OnHostReady(*std::exchange(next_ready_, std::nullopt));
}

void LocalNode::DropNextHost(const Error& why) {
  Log(LogLevel::kWarn, "another host does not start, this one stays: " + why.text);
  next_host_.reset();
  next_ready_.reset();
}

}  // namespace rex
