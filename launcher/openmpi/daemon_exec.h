// rexlaunch in orted's place. Needs libc and nothing of rex's own: whatever is missing of rex, the
// node's daemon starts.
#pragma once

#include <string>

#include "launcher/openmpi/daemon_words.h"

namespace rex::openmpi {

// Where the plug-in is, seen from the running program: lib/rex/openmpi of its prefix. Empty when it
// can't be read there.
std::string PluginDirectory();

// Where a shell finds this program; empty: nowhere in PATH.
std::string FindInPath(const std::string& program);

// Becomes the daemon that mpirun wants. Returns an exit code when that can't be, having said why;
// -1 when these are no daemon words.
int BecomeDaemon(const Words& words);

}  // namespace rex::openmpi
