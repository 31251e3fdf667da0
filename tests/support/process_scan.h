// What /proc knows about the processes of a test.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace rex::testing {

// One line of people's text about a process: pid, parent, state, command line. For messages.
std::string ProcessLine(pid_t pid);

// Live processes (zombies not counted) whose environment contains the entry `marker` (NAME=VALUE).
std::vector<pid_t> ProcessesWithMarker(const std::string& marker);

// Live processes below `root` whose command name (proc(5) comm, cut at 15 bytes) is `name`;
// templates, which have their ranks' name, are not among them.
std::vector<pid_t> DescendantsNamed(pid_t root, const std::string& name);

// Whether `pid` is a template, or a rank that has not yet become itself.
bool IsTemplate(pid_t pid);
// False for a process that ends, or whose environment we may not read.
bool HasEnvironment(pid_t pid);

// Clock ticks since boot at which `pid` started; 0 when it is gone. With it a reused pid is told.
unsigned long long StartTime(pid_t pid);

// True when some process maps or has open a file below `path`.
bool IsFileInUse(const std::string& path);

}  // namespace rex::testing
