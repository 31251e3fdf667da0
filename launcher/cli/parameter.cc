#include "launcher/cli/parameter.h"

#include <algorithm>

namespace rex {

namespace {

// The last of `settings` that has one of the names.
std::optional<std::string> LastOf(const std::vector<EnvSetting>& settings,
                                  std::span<const std::string_view> names) {
  std::optional<std::string> value;
  for (const EnvSetting& setting : settings) {
    const bool meant = std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      return setting.name == "OMPI_MCA_" + std::string(name);
    });
    if (meant) value = setting.value;
  }
  return value;
}

std::optional<std::string> OfEnvironment(const Environment& env,
                                         std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    const auto here = FindVariable(env, "OMPI_MCA_" + std::string(name));
    if (here) return std::string(*here);
  }
  return std::nullopt;
}

}  // namespace

std::vector<EnvSetting> ReadParameterFiles(const Environment& env, const FileReader& read_file) {
  std::vector<std::string> files = {"/etc/openmpi/openmpi-mca-params.conf"};
  const auto home = FindVariable(env, "HOME");
  if (home && home->starts_with('/')) {
    files.push_back(std::string(*home) + "/.openmpi/mca-params.conf");
  }
  std::vector<EnvSetting> all;
  for (const std::string& file : files) {
    const auto text = read_file(file);
    if (!text) continue;
    const auto settings = ParseParameterFile(*text, file, env);
    if (settings) all.insert(all.end(), settings->begin(), settings->end());
  }
  return all;
}

std::optional<std::string> FindParameter(const CommandLine& line, const Environment& env,
                                         std::span<const std::string_view> names) {
  for (auto app = line.apps.rbegin(); app != line.apps.rend(); ++app) {
    if (auto value = LastOf(app->settings, names)) return value;
  }
  if (auto value = LastOf(line.settings, names)) return value;
  if (auto value = OfEnvironment(env, names)) return value;
  return LastOf(line.file_settings, names);
}

}  // namespace rex
