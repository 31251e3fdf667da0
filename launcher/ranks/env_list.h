// Environments as lists of NAME=VALUE. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rex {

// What stands before the first '='; the whole without one.
std::string_view NameOf(std::string_view assignment);

// Of several assignments the last counts. The view is into `env`.
std::optional<std::string_view> ValueOf(const std::vector<std::string>& env, std::string_view name);

// Merges lists; later ones win, order of first appearance is kept.
std::vector<std::string> MergeEnvironments(
    const std::vector<const std::vector<std::string>*>& lists);

}  // namespace rex
