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
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>

#include "launcher/base/clock.h"
#include "launcher/base/fd.h"
#include "launcher/cli/command_output.h"
#include "launcher/cli/detached_thread.h"
#include "launcher/cli/progress_line.h"
#include "launcher/values/number.h"

extern char** environ;

namespace rex {

namespace {

constexpr size_t kMostFileBytes = 64 << 20;
constexpr std::chrono::seconds kCommandPatience{10};
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
  here.terminal = ::isatty(STDERR_FILENO) != 0;
  here.rewrites_lines = RewritesLines(FindVariable(env, "TERM").value_or(""));
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
  // Made when the first host is asked for: most jobs name none.
  here.is_this_machine = [names =
                              std::shared_ptr<MachineNames>()](const std::string& host) mutable {
    if (!names) names = std::make_shared<MachineNames>(MachineNames::Real());
    return names->IsOurs(host);
  };
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

namespace {

std::string OwnName() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string FirstLabel(const std::string& name) { return name.substr(0, name.find('.')); }

// Our name, short or full. A short name of ours with a domain is us too: gethostname(2) often says
// the short one only.
bool IsOwnName(const std::string& host, const std::string& own) {
  if (host == "localhost" || host == "localhost.localdomain" || host == "ip6-localhost")
    return true;
  if (own.empty()) return false;
  if (host == own || host == FirstLabel(own)) return true;
  return own.find('.') == std::string::npos && FirstLabel(host) == own;
}

// The addresses of `host`; `flags` as for getaddrinfo(3). May wait for the name service, unless
// flags say AI_NUMERICHOST.
std::vector<std::string> AddressesOf(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &list) != 0) return {};
  std::vector<std::string> addresses;
  for (const addrinfo* i = list; i != nullptr; i = i->ai_next) {
    addresses.push_back(AddressText(i->ai_addr));
  }
  ::freeaddrinfo(list);
  return addresses;
}

// One look-up, shared with the thread that may outlive it.
struct LookUp {
  std::mutex mutex;
  std::condition_variable done;
  std::optional<std::vector<std::string>> addresses;
};

}  // namespace

MachineNames::MachineNames(std::string own_name, std::vector<std::string> own_addresses,
                           Resolver resolver, std::chrono::milliseconds patience)
    : own_name_(std::move(own_name)),
      own_addresses_(own_addresses.begin(), own_addresses.end()),
      resolver_(std::move(resolver)),
      patience_(patience) {}

MachineNames MachineNames::Real() {
  const std::set<std::string> addresses = InterfaceAddresses();
  return {OwnName(),
          {addresses.begin(), addresses.end()},
          [](const std::string& host) { return AddressesOf(host, 0); },
          kNameServicePatience};
}

bool MachineNames::IsOurs(const std::string& host) {
  if (IsOwnName(host, own_name_)) return true;
  const std::vector<std::string> literal = AddressesOf(host, AI_NUMERICHOST);
  return AnyOurs(literal.empty() ? Resolve(host) : literal);
}

bool MachineNames::AnyOurs(const std::vector<std::string>& addresses) const {
  return std::any_of(addresses.begin(), addresses.end(), [this](const std::string& address) {
    return address.starts_with("127.") || address == "::1" || own_addresses_.contains(address);
  });
}

std::vector<std::string> MachineNames::Resolve(const std::string& host) {
  if (patience_.count() <= 0) return {};
  const auto look_up = std::make_shared<LookUp>();
  const bool started = StartDetachedThread([look_up, host, resolver = resolver_] {
    std::vector<std::string> addresses = resolver(host);
    const std::lock_guard lock(look_up->mutex);
    look_up->addresses = std::move(addresses);
    look_up->done.notify_one();
  });
  if (!started) return {};
  const MonotonicClock clock;
  const Clock::Time begin = clock.Now();
  std::unique_lock lock(look_up->mutex);
  look_up->done.wait_for(lock, patience_, [&] { return look_up->addresses.has_value(); });
  patience_ -= std::chrono::duration_cast<std::chrono::milliseconds>(clock.Now() - begin);
  return look_up->addresses.value_or(std::vector<std::string>());
}

Environment OwnEnvironment() {
  Environment env;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    env.emplace_back(*entry);
  }
  return env;
}

void LeaveSurroundingJob(const Environment& env) {
  const bool inside = InsideAnotherJob(env);
  for (const std::string& entry : env) {
    const std::string name = entry.substr(0, entry.find('='));
    if (BelongsToAnotherJob(name, inside)) ::unsetenv(name.c_str());
  }
}

FileReader OwnFileReader() {
  return [](const std::string& path) { return ReadFile(path, kMostFileBytes); };
}

CommandRunner OwnCommandRunner() {
  return [](const std::vector<std::string>& command) {
    return CommandOutput(command, kMostFileBytes, kCommandPatience);
  };
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
