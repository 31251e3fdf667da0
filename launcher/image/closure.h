// A program and every shared library that ld.so would load for it, found by ld.so's own rules
// (ld.so(8), glibc's dl-load.c) by reading ELF headers: nothing is run. Looks at files; any thread.
//
// Not followed: the per-processor subdirectories of before glibc 2.33 ("tls", "haswell"),
// DF_1_NODEFLIB, audit libraries, and whatever a program opens by itself.
#pragma once

#include <string>
#include <vector>

#include "launcher/image/ld_cache.h"

namespace rex {

// What ld.so takes from the machine.
struct LoaderWorld {
  LdCache cache;
  std::vector<std::string> hwcaps;        // best first
  std::vector<std::string> default_dirs;  // searched last
  std::string lib;                        // $LIB
  std::string platform;                   // $PLATFORM
};
LoaderWorld ThisLoader();

struct Closure {
  // Paths as ld.so opens them: a directory and the name that was asked for. The program first, then
  // its libraries in the order of loading; each once; without ld.so itself.
  std::vector<std::string> files;
  std::vector<std::string> missing;  // names that were found nowhere
  bool dynamic = false;              // the program is loaded by ld.so
};
// `program` is absolute; of `env` (NAME=VALUE) LD_LIBRARY_PATH and LD_PRELOAD count. What can't be
// read, or is no ELF file, has no libraries.
Closure FindClosure(const std::string& program, const std::vector<std::string>& env,
                    const LoaderWorld& world);

}  // namespace rex
