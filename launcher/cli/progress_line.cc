#include "launcher/cli/progress_line.h"

namespace rex {

std::string ProgressLine(const Progress& progress) {
  const std::string counts =
      std::to_string(progress.done) + " of " + std::to_string(progress.total);
  const char* s = progress.total == 1 ? "" : "s";
  switch (progress.phase) {
    case JobPhase::kNodes:
      return counts + " node" + s + " up";
    case JobPhase::kPrepare:
    case JobPhase::kBirths:
      return counts + " rank" + s + " born";
    case JobPhase::kInit:
      return counts + " rank" + s + " in MPI_Init";
    case JobPhase::kRun:
      return "";
  }
  return "";
}

bool RewritesLines(std::string_view term) { return !term.empty() && term != "dumb"; }

}  // namespace rex
