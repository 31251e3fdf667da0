// Runs another program for what it prints. Blocks, at most for `patience`; called before there is
// an event loop.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

// `words[0]` is looked up in PATH. stdin is /dev/null, stderr ours. A program that is late is
// killed. Errors, their text naming the program: kNotFound; kTimeout; kInvalid, it failed or
// printed more than `most` bytes; kResource.
Result<std::string> CommandOutput(const std::vector<std::string>& words, size_t most,
                                  std::chrono::milliseconds patience);

}  // namespace rex
