#include "tests/support/paths.h"

#include <unistd.h>

#include <cstdlib>

namespace rex::testing {
namespace {

std::string Prefix() {
  const char* given = std::getenv("REX_TEST_PREFIX");
  return given != nullptr && *given != '\0' ? given : REX_TEST_BUILD_DIR;
}

// A script stays in the source tree; what is compiled is in the build tree.
std::string BuiltOrScript(const std::string& folder, const std::string& name) {
  std::string built = std::string(REX_TEST_BUILD_DIR) + "/" + folder + "/" + name;
  if (::access(built.c_str(), F_OK) == 0) return built;
  return std::string(REX_TEST_SOURCE_DIR) + "/" + folder + "/" + name;
}

}  // namespace

std::string RexlaunchPath() { return Prefix() + "/bin/rexlaunch"; }

std::string RexctlPath() { return Prefix() + "/bin/rexctl"; }

std::string LibexecPath(const std::string& program) { return Prefix() + "/libexec/rex/" + program; }

std::string ProgramPath(const std::string& name) { return BuiltOrScript("tests/programs", name); }

std::string ExamplePath(const std::string& name) { return BuiltOrScript("examples", name); }

std::string BuildDir() { return REX_TEST_BUILD_DIR; }

std::string SourceDir() { return REX_TEST_SOURCE_DIR; }

bool IsSanitized() { return REX_TEST_SANITIZED != 0; }

}  // namespace rex::testing
