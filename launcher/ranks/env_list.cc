#include "launcher/ranks/env_list.h"

#include <unordered_map>

namespace rex {

std::string_view NameOf(std::string_view assignment) {
  return assignment.substr(0, assignment.find('='));
}

std::optional<std::string_view> ValueOf(const std::vector<std::string>& env,
                                        std::string_view name) {
  std::optional<std::string_view> value;
  for (const std::string& entry : env) {
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name)) {
      value = std::string_view(entry).substr(name.size() + 1);
    }
  }
  return value;
}

std::vector<std::string> MergeEnvironments(
    const std::vector<const std::vector<std::string>*>& lists) {
  std::vector<std::string> merged;
  std::unordered_map<std::string_view, size_t> index;  // views into `lists`, which outlive this
  for (const auto* list : lists) {
    for (const std::string& assignment : *list) {
      const auto [it, is_new] = index.emplace(NameOf(assignment), merged.size());
      if (is_new) {
        merged.push_back(assignment);
      } else {
        merged[it->second] = assignment;
      }
    }
  }
  return merged;
}

}  // namespace rex
