// What rexlaunch reads from this machine and its own process before a job. Main thread, at start.
#pragma once

#include "launcher/cli/job_request.h"

namespace rex {

// Cores this process may run on: distinct (package, core) pairs of the affinity mask, from
// /sys/devices/system/cpu; without those files the number of CPUs. At least 1. `sysfs_cpu_dir` is
// for tests.
uint32_t CountUsableCores(const std::string& sysfs_cpu_dir = "/sys/devices/system/cpu");

// The current directory by the name the user gave it: $PWD when it is that directory, as shells
// do. Errors: kNotFound, when it has been removed.
Result<std::string> CurrentDir(const Environment& env);

// `want_cores` false: `cores` is left at 1, which saves reading two files per CPU.
Result<Surroundings> ReadSurroundings(const Environment& env, bool want_cores);

// True for localhost, this machine's name (short or full), and every name or address that leads to
// one of its interfaces. May ask the name service (getaddrinfo(3)).
bool IsThisMachine(const std::string& host);

// environ(7) as it is now.
Environment OwnEnvironment();

// Opens /dev/null on descriptors 0, 1, 2 that are closed, so that none of ours gets their number.
void OpenMissingStdio();

}  // namespace rex
