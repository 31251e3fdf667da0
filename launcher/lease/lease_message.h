// agent -> keeper, over the pair of sockets (SOCK_SEQPACKET) by which each sees the other's end:
// copies of a job's leases, so that they outlive an agent that is killed, until the last rank is
// gone; that the job has ended; and the host's end of a connection, for which the keeper starts
// another host. Nothing is answered.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "launcher/base/fd.h"

namespace rex {

// Never waits. False: the keeper does not take it now, or is gone; the sender's own copies stay.
bool SendLeases(int keeper_fd, uint32_t job, const std::vector<int>& fds);
bool SendLeasesEnd(int keeper_fd, uint32_t job);
bool SendHostSocket(int keeper_fd, uint32_t generation, int socket);

// The keeper's side: copies of each job's leases.
class KeptLeases {
 public:
  struct HostWanted {
    uint32_t generation = 0;
    UniqueFd socket;
  };
  // Another host is to be started, once.
  std::optional<HostWanted> TakeHost() { return std::exchange(host_, std::nullopt); }
  // One message. False: there is none; the agent is gone. Malformed ones are dropped.
  bool Receive(int agent_fd);
  size_t count() const;

 private:
  std::map<uint32_t, std::vector<UniqueFd>> jobs_;
  std::optional<HostWanted> host_;
};

}  // namespace rex
