#include "launcher/ranks/program_search.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "launcher/base/fd.h"
#include "launcher/ranks/env_list.h"

namespace rex {

namespace {
constexpr size_t kMaxProgramHeaders = 512;
constexpr size_t kScriptLineBytes = 256;  // what the kernel reads of a script, execve(2)

#if defined(__x86_64__)
constexpr uint16_t kThisMachine = EM_X86_64;
constexpr uint16_t kAlsoRuns = EM_386;
#elif defined(__aarch64__)
constexpr uint16_t kThisMachine = EM_AARCH64;
constexpr uint16_t kAlsoRuns = EM_ARM;
#elif defined(__powerpc64__)
constexpr uint16_t kThisMachine = EM_PPC64;
constexpr uint16_t kAlsoRuns = EM_PPC64;
#elif defined(__riscv)
constexpr uint16_t kThisMachine = EM_RISCV;
constexpr uint16_t kAlsoRuns = EM_RISCV;
#elif defined(__s390x__)
constexpr uint16_t kThisMachine = EM_S390;
constexpr uint16_t kAlsoRuns = EM_S390;
#else
#error "name this processor's ELF machine here"
#endif

struct Problem {
  Errc code = Errc::kNotRunnable;
  std::string text;
  std::string remedy;
};

ProgramSearch Refuse(Problem problem) {
  return {Error{problem.code, std::move(problem.text)}, std::move(problem.remedy)};
}

// Loaders and interpreters are named by a file's content: nothing in them may break the line.
std::string Quoted(std::string path) {
  for (char& c : path) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return "'" + path + "'";
}

std::string Absolute(const std::string& path, const std::string& wdir) {
  if (path.starts_with('/')) return path;
  std::string_view rest = path;
  while (rest.starts_with("./")) {
    rest.remove_prefix(2);
    while (rest.starts_with('/')) rest.remove_prefix(1);
  }
  return wdir + (wdir.ends_with('/') ? "" : "/") + std::string(rest);
}

std::string MachineName(uint16_t machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_386:
      return "32-bit x86";
    case EM_AARCH64:
      return "aarch64";
    case EM_ARM:
      return "32-bit ARM";
    case EM_PPC64:
      return "POWER (ppc64)";
    case EM_RISCV:
      return "RISC-V";
    case EM_S390:
      return "s390x";
    case EM_IA_64:
      return "Itanium";
    case EM_MIPS:
      return "MIPS";
    case EM_SPARCV9:
      return "SPARC";
    default:
      return "another processor (ELF machine " + std::to_string(machine) + ")";
  }
}

// Emulators and loaders that an administrator registered for foreign formats, e.g. qemu-user.
bool ForeignFormatsRun() {
  struct DirClose {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, DirClose> dir(::opendir("/proc/sys/fs/binfmt_misc"));
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && name != "register" && name != "status") return true;
  }
  return false;
}

bool IsMountedNoExec(const std::string& path) {
  struct statvfs fs {};
  return ::statvfs(path.c_str(), &fs) == 0 && (fs.f_flag & ST_NOEXEC) != 0;
}

// What is wrong with a path before its content is looked at.
std::optional<Problem> CheckFile(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) {
    const int err = errno;
    const bool absent = err == ENOENT || err == ENOTDIR;
    return Problem{absent ? Errc::kNotFound : Errc::kNotRunnable,
                   "program " + Quoted(path) + ": " + std::strerror(err), ""};
  }
  if (S_ISDIR(st.st_mode)) {
    return Problem{Errc::kNotRunnable, "program " + Quoted(path) + " is a directory",
                   "name the program inside it"};
  }
  if (!S_ISREG(st.st_mode)) {
    return Problem{Errc::kNotRunnable, "program " + Quoted(path) + " is not a regular file", ""};
  }
  if (::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0) return std::nullopt;
  const int err = errno;
  if (IsMountedNoExec(path)) {
    return Problem{Errc::kNotRunnable,
                   "program " + Quoted(path) + " is on a file system mounted noexec",
                   "copy it to another file system"};
  }
  if (err == EACCES && (st.st_mode & 0111) == 0) {
    return Problem{Errc::kNotRunnable, "program " + Quoted(path) + " is not executable",
                   "chmod +x " + path};
  }
  return Problem{Errc::kNotRunnable,
                 "program " + Quoted(path) + " may not be executed: " + std::strerror(err),
                 "check its permissions: ls -l " + path};
}

template <typename T>
bool ReadAt(int fd, uint64_t offset, T* to) {
  return ::pread(fd, to, sizeof *to, static_cast<off_t>(offset)) ==
         static_cast<ssize_t>(sizeof *to);
}

