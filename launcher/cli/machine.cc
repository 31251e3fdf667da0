#include "launcher/cli/machine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <set>

#include "launcher/base/fd.h"
#include "launcher/cli/number.h"

extern char** environ;

namespace rex {

namespace {

constexpr int kMostCpus = 1 << 16;  // far above what kernels are built for

// The CPUs of our affinity mask. The kernel refuses a mask smaller than its own:
// sched_setaffinity(2).
std::vector<int> UsableCpus() {
  for (int size = 1024; size <= kMostCpus; size *= 4) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(size));
    if (set == nullptr) return {};
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(size));
    std::vector<int> cpus;
    const bool read = ::sched_getaffinity(0, bytes, set) == 0;
    for (int cpu = 0; read && cpu < size; ++cpu) {
      if (CPU_ISSET_S(static_cast<size_t>(cpu), bytes, set)) cpus.push_back(cpu);
    }
    CPU_FREE(set);
    if (read) return cpus;
  }
  return {};
}

std::optional<uint64_t> ReadNumber(const std::string& path) {
  auto text = ReadFile(path, 64);
  if (!text) return std::nullopt;
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return ParseWhole(*text);
}

}  // namespace

uint32_t CountUsableCores(const std::string& sysfs_cpu_dir) {
  const std::vector<int> cpus = UsableCpus();
  std::set<std::pair<uint64_t, uint64_t>> cores;
  for (const int cpu : cpus) {
    const std::string dir = sysfs_cpu_dir + "/cpu" + std::to_string(cpu) + "/topology/";
    const auto package = ReadNumber(dir + "physical_package_id");
    const auto core = ReadNumber(dir + "core_id");
    if (!package || !core) return static_cast<uint32_t>(std::max<size_t>(cpus.size(), 1));
    cores.emplace(*package, *core);
  }
  return static_cast<uint32_t>(std::max<size_t>(cores.size(), 1));
}

Result<std::string> CurrentDir(const Environment& env) {
  struct stat here {};
  if (::stat(".", &here) != 0) return Error::FromErrno(errno, "find the current directory");
  if (const auto pwd = FindVariable(env, "PWD")) {
    const std::string named(*pwd);
    struct stat there {};
    const bool same = named.starts_with('/') && ::stat(named.c_str(), &there) == 0 &&
                      there.st_dev == here.st_dev && there.st_ino == here.st_ino;
    if (same) return named;
  }
  const std::unique_ptr<char, decltype(&::free)> path(::get_current_dir_name(), &::free);
  if (path && path.get()[0] == '/') return std::string(path.get());
  return Error::FromErrno(path ? ENOENT : errno, "find the current directory");
}

Result<Surroundings> ReadSurroundings(const Environment& env, bool want_cores) {
  Surroundings here;
  auto cwd = CurrentDir(env);
  if (!cwd) return cwd.error();
  here.cwd = *cwd;
  here.umask = ::umask(022);  // can only be read by setting it; we have one thread yet
  ::umask(here.umask);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    here.open_files = limit.rlim_cur;
    here.open_files_hard = limit.rlim_max;
  }
  if (want_cores) here.cores = CountUsableCores();
  here.is_this_machine = IsThisMachine;
  return here;
}

namespace {

// The addresses of an address list, as getnameinfo(3) writes them without a scope.
std::string AddressText(const sockaddr* address) {
  if (address == nullptr) return "";
  const bool v4 = address->sa_family == AF_INET;
  if (!v4 && address->sa_family != AF_INET6) return "";
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes =
      v4 ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr)
         : &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  return ::inet_ntop(address->sa_family, bytes, text.data(), text.size()) == nullptr ? ""
                                                                                     : text.data();
}

std::set<std::string> InterfaceAddresses() {
  std::set<std::string> found;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return found;
  for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    found.insert(AddressText(i->ifa_addr));
  }
  ::freeifaddrs(list);
  found.erase("");
  return found;
}

}  // namespace

bool IsThisMachine(const std::string& host) {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  const std::string full = name.data();
  if (host == "localhost" || host == full || host == full.substr(0, full.find('.'))) return true;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &list) != 0) return false;
  const std::set<std::string> ours = InterfaceAddresses();
  bool found = false;
  for (const addrinfo* i = list; i != nullptr && !found; i = i->ai_next) {
    const std::string address = AddressText(i->ai_addr);
    found = address.starts_with("127.") || address == "::1" || ours.contains(address);
  }
  ::freeaddrinfo(list);
  return found;
}

Environment OwnEnvironment() {
  Environment env;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    env.emplace_back(*entry);
  }
  return env;
}

void OpenMissingStdio() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is taken, which is `fd`: open(2). Left open for good. Inherited by
    // rex's own programs on purpose, so no close-on-exec.
    [[maybe_unused]] const int opened = ::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
  }
}

}  // namespace rex
