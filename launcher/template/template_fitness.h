// Whether ranks of a program may be forked from a template, as far as can be told from outside. The
// template itself judges what only ld.so knows (template_main.cc).
#pragma once

#include <string>
#include <vector>

#include "launcher/elf/elf_facts.h"
#include "launcher/template/template_files.h"

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

// What to start as a template, so that its ranks are as if `path` had been exec'ed.
struct TemplateProgram {
  std::string why_exec;  // not empty: nothing, and why
  std::string path;
  std::vector<std::string> argv;
  std::vector<MappedFile> files;  // what this was read from and the template does not map
};

// A program is started as it is, and so is a script: the kernel then runs its interpreter, which
// is what has to be fit. Of a script for env(1) (`#!/usr/bin/env NAME`) it is NAME as env would
// find it in the PATH of `env`: env leaves nothing behind in what it runs. Looks at files.
TemplateProgram ChooseTemplate(const std::string& path, const std::vector<std::string>& argv,
                               const std::vector<std::string>& env);

}  // namespace rex
