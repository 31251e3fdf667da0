// By which way a connection goes. Pure but for what the kernel is asked.
#pragma once

#include <string>

namespace rex {

// "eth0 10.0.0.2 to 10.0.0.1": interface and address of this end of a connected TCP socket
// (borrowed), and the other end's address. "?" for what can't be found out.
std::string DescribeWay(int socket);
// The address of the other end of a connected TCP socket, as a number; "?": none.
std::string PeerAddress(int socket);

}  // namespace rex
