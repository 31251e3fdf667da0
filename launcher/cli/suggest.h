// Which word somebody meant: for messages about misspelt options. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace rex {

// What it takes to turn `a` into `b`: 4 for each edit (insert, delete, replace, swap of
// neighbours), 1 for a letter that differs in case only.
size_t EditDistance(std::string_view a, std::string_view b);

// The nearest of `words`, or empty when none is near enough to be meant (more than a third of the
// longer word wrong). The first wins among equals.
std::string NearestWord(std::string_view word, std::span<const std::string_view> words);

}  // namespace rex
