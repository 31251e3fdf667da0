#include "launcher/template/template_fitness.h"

#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <string_view>

namespace rex {

namespace {
// What ld.so reads and does once, with the same result for every rank. Any other LD_* variable may
// run code before us, print, or keep a pointer into the environment: ld.so(8).
bool IsHarmless(std::string_view name) {
  static constexpr std::string_view kNames[] = {"LD_LIBRARY_PATH", "LD_PRELOAD", "LD_BIND_NOW",
                                                "LD_DYNAMIC_WEAK", "LD_RUN_PATH"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool IsSanitizer(std::string_view library) {
  static constexpr std::string_view kPrefixes[] = {"libasan.so", "libtsan.so",   "libubsan.so",
                                                   "liblsan.so", "libhwasan.so", "libclang_rt."};
  return std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                     [&](std::string_view prefix) { return library.starts_with(prefix); });
}

FileFacts ReadFileFacts(const std::string& path) {
  FileFacts facts;
  struct stat st {};
  facts.is_set_id = ::stat(path.c_str(), &st) != 0 || (st.st_mode & (S_ISUID | S_ISGID)) != 0;
  facts.has_capabilities = ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
  return facts;
}

std::string WhyExecForm(const ElfFacts& elf) {
  if (elf.is_script) return "it is a script";
  if (!elf.is_elf) return "it is no ELF program";
  if (!elf.is_native) return "it is for another architecture";
  if (elf.interpreter.empty()) return "it is static";
  if (elf.interpreter != SystemInterpreter()) return "it uses another ld.so, " + elf.interpreter;
  return "";
}
}  // namespace

std::string WhyExec(const ElfFacts& elf, const FileFacts& file,
                    const std::vector<std::string>& env) {
  if (std::string why = WhyExecForm(elf); !why.empty()) return why;
  if (file.is_set_id) return "it is set-user-ID or set-group-ID";
  if (file.has_capabilities) return "it has file capabilities";
  if (elf.wants_first_call) return "it is linked -z initfirst itself";
  if (elf.has_sanitizer || std::any_of(elf.needed.begin(), elf.needed.end(), IsSanitizer)) {
    return "it is built with a sanitizer";
  }
  for (const std::string& entry : env) {
    if (!entry.starts_with("LD_")) continue;
    const std::string_view name = std::string_view(entry).substr(0, entry.find('='));
    if (!IsHarmless(name)) return std::string(name) + " is set";
  }
  return "";
}

std::string WhyExec(const std::string& path, const std::vector<std::string>& env) {
  const auto elf = ReadElfFacts(path);
  if (!elf) return elf.error().text;
  return WhyExec(*elf, ReadFileFacts(path), env);
}

}  // namespace rex
