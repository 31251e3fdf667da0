// What rexlaunch reads from this machine and its own process before a job. Main thread, at start.
#pragma once

#include <chrono>
#include <set>

#include "launcher/cli/file_reader.h"
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

// How long all look-ups of one command line may wait for the name service together. Whoever has no
// answer by then counts as another machine, which costs an ssh to ourselves at worst.
inline constexpr std::chrono::milliseconds kNameServicePatience{1000};

// Tells names and addresses of this machine from others. Asks the name service only for a host that
// is neither an address nor like our own name, and never waits for it longer than `patience` in
// all.
class MachineNames {
 public:
  // The addresses of a host, as text; empty: unknown. May block; is called on a thread of its own,
  // which may outlive this object.
  using Resolver = std::function<std::vector<std::string>(const std::string& host)>;

  // `own_name` as gethostname(2) says it; `own_addresses` as inet_ntop(3) writes them.
  MachineNames(std::string own_name, std::vector<std::string> own_addresses, Resolver resolver,
               std::chrono::milliseconds patience);
  static MachineNames Real();

  // True for localhost, this machine's name (short or full), and every name or address that leads
  // to one of its interfaces.
  bool IsOurs(const std::string& host);

 private:
  bool AnyOurs(const std::vector<std::string>& addresses) const;
  std::vector<std::string> Resolve(const std::string& host);

  std::string own_name_;
  std::set<std::string> own_addresses_;
  Resolver resolver_;
  std::chrono::milliseconds patience_;  // what is left of it
};

// environ(7) as it is now.
Environment OwnEnvironment();

// Takes a surrounding job's variables out of environ(7): our own processes would take part in it.
// `env` is OwnEnvironment().
void LeaveSurroundingJob(const Environment& env);

// This machine's files, of at most 64 MiB (a node file has a line for each rank), and what commands
// print, which get ten seconds.
FileReader OwnFileReader();
CommandRunner OwnCommandRunner();

// Opens /dev/null on descriptors 0, 1, 2 that are closed, so that none of ours gets their number.
void OpenMissingStdio();

}  // namespace rex
