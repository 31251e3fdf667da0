// Options of mpirun 4.1 that rexlaunch does not have (yet): each gets a clear line, never silence.
// docs/mpirun-users.md is the whole table, of these and of those that rexlaunch has. Pure data.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace rex {

enum class MpirunSupport : uint8_t {
  kIgnored,  // accepted: what it asks for is so anyway, or has no meaning here
  kNotYet,   // refused: to come
  kNever,    // refused: belongs to mpirun's own machinery; `instead` says what to use
};

struct MpirunOption {
  std::string_view name;  // without dashes
  uint8_t arity;
  MpirunSupport support;
  std::string_view instead;  // the end of the line for the user; may be empty
};

// Static storage, by name.
std::span<const MpirunOption> MpirunOptions();
const MpirunOption* FindMpirunOption(std::string_view name);

}  // namespace rex
