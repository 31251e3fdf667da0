// Small things of texts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rex {

// "n3, n4 and 7 more": at most eight are named.
std::string Listed(const std::vector<std::string>& names, const char* separator = ", ");

// The parts between the separators, empty ones too; one at least. They refer to `text`.
std::vector<std::string_view> Split(std::string_view text, char separator);

}  // namespace rex
