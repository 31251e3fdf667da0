// Open MPI's parameters that rexlaunch itself obeys. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "launcher/cli/parse.h"

namespace rex {

// What the ranks would see as OMPI_MCA_NAME, set by --mca, --gmca, a parameter file or the
// environment, under any of `names`: the last setting wins.
std::optional<std::string> FindParameter(const CommandLine& line, const Environment& env,
                                         std::span<const std::string_view> names);

}  // namespace rex
