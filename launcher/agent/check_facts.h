// What a node tells of itself for `rexlaunch --check`, and its encoding.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "launcher/base/result.h"

namespace rex {

inline constexpr uint8_t kCheckAskKind = 40;
inline constexpr uint8_t kCheckFactsKind = 41;

struct CheckFacts {
  std::string machine;  // equal for two names of one machine, and for nothing else
  std::string hostname;
  uint32_t cores = 0;
  std::string rex;
  std::string glibc;
  std::string openmpi;   // "libmpi.so.40.30.4"; empty: there is none
  std::string libpmix;   // likewise
  std::string way_back;  // tree/way_back.h; empty: over ssh only
  std::string temp;      // directory
  uint64_t temp_free = 0;
  uint64_t shm_free = 0;
  std::chrono::microseconds realtime{0};
  std::chrono::microseconds monotonic{0};
  bool sent = false;  // rex is not installed there, it was sent for this
};

// All but the way back. `session_dir`: of the agent. `library_path`: of ranks, searched first.
CheckFacts ReadCheckFacts(uint32_t cores, const std::string& session_dir,
                          const std::string& library_path);

// File names, with their versions, of the library `name` ("libmpi.so.40") as ld.so finds it:
// `library_path`, then the cache's text. Empty: nowhere. Pure but for looking at files.
std::string FindLibrary(const std::string& name, const std::string& library_path,
                        const std::string& cache);

std::string EncodeAsk(const std::string& library_path);
Result<std::string> DecodeAsk(const std::string& payload);
std::string ToWire(const CheckFacts& facts);
Result<CheckFacts> DecodeFacts(const std::string& payload);

}  // namespace rex
