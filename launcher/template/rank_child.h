// What a rank does between its birth and its program: the child's side of a batch. System calls
// only, no allocation, no libc, so that it holds in a raw clone of the spawner and of a template
// alike. Whatever fails is reported over the batch's pipe; nothing here returns an error.
#pragma once

#include "launcher/template/batch_check.h"

namespace rex {

// What all ranks of a batch share. Made by the parent before the first clone.
struct RankContext {
  BatchView view;
  size_t blob_bytes = 0;     // of the mapping at view.base
  const int* fds = nullptr;  // the datagram's descriptors, all above 2
  int gate = -1;
  int report = -1;
  int null_device = -1;  // /dev/null, read-write
  // Spawner only. argv ends with null; envp has room for common + longest own + 1 pointers, the
  // common ones filled in, and the child adds the rest.
  char* const* argv = nullptr;
  char** envp = nullptr;
};

// Process group, death signal, affinity, descriptors, limits, umask, timer slack, directory.
// Leaves 0, 1, 2, the gate and the report pipe open. Ends the process when something fails.
void PrepareRank(const RankContext& context, uint32_t index);

// Returns when a byte could be read from the gate; ends the process at end of file there.
void AwaitGate(int gate);

// Reports and ends the process with the batch's failed_exit.
[[noreturn]] void FailRank(const RankContext& context, uint32_t index, rex_birth_phase phase,
                           int error);

}  // namespace rex
