// What is sent to a node that has no rex: the programs beside the running one, the shared libraries
// that they need (but glibc's), and stage-0.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

struct ShipFile {
  std::string name;    // below the node's directory: "rexd", "lib/libpmix.so.2"
  std::string source;  // its path here
  bool program = false;
  std::string digest;  // SHA-256, hexadecimal
  std::string bytes;
};

struct ShipBundle {
  std::vector<ShipFile> files;  // programs first; at most kMaxShipFiles
  std::string libc_path;        // of this machine
  unsigned glibc_minor = 0;     // 2.N is what the files need at least; 0: none

  std::string Manifest() const;
};

// The first program, which is sent before anything else is known.
struct Stage0 {
  std::string bytes;
  std::string digest;
};

// Reads rex-stage0 out of `directory` (libexec/rex of an installation, or where rex was sent to).
// Errors: kNotFound and others of open(2), naming the file.
Result<Stage0> ReadStage0(const std::string& directory);

// Reads all the rest, some 12 MB, and asks ld.so which libraries are needed: takes a tenth of a
// second, so not on a loop's thread. Errors: as above; kInternal: ld.so can't be asked.
Result<std::shared_ptr<const ShipBundle>> MakeShipBundle(const std::string& directory);

// KiB that the node's directory must have room for, from the sizes of the programs.
uint64_t ShipRoomKib(const std::string& directory);

// ld.so's answer to LD_TRACE_LOADED_OBJECTS: the libraries with their paths, without glibc's own;
// `libc_path` gets that of libc.so.6. Pure. Errors: kNotFound: one was not found.
struct LoadedLibrary {
  std::string name;
  std::string path;
  bool operator==(const LoadedLibrary&) const = default;
};
Result<std::vector<LoadedLibrary>> ParseLoaded(const std::string& answer, std::string* libc_path);

std::string Sha256Hex(std::string_view bytes);

}  // namespace rex
