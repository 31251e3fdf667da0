#include "pmix-server/proto/openmpi_jobid.h"

namespace rex::pmix {

uint32_t OpenMpiJobid(std::string_view name_space) {
  constexpr uint32_t kBit15 = 0x8000;
  uint32_t hash = 0;
  for (const char c : name_space) {
    hash += static_cast<uint32_t>(static_cast<int32_t>(static_cast<signed char>(c)));
    hash += hash << 10;
    hash ^= hash >> 6;
  }
  hash += hash << 3;
  hash ^= hash >> 11;
  hash += hash << 15;
  return hash & ~kBit15;
}

bool IsUsableOpenMpiJobid(uint32_t jobid) {
  const uint32_t family = jobid >> 16;
  const uint32_t local = jobid & 0xffff;
  return family != 0 && family != 0xffff && local != 0;
}

}  // namespace rex::pmix
