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
inline constexpr int64_t kDtStrtab = 5;
inline constexpr int64_t kDtSymtab = 6;
inline constexpr int64_t kDtDebug = 21;
inline constexpr int64_t kDtGnuHash = 0x6ffffef5;
inline constexpr int64_t kDtFlags1 = 0x6ffffffb;
inline constexpr uint64_t kDf1Initfirst = 0x20;
inline constexpr uint8_t kSymbolObject = 1;  // a variable

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
struct Symbol {
  uint32_t name;
  uint8_t info;
  uint8_t other;
  uint16_t section;
  uint64_t value;
  uint64_t bytes;
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
