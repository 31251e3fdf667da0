// Whether ranks of a program may be forked from a template, as far as can be told from outside. The
// template itself judges what only ld.so knows (template_main.cc).
#pragma once

#include <string>
#include <vector>

#include "launcher/template/elf_facts.h"

namespace rex {

// What the file system says of a program beside its content.
struct FileFacts {
  bool is_set_id = false;         // set-user-ID or set-group-ID
  bool has_capabilities = false;  // security.capability
};

// Pure: why this program in this environment has to be exec'ed for each rank; empty: it need not.
std::string WhyExec(const ElfFacts& elf, const FileFacts& file,
                    const std::vector<std::string>& env);

// The same for a file: reads it. `path` is absolute.
std::string WhyExec(const std::string& path, const std::vector<std::string>& env);

}  // namespace rex
