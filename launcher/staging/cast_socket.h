// UDP sockets for a multicast group. IPv4.
#pragma once

#include <string>
#include <vector>

#include "launcher/base/fd.h"
#include "launcher/image/image_messages.h"

namespace rex {

struct CastInterface {
  int index = 0;         // if_nametoindex(3)
  uint32_t address = 0;  // host order
};
// Those that can carry a group, but loopback; or loopback alone, for nodes that are one machine.
std::vector<CastInterface> CastInterfaces(bool loopback);

// Receives what is sent to the group, on these interfaces. Errors: as bind(2); kNotFound: none of
// them carries groups.
Result<UniqueFd> OpenCastReceiver(const ImageCast& cast,
                                  const std::vector<CastInterface>& interfaces);
// Sends to the group through one interface. Errors: as connect(2).
Result<UniqueFd> OpenCastSender(const ImageCast& cast, const CastInterface& through);

}  // namespace rex
