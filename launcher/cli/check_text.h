// What --check prints: lines for people, or JSON. Pure.
#pragma once

#include <string>

#include "launcher/wire/check_report.h"

namespace rex {

// A line for each problem, "NODE: ABOUT: TEXT; REMEDY", then one that sums up.
std::string CheckLines(const CheckReport& report);

// An object: `well`, `problems`, `nodes`. Their fields are those of wire/check_report.h; what is
// not known is null.
std::string CheckJson(const CheckReport& report);

}  // namespace rex
