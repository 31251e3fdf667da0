// What --report-after says of nodes and ranks that keep a job waiting. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace rex {

// "after 30 s: still waiting for 2 of 16 nodes to start: n3, n7"
std::string WaitingForNodes(std::chrono::seconds since, size_t nodes,
                            const std::vector<std::string>& absent);
// The same for nodes whose ranks are not all in their programs.
std::string WaitingForBirths(std::chrono::seconds since, size_t nodes,
                             const std::vector<std::string>& absent);
// Others wait in MPI_Init. `lines`: what the parts said of their ranks (ReportState's); those of
// ranks that are still before MPI_Init are shown, so many of them.
std::string WaitingForInit(std::chrono::seconds since, size_t ranks,
                           const std::vector<std::string>& lines);
// "2 of 8 ranks had not called MPI_Init: 3, 5"
std::string RanksNotInInit(const std::vector<uint32_t>& absent, size_t ranks);

}  // namespace rex
