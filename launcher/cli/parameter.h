// Open MPI's parameters that rexlaunch itself obeys. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "launcher/cli/parse.h"

namespace rex {

// What /etc/openmpi/openmpi-mca-params.conf and ~/.openmpi/mca-params.conf set, in this order. A
// file that is missing or makes no sense sets nothing: it is Open MPI that complains about it.
std::vector<EnvSetting> ReadParameterFiles(const Environment& env, const FileReader& read_file);

// What the ranks would see as OMPI_MCA_NAME under any of `names`: the last of --mca, --gmca and
// --tune, else the environment's, else that of Open MPI's parameter files.
std::optional<std::string> FindParameter(const CommandLine& line, const Environment& env,
                                         std::span<const std::string_view> names);

}  // namespace rex
