#include "launcher/template/template_fitness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "launcher/base/fd.h"
#include "launcher/template/script_line.h"

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

std::optional<ScriptLine> ReadScriptLine(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, kScriptLineBytes> begin{};
  const ssize_t n = fd ? ::pread(fd.get(), begin.data(), begin.size(), 0) : 0;
  if (n <= 0) return std::nullopt;
  return ParseScriptLine(std::string_view(begin.data(), static_cast<size_t>(n)));
}

// As execvp(3) finds it. None as well where that would depend on the working directory.
std::optional<std::string> FindInPath(const std::string& name,
                                      const std::vector<std::string>& env) {
  static constexpr std::string_view kName = "PATH=";
  const auto entry = std::find_if(env.begin(), env.end(),
                                  [](const std::string& e) { return e.starts_with(kName); });
  if (entry == env.end() || name.find('/') != std::string::npos) return std::nullopt;
  std::string_view path = std::string_view(*entry).substr(kName.size());
  for (;;) {
    const size_t end = std::min(path.find(':'), path.size());
    if (end == 0 || path[0] != '/') return std::nullopt;
    const std::string candidate = std::string(path.substr(0, end)) + "/" + name;
    struct stat st {};
    const bool is_file = ::stat(candidate.c_str(), &st) == 0 && S_ISREG(st.st_mode);
    if (is_file && ::faccessat(AT_FDCWD, candidate.c_str(), X_OK, AT_EACCESS) == 0) {
      return candidate;
    }
    if (end == path.size()) return std::nullopt;
    path.remove_prefix(end + 1);
  }
}

bool IsEnv(const std::string& interpreter) {
  return interpreter == "/usr/bin/env" || interpreter == "/bin/env";
}

// Options, settings and several words are env's own business.
bool IsPlainName(const std::string& argument) {
  return !argument.empty() && argument[0] != '-' &&
         argument.find_first_of("= \t\r") == std::string::npos;
}

// Notes the file's state before it is read; false when it may have changed just now.
bool Note(const std::string& path, TemplateProgram* program) {
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  auto file = TrustedFile(path, now);
  if (file) program->files.push_back(std::move(*file));
  return file.has_value();
}

// The script's interpreter, or why there is no template. `program` gets what to start.
Result<std::string> ChooseInterpreter(const std::string& path, const std::vector<std::string>& argv,
                                      const std::vector<std::string>& env,
                                      TemplateProgram* program) {
  const auto refuse = [](const std::string& why) { return Error{Errc::kInvalid, why}; };
  if (!Note(path, program)) return refuse("it is a script that was changed just now");
  const auto line = ReadScriptLine(path);
  if (!line || !line->interpreter.starts_with('/')) {
    return refuse("it is a script without a usual first line");
  }
  if (!IsEnv(line->interpreter)) return line->interpreter;
  if (!IsPlainName(line->argument)) return refuse("it is a script that gives options to env");
  const auto found = FindInPath(line->argument, env);
  if (!found || !Note(line->interpreter, program)) {
    return refuse("it is a script for '" + line->argument + "', which env does not find plainly");
  }
  program->path = *found;
  program->argv = {line->argument, path};
  program->argv.insert(program->argv.end(), argv.begin() + 1, argv.end());
  return *found;
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

TemplateProgram ChooseTemplate(const std::string& path, const std::vector<std::string>& argv,
                               const std::vector<std::string>& env) {
  TemplateProgram program{"", path, argv, {}};
  const auto elf = ReadElfFacts(path);
  if (!elf || !elf->is_script) {
    program.why_exec = WhyExec(path, env);
    return program;
  }
  const auto interpreter = ChooseInterpreter(path, argv, env, &program);
  if (!interpreter) {
    program.why_exec = interpreter.error().text;
  } else if (const std::string why = WhyExec(*interpreter, env); !why.empty()) {
    program.why_exec = "it is a script for '" + *interpreter + "', and " + why;
  }
  return program;
}

}  // namespace rex
