// Checks a batch blob before anything in it is believed. Freestanding in effect: no allocation, no
// system call, no libstdc++, so that a template can use it before libc is initialised.
#pragma once

#include <stddef.h>

#include "launcher/template/template_proto.h"

namespace rex {

// A checked batch: pointers into the mapped blob, valid for as long as the mapping.
struct BatchView {
  const char* base = nullptr;
  const rex_blob_header* header = nullptr;
  const rex_blob_rank* ranks = nullptr;  // header->count of them

  const char* String(uint64_t offset) const { return base + offset; }
  const uint64_t* Words(uint64_t offset) const {
    return reinterpret_cast<const uint64_t*>(base + offset);
  }
};

// The request alone: magic, version, counts. `fds` is what came with it. 0 or EPROTO.
int CheckRequest(const rex_batch_request& request, uint32_t fds);

// The blob: every offset, count and string. `blob` is 8-byte aligned. 0 (then `view` is filled) or
// EPROTO (then it is untouched).
int CheckBlob(const rex_batch_request& request, const void* blob, size_t bytes, BatchView* view);

// The longest list of own environment strings among the ranks.
uint32_t LongestOwnEnv(const BatchView& view);

}  // namespace rex
