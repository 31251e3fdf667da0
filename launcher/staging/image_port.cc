#include "launcher/staging/image_port.h"

#include "launcher/tree/tree.h"

namespace rex {

ImagePort ImagePortOf(Tree& tree) {
  ImagePort port;
  Tree* raw = &tree;
  port.self = tree.self();
  port.name = tree.name();
  port.send = [raw](NodeId to, uint8_t kind, FrameClass frame_class, std::string payload) {
    raw->Send(to, kind, frame_class, std::move(payload));
  };
  port.queued = [raw](NodeId to) { return raw->QueuedBytesTo(to); };
  port.listen = [raw](LinkListener::Wanted wanted, LinkListener::OnChild on_child) {
    return raw->ListenForPeers(std::move(wanted), std::move(on_child));
  };
  port.dial = [raw](NodeId peer, const std::string& name, std::vector<std::string> addresses,
                    uint16_t port_number, std::chrono::milliseconds bound,
                    std::function<void(Result<AuthenticatedStream>)> done) {
    return raw->DialPeer(peer, name, std::move(addresses), port_number, bound, std::move(done));
  };
  port.one_machine = tree.is_virtual();
  port.addresses = [raw] { return raw->OwnAddresses(); };
  port.key = [raw](const TransferId& id) { return MakeTransferKey(raw->key().bytes, id); };
  return port;
}

}  // namespace rex
