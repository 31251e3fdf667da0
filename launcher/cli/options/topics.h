// The parts of the option table, a file per group of topics. Only option_table.cc puts them
// together.
#pragma once

#include <vector>

#include "launcher/cli/option_table.h"

namespace rex {

std::vector<Option> PlacementOptions();
std::vector<Option> NodeOptions();
std::vector<Option> ImageOptions();
std::vector<Option> RunOptions();
std::vector<Option> DisplayOptions();
std::vector<Option> GeneralOptions();

}  // namespace rex
