// What the ELF headers of a program or shared library say about how it is started and loaded. Reads
// a few pages of the file.
#pragma once

#include <string>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

struct ElfFacts {
  bool is_elf = false;
  bool is_script = false;   // starts with #!
  bool is_native = false;   // 64 bit, little-endian, this machine's architecture, an executable
  std::string interpreter;  // PT_INTERP: the ld.so it asks for; empty: static
  std::string soname;
  std::string rpath;    // DT_RPATH, as written
  std::string runpath;  // DT_RUNPATH, as written
  std::vector<std::string> needed;
  bool wants_first_call = false;  // DF_1_INITFIRST
  bool has_sanitizer = false;     // has a sanitizer's entry points itself
};

// Errors: as open(2) and read(2); kInvalid: headers that point outside the file or are too large
// (such a file may still run; only we do not understand it).
Result<ElfFacts> ReadElfFacts(const std::string& path);

// Whether ld.so looks for what it needs in the working directory, or relative to it.
bool LooksInWorkingDirectory(const ElfFacts& facts);

// The ld.so of this architecture's ABI, e.g. /lib64/ld-linux-x86-64.so.2.
std::string SystemInterpreter();

}  // namespace rex
