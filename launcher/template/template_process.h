// Starts a template's process: the program itself with librex_template.so as its last preload.
#pragma once

#include <string>
#include <vector>

#include "launcher/template/rank_maker.h"
#include "launcher/template/template_files.h"

namespace rex {

struct TemplateOrder {
  std::string path;  // absolute, or relative to wdir
  std::vector<std::string> argv;
  std::string wdir;
  std::vector<std::string> env;   // of the ranks, as far as known; LD_* and the like whole
  std::vector<MappedFile> files;  // beside what it maps: as they must be for each batch
  std::string own_dir = {};       // files below it are links of rex's own making
  std::string library_path = {};  // before LD_LIBRARY_PATH, for the template's ld.so alone
  std::string library = {};       // librex_template.so; empty: beside the running program
};

// Spare room for what a rank's environment has more than the order's: entries and bytes.
inline constexpr size_t kTemplateSpareEntries = 192;
inline constexpr size_t kTemplateSpareBytes = 32 << 10;

// Environment of the template: the order's, with `library` behind the user's own preloads, the
// socket's number, and the spare entries. Pure.
std::vector<std::string> TemplateEnvironment(const std::vector<std::string>& env,
                                             const std::string& library, int socket,
                                             const std::string& library_path = {});

// `env` for an exec whose ld.so is to search `library_path` (not empty) first. With `library`, as
// the last preload, the program itself sees `env` as it was (template_main.cc); without, what ld.so
// sees. Pure.
std::vector<std::string> ExecEnvironment(const std::vector<std::string>& env,
                                         const std::string& library,
                                         const std::string& library_path);

// The preload that gives a program started with ExecEnvironment its own environment back; empty
// where it can't be preloaded, or into that program: what a sanitizer or nothing loads.
// `library`: librex_template.so; empty: beside the running program.
std::string RestoringPreload(const std::string& program, const std::string& library = {});

// In the order's directory, with a memory file as stdout and stderr, in a process group of its own.
// Errors: as posix_spawn(3), kNotFound (the library).
Result<MakerProcess> StartTemplateProcess(const TemplateOrder& order);

}  // namespace rex
