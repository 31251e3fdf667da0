// Datagrams of fragments that leave with one system call: as one large one that the kernel, or the
// network card, cuts (UDP_SEGMENT), else by sendmmsg(2). Loop thread only.
#pragma once

#include <sys/uio.h>

#include <array>
#include <string_view>
#include <vector>

#include "launcher/base/fd.h"
#include "launcher/staging/datagram.h"

namespace rex {

class CastBurst {
 public:
  // No more than the kernel cuts out of one; all together less than what IP carries in one.
  static constexpr size_t kMost = 40;

  // `can_cut`: the kernel is asked to; once, if it can't.
  explicit CastBurst(bool can_cut = true) : can_cut_(can_cut) {}
  // Whether one more fits. All but the last have the same size.
  bool HasRoom() const { return count_ < kMost && !short_; }
  size_t count() const { return count_; }
  size_t BytesOf(size_t datagrams) const;  // of the first ones
  // Its bytes stay until Send.
  void Add(const TransferId& id, const Datagram& datagram);

  struct Sent {
    size_t datagrams = 0;  // of the first; those that can't be sent ever are among them
    int why = 0;           // why not all: EAGAIN, ENOBUFS, EINTR; 0: all
  };
  // And is empty again.
  Sent Send(const UniqueFd& socket);

 private:
  Sent SendAsOne(const UniqueFd& socket);
  Sent SendEach(const UniqueFd& socket);

  std::array<std::array<char, kDatagramHeaderBytes>, kMost> headers_;
  static constexpr size_t kParts = 3;  // header, bytes, filling
  std::array<iovec, kParts * kMost> vectors_;
  size_t count_ = 0;
  bool short_ = false;  // the last one is
  bool can_cut_;        // the kernel
};

}  // namespace rex
