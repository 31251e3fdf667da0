// ld.so(8): with LD_TRACE_LOADED_OBJECTS it lists what a program would be loaded with, and with
// LD_WARN and LD_BIND_NOW also which symbols would be missing, and the program does not run.
#include "launcher/openmpi/load_check.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace rex::openmpi {

namespace {
using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{5};
constexpr size_t kMostTrace = 64 << 10;

// One that ld.so starts; another one would run in spite of the trace.
bool HasInterpreter(const std::string& program) {
  std::array<char, 4096> bytes{};
  const int fd = ::open(program.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t size = ::read(fd, bytes.data(), bytes.size());
  ::close(fd);
  ElfW(Ehdr) header{};
  if (size < static_cast<ssize_t>(sizeof header)) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return false;
  for (size_t i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment{};
    const size_t at = header.e_phoff + i * sizeof segment;
    if (at + sizeof segment > static_cast<size_t>(size)) return false;
    std::memcpy(&segment, bytes.data() + at, sizeof segment);
    if (segment.p_type == PT_INTERP) return true;
  }
  return false;
}

[[noreturn]] void Trace(const std::string& orted, const std::string& plugin, int out) {
  const rlimit no_core{0, 0};  // ld.so crashes on a plug-in that was cut off
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  for (const char* name : {"LD_TRACE_LOADED_OBJECTS", "LD_WARN", "LD_BIND_NOW"}) {
    ::setenv(name, "1", 1);
  }
  ::setenv("LD_PRELOAD", plugin.c_str(), 1);
  ::unsetenv("LD_DEBUG");
  ::execl(orted.c_str(), orted.c_str(), nullptr);
  ::_exit(1);
}

// False: time was up, or it does not stop.
bool ReadAll(int fd, std::string* text) {
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (text->size() < kMostTrace) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{fd, POLLIN, 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) return false;
    std::array<char, 4096> bytes{};
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    if (n <= 0) return true;
    text->append(bytes.data(), static_cast<size_t>(n));
  }
  return false;
}

bool Names(std::string_view line, const std::string& plugin) {
  return line.find(plugin) != std::string_view::npos;
}
}  // namespace

std::string JudgeTrace(const std::string& trace, bool ended_well, const std::string& plugin) {
  if (!ended_well) return "the dynamic linker fails on it";
  bool there = false;
  std::string_view rest = trace;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.find(" => not found") != std::string_view::npos) {
      const size_t begin = line.find_first_not_of(" \t");
      return "it needs " + std::string(line.substr(begin, line.find(' ', begin) - begin)) +
             ", which is not found";
    }
    if (!Names(line, plugin)) continue;
    if (line.find("undefined symbol") != std::string_view::npos) return std::string(line);
    if (line.find("cannot be preloaded") != std::string_view::npos) return "it is no library";
    there = there || line.find(" (0x") != std::string_view::npos;
  }
  return there ? "" : "the dynamic linker passes it over";
}

std::string LoadProblem(const std::string& orted, const std::string& plugin) {
  std::array<int, 2> pipe{};
  if (!HasInterpreter(orted) || ::pipe2(pipe.data(), O_CLOEXEC) != 0) return "";
  const pid_t pid = ::fork();
  if (pid == 0) Trace(orted, plugin, pipe[1]);
  ::close(pipe[1]);
  std::string trace;
  const bool over = pid < 0 || ReadAll(pipe[0], &trace);
  ::close(pipe[0]);
  if (pid < 0) return "";
  if (!over) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return JudgeTrace(trace, WIFEXITED(status) && WEXITSTATUS(status) == 0, plugin);
}

}  // namespace rex::openmpi