// The path in PT_INTERP; empty when there is none. nullopt: the headers are damaged.
template <typename Header, typename Segment>
std::optional<std::string> ReadLoaderPath(int fd) {
  Header header;
  if (!ReadAt(fd, 0, &header)) return std::nullopt;
  if (header.e_phnum == 0) return "";
  if (header.e_phentsize != sizeof(Segment) || header.e_phnum > kMaxProgramHeaders) {
    return std::nullopt;
  }
  for (size_t i = 0; i < header.e_phnum; ++i) {
    Segment segment;
    if (!ReadAt(fd, header.e_phoff + i * sizeof segment, &segment)) return std::nullopt;
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_filesz < 2 || segment.p_filesz > PATH_MAX) return std::nullopt;
    std::string path(segment.p_filesz, '\0');
    const ssize_t n = ::pread(fd, path.data(), path.size(), static_cast<off_t>(segment.p_offset));
    if (n != static_cast<ssize_t>(path.size())) return std::nullopt;
    return std::string(path.c_str());
  }
  return "";
}

Problem NotForThisMachine(const std::string& path, const std::string& what) {
  return {
      Errc::kNotRunnable,
      "program " + Quoted(path) + " is for " + what + ", this node is " + MachineName(kThisMachine),
      "compile it for " + MachineName(kThisMachine)};
}

std::optional<Problem> CheckElfKind(const std::string& path, const Elf64_Ehdr& header) {
  // The first fields lie alike in 32- and 64-bit headers. Source: elf(5).
  const bool little = header.e_ident[EI_DATA] == ELFDATA2LSB;
  constexpr bool kLittleHere = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
  if (little != kLittleHere) {
    return NotForThisMachine(path, little ? "a little-endian machine" : "a big-endian machine");
  }
  if (header.e_machine != kThisMachine && header.e_machine != kAlsoRuns) {
    return NotForThisMachine(path, MachineName(header.e_machine));
  }
  if (header.e_type == ET_REL) {
    return Problem{Errc::kNotRunnable,
                   "program " + Quoted(path) + " is an object file, not a program",
                   "link it, for example: mpicc -o program " + path};
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
    return Problem{Errc::kNotRunnable, "program " + Quoted(path) + " is an ELF file, not a program",
                   ""};
  }
  return std::nullopt;
}

std::optional<Problem> CheckElf(const std::string& path, int fd) {
  Elf64_Ehdr header{};
  // A 32-bit header is shorter than this; a file that ends between the two is damaged anyway.
  if (!ReadAt(fd, 0, &header)) {
    return Problem{Errc::kNotRunnable, "program " + Quoted(path) + " is a damaged ELF file",
                   "build or copy it again"};
  }
  if (auto problem = CheckElfKind(path, header)) return problem;
  const auto loader = header.e_ident[EI_CLASS] == ELFCLASS32
                          ? ReadLoaderPath<Elf32_Ehdr, Elf32_Phdr>(fd)
                          : ReadLoaderPath<Elf64_Ehdr, Elf64_Phdr>(fd);
  if (!loader) {
    return Problem{Errc::kNotRunnable, "program " + Quoted(path) + " is a damaged ELF file",
                   "build or copy it again"};
  }
  if (!loader->empty() && ::access(loader->c_str(), F_OK) != 0) {
    return Problem{Errc::kNotRunnable,
                   "program " + Quoted(path) + " needs the loader " + Quoted(*loader) +
                       ", which this node lacks",
                   "install the C library it was built with, or build it here"};
  }
  return std::nullopt;
}

std::optional<Problem> CheckScript(const std::string& path, const std::string& wdir,
                                   std::string_view text) {
  std::string_view line = text.substr(2, text.find('\n') - 2);
  const size_t begin = line.find_first_not_of(" \t");
  const std::string_view rest = begin == line.npos ? std::string_view() : line.substr(begin);
  const std::string interpreter(rest.substr(0, rest.find_first_of(" \t")));
  if (interpreter.empty() || interpreter == "\r") {
    return Problem{Errc::kNotRunnable, "script " + Quoted(path) + " names no interpreter after #!",
                   "make its first line, for example, #!/bin/sh"};
  }
  if (interpreter.ends_with('\r')) {
    return Problem{Errc::kNotRunnable, "script " + Quoted(path) + " has Windows line ends",
                   "sed -i 's/\\r$//' " + path};
  }
  const std::string where = Absolute(interpreter, wdir);
  if (::access(where.c_str(), F_OK) != 0) {
    return Problem{Errc::kNotRunnable,
                   "script " + Quoted(path) + " needs the interpreter " + Quoted(interpreter) +
                       ", which this node lacks",
                   "install it, or correct the script's first line"};
  }
  if (auto problem = CheckFile(where)) {
    problem->text = "script " + Quoted(path) + " cannot run: its interpreter, " + problem->text;
    return problem;
  }
  return std::nullopt;
}

