// Proves that a PMIx server and its ranks, run without rexlaunch, leave nothing in /tmp and
// /dev/shm outside of their directory. Only names of PMIx and Open MPI count, and only what nobody
// uses: other jobs of the user may come and go meanwhile.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/support/command.h"

namespace rex::testing {

class SharedFiles {
 public:
  SharedFiles();  // remembers what is there
  // What has come since and belongs to no live process, waited for at most `bound` to go. Empty:
  // clean.
  std::vector<std::string> Left(milliseconds bound = seconds(5)) const;

 private:
  std::set<std::string> before_;
};

}  // namespace rex::testing
