#include "launcher/cli/openmpi_check.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "launcher/base/fd.h"
#include "launcher/base/programs.h"
#include "launcher/cli/command_output.h"
#include "launcher/openmpi/daemon_exec.h"
#include "launcher/openmpi/load_check.h"

namespace rex {

namespace {
constexpr std::chrono::seconds kPatience{10};
constexpr size_t kMostOutput = 64 << 10;
constexpr const char* kImages = "/mca_filem_rex.so";
constexpr std::string_view kMarker = "rex plug-in for Open MPI ";

// The characters of a version from `at` on.
std::string VersionAt(std::string_view text, size_t at) {
  const size_t end = text.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz.", at);
  return std::string(text.substr(at, end == text.npos ? text.npos : end - at));
}

std::string OwnPath() {
  std::array<char, PATH_MAX> self{};
  const ssize_t n = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  return n <= 0 ? "" : std::string(self.data(), static_cast<size_t>(n));
}

std::string BuiltFor(const std::string& plugin) {
  const auto bytes = ReadFile(plugin, 64 << 20);
  if (!bytes) return "";
  const size_t at = bytes->find(kMarker);
  return at == std::string::npos ? "" : VersionAt(*bytes, at + kMarker.size());
}

std::string MissingFile(const std::vector<const char*>& names) {
  for (const char* name : names) {
    const auto path = FindLibexecProgram(name);
    if (!path) return path.error().text;
  }
  return "";
}

std::string Line(const std::string& name, const std::string& value) {
  return name + ": " + (value.empty() ? "not found" : value) + "\n";
}

// Where Open MPI looks of itself, or is told to look.
std::string SeenByMpirun(const std::string& own) {
  const char* home = std::getenv("HOME");
  std::vector<std::string> dirs = {REX_OPENMPI_COMPONENTS};
  if (home != nullptr) dirs.push_back(std::string(home) + "/.openmpi/components");
  const char* told = std::getenv("OMPI_MCA_mca_base_component_path");
  const std::string list = told == nullptr ? "" : ":" + std::string(told) + ":";
  if (list.find(":" + own + ":") != list.npos) dirs.push_back(own);
  for (const std::string& dir : dirs) {
    if (!dir.empty() && ::access((dir + kImages).c_str(), R_OK) == 0) return dir + kImages;
  }
  return "";
}

// Whether mpirun sends programs to nodes that lack them.
std::string ImagesLine(const OpenMpiFacts& facts) {
  if (facts.plugin.empty()) return "";
  std::string line = "programs that nodes lack: ";
  if (facts.images.empty()) return line + "not sent by rex: mca_filem_rex.so is missing or unfit\n";
  if (!facts.images_missing.empty())
    return line + "not sent by rex: " + facts.images_missing + "\n";
  if (!facts.images_seen.empty()) return line + "sent by " + facts.images_seen + "\n";
  const std::string dir = facts.images.substr(0, facts.images.rfind('/'));
  return line + "not sent by rex, as mpirun does not see " + facts.images +
         ": link it into ~/.openmpi/components, or export OMPI_MCA_mca_base_component_path="
         "SYSTEM_DEFAULT:" +
         dir + ":USER_DEFAULT\n";
}

// Empty: nothing is in the way.
std::string WhyNot(const OpenMpiFacts& facts) {
  if (facts.orted.empty() && !facts.prted.empty()) {
    return "this is Open MPI 5, whose daemon rexlaunch starts as it is: ranks are not made by rex";
  }
  if (facts.orted.empty()) {
    return "there is no orted in PATH: install Open MPI 4.1, or put its bin directory into PATH "
           "(on a node: the PATH of a login by ssh)";
  }
  if (facts.plugin.empty()) {
    return "rex's plug-in mca_odls_rex.so is not installed beside this rexlaunch, or in a "
           "directory "
           "with a blank or a colon in its path: build rex where Open MPI's development files are "
           "(libopenmpi-dev), and install it";
  }
  if (!facts.missing.empty()) return facts.missing + ": install rex anew";
  if (!facts.load_problem.empty()) {
    return "orted cannot load rex's plug-in: " + facts.load_problem + "; install rex anew";
  }
  if (facts.version != facts.built_for) {
    return "rex's plug-in is for Open MPI " + facts.built_for + ", and this one is " +
           (facts.version.empty() ? "of an unknown version" : facts.version) +
           ": build rex with this Open MPI (-DOpenMPI_ROOT=DIR)";
  }
  return "";
}
}  // namespace

std::string OpenMpiVersion(const std::string& output) {
  static constexpr std::string_view kName = "(Open MPI) ";
  const size_t at = output.find(kName);
  return at == std::string::npos ? "" : VersionAt(output, at + kName.size());
}

OpenMpiFacts ReadOpenMpiFacts() {
  OpenMpiFacts facts;
  facts.rexlaunch = OwnPath();
  facts.orted = openmpi::FindInPath("orted");
  facts.prted = openmpi::FindInPath("prted");
  if (!facts.orted.empty()) {
    const std::string mpirun = facts.orted.substr(0, facts.orted.rfind('/')) + "/mpirun";
    const auto said = CommandOutput({mpirun, "--version"}, kMostOutput, kPatience);
    if (said) facts.version = OpenMpiVersion(*said);
  }
  if (const std::string dir = openmpi::PluginDirectory(); !dir.empty()) {
    facts.plugin = dir + "/mca_odls_rex.so";
    facts.built_for = BuiltFor(facts.plugin);
    if (!facts.orted.empty()) {
      facts.load_problem = openmpi::LoadProblem(facts.orted, facts.plugin);
    }
    facts.missing = MissingFile({"librex_template.so", "rexd-spawner"});
    if (BuiltFor(dir + kImages) == facts.built_for) facts.images = dir + kImages;
    facts.images_missing = MissingFile({"rexd-stager"});
    facts.images_seen = SeenByMpirun(dir);
  }
  return facts;
}

OpenMpiVerdict JudgeOpenMpi(const OpenMpiFacts& facts) {
  OpenMpiVerdict verdict;
  verdict.text = Line("orted", facts.orted) + Line("Open MPI", facts.version) +
                 Line("plug-in", facts.plugin) + Line("plug-in is for Open MPI", facts.built_for) +
                 ImagesLine(facts);
  const std::string why = WhyNot(facts);
  verdict.fits = why.empty();
  if (verdict.fits) {
    verdict.text += "fits: mpirun --launch-agent " + facts.rexlaunch + " ...\n";
    return verdict;
  }
  verdict.text += "does not fit: " + why + "\n";
  if (!facts.orted.empty() || !facts.prted.empty()) {
    verdict.text += "mpirun --launch-agent works all the same; Open MPI starts the ranks\n";
  }
  return verdict;
}

}  // namespace rex
