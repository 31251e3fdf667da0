#include "launcher/job/absences.h"

#include "launcher/base/text.h"

namespace rex {

namespace {
constexpr std::string_view kBeforeInit = "before MPI_Init";

std::string After(std::chrono::seconds since) {
  return "after " + std::to_string(since.count()) + " s: still waiting for ";
}

std::string Of(size_t some, size_t all, const char* what) {
  return std::to_string(some) + " of " + std::to_string(all) + " " + what + (all == 1 ? "" : "s");
}
}  // namespace

std::string RanksNotInInit(const std::vector<uint32_t>& absent, size_t ranks) {
  std::vector<std::string> names;
  for (const uint32_t rank : absent) names.push_back(std::to_string(rank));
  return Of(absent.size(), ranks, "rank") + " had not called MPI_Init: " + Listed(names);
}

std::string WaitingForNodes(std::chrono::seconds since, size_t nodes,
                            const std::vector<std::string>& absent) {
  return After(since) + Of(absent.size(), nodes, "node") + " to start: " + Listed(absent);
}

std::string WaitingForBirths(std::chrono::seconds since, size_t nodes,
                             const std::vector<std::string>& absent) {
  return After(since) + "ranks to be born on " + Of(absent.size(), nodes, "node") + ": " +
         Listed(absent);
}

std::string WaitingForInit(std::chrono::seconds since, size_t ranks,
                           const std::vector<std::string>& lines) {
  std::vector<std::string> absent;
  for (const std::string& line : lines) {
    if (line.find(kBeforeInit) != std::string::npos) absent.push_back(line);
  }
  const std::string text = After(since) + Of(absent.size(), ranks, "rank") + " to call MPI_Init";
  return absent.empty() ? text : text + ": " + Listed(absent, "; ");
}

}  // namespace rex
