#include "launcher/agent/check_facts.h"

#include <gnu/libc-version.h>
#include <limits.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "launcher/agent/check.pb.h"
#include "launcher/base/decode.h"
#include "launcher/base/fd.h"
#include "launcher/base/private_dir.h"

namespace rex {

namespace {

constexpr size_t kMaxTextBytes = 4 << 10;
constexpr char kLoaderCache[] = "/etc/ld.so.cache";  // ld.so(8)

std::chrono::microseconds Read(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_nsec / 1000);
}

std::string LinkText(const char* path) {
  std::array<char, PATH_MAX> text{};
  const ssize_t n = ::readlink(path, text.data(), text.size());
  return n < 0 ? "" : std::string(text.data(), static_cast<size_t>(n));
}

// The boot tells machines apart, the pid namespace containers on one of them.
std::string Machine(const std::string& hostname) {
  auto boot = ReadFile("/proc/sys/kernel/random/boot_id");
  std::string text = boot ? *boot : "";
  text.resize(text.find_last_not_of('\n') + 1);
  return text + " " + LinkText("/proc/self/ns/pid") + " " + hostname;
}

uint64_t FreeBytes(const std::string& directory) {
  struct statvfs disk {};
  if (::statvfs(directory.c_str(), &disk) != 0) return 0;
  return uint64_t{disk.f_bavail} * disk.f_frsize;
}

// "libmpi.so.40.30.4" of "/usr/lib/libmpi.so.40".
std::string RealName(const std::string& path) {
  std::array<char, PATH_MAX> real{};
  if (::realpath(path.c_str(), real.data()) == nullptr) return "";
  const std::string text = real.data();
  return text.substr(text.rfind('/') + 1);
}

// docs/design/ship-agent.md: DIR/rexd-agent, DIR is rex-<16 characters>.
bool RunsWhereItWasSent() {
  std::string path = LinkText("/proc/self/exe");
  path.resize(std::min(path.rfind('/'), path.size()));
  const std::string directory = path.substr(path.rfind('/') + 1);
  return directory.starts_with("rex-") && directory.size() == 20;
}

bool IsText(const std::string& text) { return text.size() <= kMaxTextBytes; }

}  // namespace

// The cache holds names and paths, each with a NUL behind it.
std::string FindLibrary(const std::string& name, const std::string& library_path,
                        const std::string& cache) {
  std::istringstream directories(library_path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    const std::string found = directory.empty() ? "" : RealName(directory + "/" + name);
    if (!found.empty()) return found;
  }
  const std::string end = "/" + name + std::string(1, '\0');
  for (size_t at = cache.find(end); at != cache.npos; at = cache.find(end, at + 1)) {
    const size_t begin = cache.rfind('\0', at) + 1;  // npos + 1 is 0
    const std::string found = RealName(cache.substr(begin, at + end.size() - 1 - begin));
    if (!found.empty()) return found;
  }
  return "";
}

CheckFacts ReadCheckFacts(uint32_t cores, const std::string& session_dir,
                          const std::string& library_path) {
  CheckFacts facts;
  utsname names{};
  ::uname(&names);
  facts.hostname = names.nodename;
  facts.machine = Machine(facts.hostname);
  facts.cores = cores;
  facts.rex = REX_VERSION;
  facts.glibc = ::gnu_get_libc_version();
  const auto cache = ReadFile(kLoaderCache);
  facts.openmpi = FindLibrary("libmpi.so.40", library_path, cache ? *cache : "");
  facts.libpmix = FindLibrary("libpmix.so.2", library_path, cache ? *cache : "");
  facts.temp = session_dir.substr(0, session_dir.rfind('/'));
  facts.temp_free = FreeBytes(facts.temp);
  facts.shm_free = FreeBytes(kShmParent);
  facts.realtime = Read(CLOCK_REALTIME);
  facts.monotonic = Read(CLOCK_MONOTONIC);
  facts.sent = RunsWhereItWasSent();
  return facts;
}

std::string EncodeAsk(const std::string& library_path) {
  pb::CheckAsk out;
  out.set_library_path(library_path);
  return out.SerializeAsString();
}

Result<std::string> DecodeAsk(const std::string& payload) {
  pb::CheckAsk m;
  if (!m.ParseFromString(payload)) return Error{Errc::kProtocol, "malformed CheckAsk"};
  return m.library_path();
}

std::string ToWire(const CheckFacts& facts) {
  pb::CheckFacts out;
  out.set_machine(facts.machine);
  out.set_hostname(facts.hostname);
  out.set_cores(facts.cores);
  out.set_rex(facts.rex);
  out.set_glibc(facts.glibc);
  out.set_openmpi(facts.openmpi);
  out.set_libpmix(facts.libpmix);
  out.set_way_back(facts.way_back);
  out.set_temp(facts.temp);
  out.set_temp_free(facts.temp_free);
  out.set_shm_free(facts.shm_free);
  out.set_realtime_us(facts.realtime.count());
  out.set_monotonic_us(facts.monotonic.count());
  out.set_sent(facts.sent);
  return out.SerializeAsString();
}

Result<CheckFacts> DecodeFacts(const std::string& payload) {
  pb::CheckFacts m;
  if (!m.ParseFromString(payload)) return Error{Errc::kProtocol, "malformed CheckFacts"};
  if (m.machine().empty() || !IsText(m.machine())) return Bad("CheckFacts.machine");
  if (m.cores() < 1) return Bad("CheckFacts.cores");
  if (m.realtime_us() <= 0 || m.monotonic_us() <= 0) return Bad("CheckFacts.realtime_us");
  for (const std::string& text :
       {m.hostname(), m.rex(), m.glibc(), m.openmpi(), m.libpmix(), m.way_back(), m.temp()}) {
    if (!IsText(text)) return Bad("CheckFacts: a text");
  }
  return CheckFacts{m.machine(),
                    m.hostname(),
                    m.cores(),
                    m.rex(),
                    m.glibc(),
                    m.openmpi(),
                    m.libpmix(),
                    m.way_back(),
                    m.temp(),
                    m.temp_free(),
                    m.shm_free(),
                    std::chrono::microseconds(m.realtime_us()),
                    std::chrono::microseconds(m.monotonic_us()),
                    m.sent()};
}

}  // namespace rex
