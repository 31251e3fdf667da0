// How far a job is, in a line for the terminal. Pure.
#pragma once

#include <string>
#include <string_view>

#include "launcher/wire/messages.h"

namespace rex {

// "12 of 16 nodes are up"; empty when nothing is waited for.
std::string ProgressLine(const Progress& progress);

// Whether the terminal that TERM names can rewrite a line.
bool RewritesLines(std::string_view term);

}  // namespace rex
