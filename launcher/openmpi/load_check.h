// Whether orted will be able to load our plug-in: a plug-in that it can't load could take nothing
// out of the ranks' environment. Needs libc and nothing of rex's own.
#pragma once

#include <string>

namespace rex::openmpi {

// Empty: it will, or that can't be known (orted is no ELF program with an interpreter: a script).
// Else why not. Has ld.so bring `orted` and the plug-in together without running either (1 ms);
// waits five seconds at most.
std::string LoadProblem(const std::string& orted, const std::string& plugin);

// What ld.so's trace says of the plug-in; `ended_well`: its exit code was 0. Pure.
std::string JudgeTrace(const std::string& trace, bool ended_well, const std::string& plugin);

}  // namespace rex::openmpi