Problem NotAProgram(const std::string& path, std::string_view begin) {
  const bool text = begin.find('\0') == begin.npos;
  const std::string what = text ? "is a text file without #! in its first line"
                                : "is neither an ELF program nor a script";
  return {Errc::kNotRunnable, "program " + Quoted(path) + " " + what,
          text ? "if it is a shell script, make its first line #!/bin/sh" : ""};
}

// What the kernel would refuse to execute in the file's content.
std::optional<Problem> CheckContent(const std::string& path, const std::string& wdir) {
  // O_NONBLOCK: should the file have become a pipe meanwhile.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return std::nullopt;
  std::array<char, kScriptLineBytes> buffer{};
  const ssize_t n = ::pread(fd.get(), buffer.data(), buffer.size(), 0);
  if (n < 0) return std::nullopt;
  const std::string_view begin(buffer.data(), static_cast<size_t>(n));
  if (begin.empty()) {
    return Problem{Errc::kNotRunnable, "program " + Quoted(path) + " is an empty file",
                   "build or copy it again"};
  }
  if (begin.starts_with("#!")) return CheckScript(path, wdir, begin);
  std::optional<Problem> problem;
  if (begin.starts_with(ELFMAG)) {
    problem = CheckElf(path, fd.get());
  } else {
    problem = NotAProgram(path, begin);
  }
  if (problem && ForeignFormatsRun()) return std::nullopt;  // the kernel may well run it
  return problem;
}

ProgramSearch CheckAll(const std::string& path, const std::string& wdir) {
  std::optional<Problem> problem = CheckFile(path);
  if (!problem) problem = CheckContent(path, wdir);
  if (problem) return Refuse(*std::move(problem));
  return {path, ""};
}

// PATH as absolute directories; an empty entry means the working directory, as in execvp(3).
std::vector<std::string> SearchDirs(const std::string& path, const std::string& wdir) {
  std::vector<std::string> dirs;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const std::string entry = path.substr(begin, end - begin);
    dirs.push_back(entry.empty() || entry == "." ? wdir : Absolute(entry, wdir));
    begin = end + 1;
  }
  return dirs;
}

ProgramSearch NotInPath(const ProgramQuery& query, const std::optional<std::string_view>& path) {
  const std::string where =
      path ? "in PATH (" + std::string(*path) + ")" : "in PATH (not set in the rank's environment)";
  return Refuse({Errc::kNotFound,
                 "program " + Quoted(query.name) + " was found neither " + where +
                     " nor in the working directory " + Quoted(query.wdir),
                 "give its path, for example ./" + query.name + ", or extend PATH"});
}

ProgramSearch SearchPath(const ProgramQuery& query) {
  const auto path = ValueOf(query.env, "PATH");
  std::vector<std::string> dirs =
      path ? SearchDirs(std::string(*path), query.wdir) : std::vector<std::string>();
  dirs.push_back(query.wdir);
  std::optional<Problem> met;  // the first file of that name, though not to be run
  for (const std::string& dir : dirs) {
    const std::string candidate = dir + (dir.ends_with('/') ? "" : "/") + query.name;
    std::optional<Problem> problem = CheckFile(candidate);
    if (!problem) {
      problem = CheckContent(candidate, query.wdir);
      if (!problem) return {candidate, ""};
      return Refuse(*std::move(problem));
    }
    if (problem->code != Errc::kNotFound && !met) met = std::move(problem);
  }
  return met ? Refuse(*std::move(met)) : NotInPath(query, path);
}
}  // namespace

ProgramSearch FindProgram(const ProgramQuery& query) {
  if (query.name.empty()) {
    return Refuse({Errc::kNotFound, "the program's name is empty", "name a program to run"});
  }
  if (query.name.find('/') == std::string::npos) return SearchPath(query);
  return CheckAll(Absolute(query.name, query.wdir), query.wdir);
}

WdirCheck CheckWdir(const std::string& wdir) {
  struct stat st {};
  const std::string what = "working directory " + Quoted(wdir);
  if (::stat(wdir.c_str(), &st) != 0) {
    const int err = errno;
    const bool missing = err == ENOENT;
    const std::string remedy =
        missing ? "make it on that node (mkdir -p " + wdir + "), or give another with --wdir"
                : "give another with --wdir";
    return {Error::FromErrno(err, what), remedy};
  }
  if (!S_ISDIR(st.st_mode)) {
    return {Error{Errc::kNotRunnable, what + " is not a directory"},
            "give a directory with --wdir"};
  }
  if (::faccessat(AT_FDCWD, wdir.c_str(), X_OK, AT_EACCESS) != 0) {
    return {Error::FromErrno(errno, what + " may not be entered"),
            "check its permissions: ls -ld " + wdir};
  }
  return {Ok{}, ""};
}

}  // namespace rex
