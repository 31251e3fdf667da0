#include "launcher/cli/parameter.h"

#include <algorithm>

namespace rex {

std::optional<std::string> FindParameter(const CommandLine& line, const Environment& env,
                                         std::span<const std::string_view> names) {
  std::optional<std::string> value;
  for (const std::string_view name : names) {
    const std::string variable = "OMPI_MCA_" + std::string(name);
    if (const auto here = FindVariable(env, variable); here && !value) value = std::string(*here);
  }
  const auto take = [&](const std::vector<EnvSetting>& settings) {
    for (const EnvSetting& setting : settings) {
      const bool meant = std::any_of(names.begin(), names.end(), [&](std::string_view name) {
        return setting.name == "OMPI_MCA_" + std::string(name);
      });
      if (meant) value = setting.value;
    }
  };
  take(line.settings);
  for (const AppLine& app : line.apps) take(app.settings);
  return value;
}

}  // namespace rex
