// A parameter file of Open MPI beside an environment, and what rex makes of both. Input: the file,
// NUL, then environment entries, each ended by NUL.
#include <algorithm>

#include "launcher/ranks/fabric_probe.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

constexpr std::string_view kBlank = " \t\r\f\v\n";

bool IsTrimmed(std::string_view text) {
  return text.empty() ||
         (kBlank.find(text.front()) == kBlank.npos && kBlank.find(text.back()) == kBlank.npos);
}

void CheckSettings(const McaFiles& files) {
  std::string text;
  for (const auto& [name, setting] : files.settings) {
    REX_CHECK(!name.empty() && name.find_first_of(" \t\n=#-/\"\'") == name.npos && IsTrimmed(name));
    REX_CHECK(IsTrimmed(setting.value) && setting.value.find('\n') == setting.value.npos);
    REX_CHECK(setting.file == "site");
    text.append(name).append(" = ").append(setting.value).append("\n");
  }
  McaFiles again;
  ParseMcaFile(text, "site", again);
  REX_CHECK(again.unclear.empty() && again.settings.size() == files.settings.size());
  for (const auto& [name, setting] : files.settings) {
    REX_CHECK(again.settings.at(name).value == setting.value);
  }
}

// A machine where nothing but TCP and shared memory works: all that can be excluded is.
FabricFacts BareNode() {
  FabricFacts facts;
  facts.sysfs = true;
  facts.mtl_components = {"ofi", "psm", "psm2"};
  return facts;
}

bool EnvironmentSets(const std::vector<std::string>& env, const std::string& name) {
  return std::any_of(env.begin(), env.end(),
                     [&](const std::string& entry) { return entry.starts_with(name + "="); });
}

// The user's and the site's settings stand, whatever they are.
void CheckChoice(const McaFiles& files, const std::vector<std::string>& env) {
  const FabricSettings chosen = ChooseComponents(BareNode(), files, env);
  REX_CHECK(!chosen.explanations.empty());
  REX_CHECK(files.unclear.empty() || chosen.env.empty());
  for (const std::string& entry : chosen.env) {
    const size_t equals = entry.find("=^");
    REX_CHECK(entry.starts_with("OMPI_MCA_") && equals != entry.npos);
    REX_CHECK(!EnvironmentSets(env, entry.substr(0, equals)));
    const auto setting = files.settings.find(entry.substr(9, equals - 9));
    if (setting == files.settings.end()) continue;
    REX_CHECK(setting->second.value.starts_with('^'));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\0'), size);
  const std::string file(input.substr(0, end));
  const std::vector<std::string> env = fuzz::SplitAtNul(input.substr(std::min(end + 1, size)));
  McaFiles files;
  ParseMcaFile(file, "site", files);
  CheckSettings(files);
  CheckChoice(files, env);
  return 0;
}

}  // namespace rex
