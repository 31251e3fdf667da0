// Where the programs under test are. REX_TEST_PREFIX in the environment moves rexlaunch, so that
// the same tests can be run against an installed tree.
#pragma once

#include <string>

namespace rex::testing {

std::string RexlaunchPath();                          // <prefix>/bin/rexlaunch
std::string RexctlPath();                             // <prefix>/bin/rexctl
std::string LibexecPath(const std::string& program);  // <prefix>/libexec/rex/<program>
std::string ProgramPath(const std::string& name);     // tests/programs, built or a script
std::string ExamplePath(const std::string& name);     // examples/, built or a script
std::string BuildDir();
std::string SourceDir();
bool IsSanitized();  // built with REX_SANITIZE: everything is slower, wall-clock claims do not hold

}  // namespace rex::testing
