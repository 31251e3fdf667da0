// The few structures of ELF and of ld.so's public interface that the freestanding template reads:
// System V ABI, elf.h, link.h. 64 bit only.
#pragma once

#include <stdint.h>

namespace rex::elf {

inline constexpr uint64_t kAuxNull = 0;
inline constexpr uint64_t kAuxPhdr = 3;
inline constexpr uint64_t kAuxPhnum = 5;
inline constexpr uint64_t kAuxRandom = 25;
inline constexpr uint32_t kPtDynamic = 2;
inline constexpr uint32_t kPtPhdr = 6;
inline constexpr int64_t kDtNull = 0;
inline constexpr int64_t kDtDebug = 21;
inline constexpr int64_t kDtFlags1 = 0x6ffffffb;
inline constexpr uint64_t kDf1Initfirst = 0x20;

struct Aux {
  uint64_t type;
  uint64_t value;
};
struct ProgramHeader {
  uint32_t type;
  uint32_t flags;
  uint64_t offset;
  uint64_t address;
  uint64_t physical;
  uint64_t file_bytes;
  uint64_t memory_bytes;
  uint64_t alignment;
};
struct Dynamic {
  int64_t tag;
  uint64_t value;
};
struct LinkMap {
  uint64_t base;
  const char* name;
  const Dynamic* dynamic;
  const LinkMap* next;
  const LinkMap* previous;
};
struct DebugState {
  int version;
  const LinkMap* map;
};

}  // namespace rex::elf
