// Names in a sentence.
#pragma once

#include <string>
#include <vector>

namespace rex {

// "n3, n4 and 7 more": at most eight are named.
std::string Listed(const std::vector<std::string>& names, const char* separator = ", ");

}  // namespace rex
