// --check-openmpi: would mpirun --launch-agent rexlaunch start its ranks by rex here?
#pragma once

#include <string>

namespace rex {

// Empty: not found.
struct OpenMpiFacts {
  std::string orted;         // path, by PATH
  std::string version;       // of the mpirun beside it, e.g. "4.1.4"
  std::string prted;         // path, by PATH
  std::string plugin;        // path of mca_odls_rex.so
  std::string built_for;     // the version the plug-in is for
  std::string load_problem;  // why orted can't load it
  std::string
      missing;         // a file of rex's that the plug-in needs: which, and where it was looked for
  std::string images;  // path of mca_filem_rex.so, beside the plug-in
  std::string images_missing;  // as `missing`, of that one
  std::string images_seen;     // where mpirun finds it by itself; empty: nowhere
  std::string rexlaunch;       // path of this program
};

// Looks at files and runs `mpirun --version`, for at most ten seconds.
OpenMpiFacts ReadOpenMpiFacts();

struct OpenMpiVerdict {
  bool fits = false;
  std::string text;  // lines: what was found, then the verdict with what to do
};

// Pure.
OpenMpiVerdict JudgeOpenMpi(const OpenMpiFacts& facts);

// The version in the output of `mpirun --version`, or empty. Pure.
std::string OpenMpiVersion(const std::string& output);

}  // namespace rex
