// Starts a template's process: the program itself with librex_template.so as its last preload.
#pragma once

#include <string>
#include <vector>

#include "launcher/template/rank_maker.h"
#include "launcher/template/template_files.h"

namespace rex {

struct TemplateOrder {
  std::string path;  // absolute
  std::vector<std::string> argv;
  std::string wdir;
  std::vector<std::string> env;   // of the ranks, as far as known; LD_* and the like whole
  std::vector<MappedFile> files;  // beside what it maps: as they must be for each batch
};

// Spare room for what a rank's environment has more than the order's: entries and bytes.
inline constexpr size_t kTemplateSpareEntries = 192;
inline constexpr size_t kTemplateSpareBytes = 32 << 10;

// Environment of the template: the order's, with `library` behind the user's own preloads, the
// socket's number, and the spare entries. Pure.
std::vector<std::string> TemplateEnvironment(const std::vector<std::string>& env,
                                             const std::string& library, int socket);

// In the order's directory, with a memory file as stdout and stderr, in a process group of its own.
// Errors: as posix_spawn(3), kNotFound (the library).
Result<MakerProcess> StartTemplateProcess(const TemplateOrder& order);

}  // namespace rex
