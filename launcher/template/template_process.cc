#include "launcher/template/template_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#include "launcher/base/programs.h"
#include "launcher/elf/elf_facts.h"

namespace rex {

namespace {
constexpr const char* kLibrary = "librex_template.so";

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (const auto& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

// posix_spawn's file actions and attributes, destroyed with it.
class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }

  void Place(int fd, int as) { ::posix_spawn_file_actions_adddup2(&actions_, fd, as); }
  void Keep(int fd) { Place(fd, fd); }
  void Enter(const std::string& dir) {
    ::posix_spawn_file_actions_addchdir_np(&actions_, dir.c_str());
  }
  Result<pid_t> Run(const std::string& path, const std::vector<std::string>& argv,
                    const std::vector<std::string>& env) {
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, path.c_str(), &actions_, &attributes_,
                                    Pointers(argv).data(), Pointers(env).data());
    if (error != 0) return Error::FromErrno(error, "start a template of '" + path + "'");
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// LD_PRELOAD has no way to quote a blank, a colon or a dollar: ld.so(8).
bool CanBePreloaded(const std::string& path) {
  return path.find_first_of(" :$") == std::string::npos;
}
}  // namespace

namespace {
constexpr std::string_view kPreloadName = "LD_PRELOAD=";
constexpr std::string_view kSearchName = "LD_LIBRARY_PATH=";

// `env` with `value` put before (`first`) or behind what `name` (with its "=") has there. `was`
// gets the entry as it was; empty: there was none.
std::vector<std::string> With(const std::vector<std::string>& env, std::string_view name,
                              const std::string& value, bool first, std::string* was) {
  std::vector<std::string> out;
  out.reserve(env.size() + kTemplateSpareEntries + 4);
  std::string made = std::string(name) + value;
  for (const std::string& entry : env) {
    if (!entry.starts_with(name)) {
      out.push_back(entry);
      continue;
    }
    *was = entry;
    const std::string old = entry.substr(name.size());
    if (old.empty()) continue;
    made = std::string(name) + (first ? value + ":" + old : old + ":" + value);
  }
  out.push_back(std::move(made));
  return out;
}

std::string Keep(std::string_view name, const std::string& was) {
  return was.empty() ? REX_DROP_NAME + std::string(name) : REX_KEEP_NAME + was;
}
}  // namespace

std::vector<std::string> ExecEnvironment(const std::vector<std::string>& env,
                                         const std::string& library,
                                         const std::string& library_path) {
  std::string search;
  std::vector<std::string> out = With(env, kSearchName, library_path, true, &search);
  if (library.empty()) return out;
  std::string preload;
  out = With(out, kPreloadName, library, false, &preload);
  out.push_back(Keep(kSearchName, search));
  out.push_back(Keep(kPreloadName, preload));
  // Room for the auxiliary vector behind the shorter environment.
  constexpr size_t kSpare = 96;
  for (size_t i = 0; i < kSpare; ++i) out.emplace_back(REX_TEMPLATE_PAD_NAME);
  return out;
}

std::vector<std::string> TemplateEnvironment(const std::vector<std::string>& env,
                                             const std::string& library, int socket,
                                             const std::string& library_path) {
  std::string was;
  std::vector<std::string> out = With(env, kPreloadName, library, false, &was);
  if (!library_path.empty()) out = With(out, kSearchName, library_path, true, &was);
  out.push_back(REX_TEMPLATE_FD_NAME + std::to_string(socket));
  const std::string pad =
      REX_TEMPLATE_PAD_NAME + std::string(kTemplateSpareBytes / kTemplateSpareEntries, '.');
  for (size_t i = 0; i < kTemplateSpareEntries; ++i) out.push_back(pad);
  return out;
}

std::string RestoringPreload(const std::string& program, const std::string& library) {
  static constexpr std::string_view kSanitizers[] = {"libasan.so", "libtsan.so",   "libubsan.so",
                                                     "liblsan.so", "libhwasan.so", "libclang_rt."};
  const auto facts = ReadElfFacts(program);
  if (!facts || !facts->is_native || facts->interpreter.empty() || facts->has_sanitizer) return "";
  for (const std::string& needed : facts->needed) {
    for (const std::string_view name : kSanitizers) {
      if (needed.starts_with(name)) return "";
    }
  }
  const auto found = library.empty() ? FindLibexecProgram(kLibrary) : Result<std::string>(library);
  return found && CanBePreloaded(*found) ? *found : "";
}

Result<MakerProcess> StartTemplateProcess(const TemplateOrder& order) {
  Result<std::string> library = order.library;
  if (library->empty()) library = FindLibexecProgram(kLibrary);
  if (!library) return library.error();
  auto pair = MakeSeqpacketPair();
  if (!pair) return pair.error();
  const UniqueFd null_device(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null_device) return Error::FromErrno(errno, "open /dev/null");
  const UniqueFd words(::memfd_create("rex-template", MFD_CLOEXEC));
  if (!words) return Error::FromErrno(errno, "make memory for a template's words");
  SpawnPlan plan;
  UniqueFd library_fd;
  if (!CanBePreloaded(*library)) {
    library_fd.Reset(::open(library->c_str(), O_RDONLY | O_CLOEXEC));
    if (!library_fd) return Error::FromErrno(errno, "open '" + *library + "'");
    plan.Keep(library_fd.get());
    *library = "/proc/self/fd/" + std::to_string(library_fd.get());
  }
  plan.Place(null_device.get(), STDIN_FILENO);
  plan.Place(words.get(), STDOUT_FILENO);
  plan.Place(words.get(), STDERR_FILENO);
  plan.Keep(pair->second.get());
  plan.Enter(order.wdir);
  const auto env = TemplateEnvironment(order.env, *library, pair->second.get(), order.library_path);
  const auto pid = plan.Run(order.path, order.argv, env);
  if (!pid) return pid.error();
  return MakerProcess{*pid, std::move(pair->first)};
}

}  // namespace rex
