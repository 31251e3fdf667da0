// The maker's side of template_proto.h, for the spawner and the template: takes requests, checks
// them, clones the ranks, answers. One thread, system calls only. A malformed request is answered
// with EPROTO and changes nothing. Ranks are the agent's children (CLONE_PARENT); nothing is ever
// reaped here.
#pragma once

#include "launcher/template/rank_child.h"

namespace rex {

// What differs between the makers. Both functions are plain and get `self` back.
struct MakerKind {
  void* self = nullptr;
  // Before the first clone of a batch: 0, errno, or REX_BATCH_UNFIT.
  int (*prepare)(void* self, RankContext* context) = nullptr;
  // After the last one, in the maker; also when `prepare` or a clone failed.
  void (*finish)(void* self, RankContext* context) = nullptr;
  void* child_tid = nullptr;  // for CLONE_CHILD_SETTID; null: none
  bool can_become = false;    // REX_BLOB_BECOME is honoured
};

// The rank that a clone is to become.
struct BornRank {
  RankContext context;
  uint32_t index = 0;
};

// Puts the maker's descriptors in order: closes all but 0, 1, 2 and `socket`, and returns one of
// /dev/null, close-on-exec and above 2; -errno when there is none.
int ArrangeDescriptors(int socket);

// Serves until end of file on `socket`, then returns false. In each rank it returns true, the maker
// itself among them when it is to become one, with `born` filled; its pointers hold for as long as
// the rank does not unmap or return from them.
bool ServeBatches(int socket, int null_device, const MakerKind& kind, BornRank* born);

}  // namespace rex
