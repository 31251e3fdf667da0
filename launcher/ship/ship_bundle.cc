#include "launcher/ship/ship_bundle.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <sstream>

#include "launcher/base/fd.h"
#include "launcher/ship/elf_needs.h"
#include "launcher/ship/sha256.h"
#include "launcher/ship/ship_limits.h"

extern char** environ;

namespace rex {

namespace {

// In the order in which they are sent. rex-stage0 goes along: an inner node may send in its turn.
constexpr std::array<std::string_view, 6> kPrograms = {
    "rexd", "rexd-agent", "rexd-pmix", "rexd-spawner", "rex-stage0", "librex_template.so"};
// Parts of glibc, by the names of Debian, Red Hat and SUSE alike: the node's own fit its kernel,
// name services and drivers, and can't be mixed.
constexpr std::array<std::string_view, 15> kGlibc = {
    "libc.so.",  "libm.so.",    "libmvec.so.",    "libpthread.so.", "libdl.so.",
    "librt.so.", "libutil.so.", "libanl.so.",     "libresolv.so.",  "libnsl.so.",
    "libnss_",   "ld-linux",    "linux-vdso.so.", "ld64.so.",       "libBrokenLocale.so."};
constexpr size_t kMostFileBytes = size_t{1} << 30;
constexpr uint64_t kLibraryRoomKib = 8 << 10;

bool IsGlibc(std::string_view name) {
  return std::any_of(kGlibc.begin(), kGlibc.end(),
                     [name](std::string_view part) { return name.starts_with(part); });
}

// What ld.so would load for `program`: it says so instead of running it, ld.so(8).
// Where rex was itself sent to, libraries are in lib/ beside it.
Result<std::string> AskLoader(const std::string& program) {
  auto pipe = MakePipe();
  if (!pipe) return pipe.error();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, pipe->second.get(), STDOUT_FILENO);
  std::vector<char*> environment;
  std::string trace = "LD_TRACE_LOADED_OBJECTS=1";
  std::string path = "LD_LIBRARY_PATH=" + program.substr(0, program.rfind('/')) + "/lib";
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (text.starts_with("LD_LIBRARY_PATH=")) {
      path += ":" + std::string(text.substr(text.find('=') + 1));
    } else {
      environment.push_back(*entry);
    }
  }
  environment.insert(environment.end(), {trace.data(), path.data(), nullptr});
  std::string name = program;
  std::array<char*, 2> argv = {name.data(), nullptr};
  pid_t pid = 0;  // whoever owns this process's children reaps it
  const int err =
      ::posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (err != 0) return Error::FromErrno(err, "start '" + program + "'");
  pipe->second.Reset();
  std::string answer;
  std::array<char, 4096> bytes;
  for (ssize_t n = 0; (n = ::read(pipe->first.get(), bytes.data(), bytes.size())) != 0;) {
    if (n < 0 && errno != EINTR) return Error::FromErrno(errno, "read what ld.so says");
    if (n > 0) answer.append(bytes.data(), static_cast<size_t>(n));
  }
  return answer;
}

// A word of the manifest; "/-", where nothing is, for paths that can't be one.
std::string ManifestPath(const std::string& path) {
  const bool good = path.starts_with('/') && path.size() <= kMaxShipPathBytes &&
                    path.find_first_of(" \n") == path.npos;
  return good ? path : "/-";
}

Result<ShipFile> LoadFile(std::string name, std::string source, bool program) {
  auto bytes = ReadFile(source, kMostFileBytes);
  if (!bytes) return bytes.error();
  ShipFile file{std::move(name), std::move(source), program, "", *std::move(bytes)};
  // A library is compared with the node's own, so it stays as it is.
  if (program) file.bytes = WithoutDebugInfo(std::move(file.bytes));
  file.digest = Sha256Hex(file.bytes);
  return file;
}

class BundleMaker {
 public:
  explicit BundleMaker(const std::string& directory) : directory_(directory) {}

  Result<std::shared_ptr<const ShipBundle>> Make() {
    for (const std::string_view name : kPrograms) {
      if (const Status added = AddProgram(std::string(name)); !added) return added.error();
    }
    for (const auto& [name, path] : libraries_) {
      if (const Status added = Add("lib/" + name, path, false); !added) return added.error();
      if (name.starts_with("libpmix.so")) {
        if (const Status taken = AddComponents(path); !taken) return taken.error();
      }
    }
    if (bundle_->files.size() > kMaxShipFiles) {
      return Error{Errc::kResource, "more shared libraries are needed than can be sent"};
    }
    return std::shared_ptr<const ShipBundle>(std::move(bundle_));
  }

 private:
  Status AddProgram(const std::string& name) {
    const std::string path = directory_ + "/" + name;
    const Status added = Add(name, path, true);
    if (!added || !interpreter_) return added;
    const auto answer = AskLoader(path);
    if (!answer) return answer.error();
    auto loaded = ParseLoaded(*answer, &bundle_->libc_path);
    if (!loaded) return loaded.error();
    for (LoadedLibrary& library : *loaded) libraries_.emplace(library.name, library.path);
    return Ok{};
  }

  Status Add(std::string name, const std::string& source, bool program) {
    auto file = LoadFile(std::move(name), source, program);
    if (!file) return file.error();
    const auto needs = ReadElfNeeds(file->bytes);
    interpreter_ = needs && needs->interpreter;
    if (needs) bundle_->glibc_minor = std::max(bundle_->glibc_minor, needs->glibc_minor);
    bundle_->files.push_back(*std::move(file));
    return Ok{};
  }

  // libpmix opens these by itself, so ld.so knows nothing of them.
  Status AddComponents(const std::string& libpmix) {
    std::array<char, 4096> real{};
    const std::string resolved =
        ::realpath(libpmix.c_str(), real.data()) != nullptr ? real.data() : libpmix;
    // Where rex was sent to, all are in one place: lib/pmix.
    for (const std::string& base : {libpmix, resolved}) {
      const std::string path = base.substr(0, base.rfind('/')) + "/pmix/" + std::string(kComponent);
      if (::access(path.c_str(), R_OK) == 0) {
        return Add("lib/pmix/" + std::string(kComponent), path, false);
      }
    }
    return Ok{};  // built into this libpmix
  }

  static constexpr std::string_view kComponent = "pmix_mca_prm_default.so";

  const std::string directory_;
  std::shared_ptr<ShipBundle> bundle_ = std::make_shared<ShipBundle>();
  std::map<std::string, std::string> libraries_;  // name, path
  bool interpreter_ = false;                      // of the file added last
};

}  // namespace

std::string Sha256Hex(std::string_view bytes) {
  Sha256 hash;
  hash.Add(bytes.data(), bytes.size());
  std::string hex(Sha256::kHexBytes, '\0');
  hash.Finish(hex.data());
  return hex;
}

std::string ShipBundle::Manifest() const {
  std::string text =
      "MANIFEST " + std::to_string(files.size()) + " " + ManifestPath(libc_path) + "\n";
  for (const ShipFile& file : files) {
    text += std::string(file.program ? "p " : "l ") + std::to_string(file.bytes.size()) + " " +
            file.digest + " " + file.name + " " + ManifestPath(file.program ? "" : file.source) +
            "\n";
  }
  return text + "END " + Sha256Hex(text) + "\n";
}

Result<Stage0> ReadStage0(const std::string& directory) {
  auto bytes = ReadFile(directory + "/rex-stage0");
  if (!bytes) return bytes.error();
  Stage0 stage0{*std::move(bytes), ""};
  stage0.digest = Sha256Hex(stage0.bytes);
  return stage0;
}

Result<std::shared_ptr<const ShipBundle>> MakeShipBundle(const std::string& directory) {
  return BundleMaker(directory).Make();
}

uint64_t ShipRoomKib(const std::string& directory) {
  uint64_t kib = kLibraryRoomKib;
  for (const std::string_view name : kPrograms) {
    struct stat st {};
    if (::stat((directory + "/" + std::string(name)).c_str(), &st) == 0) {
      kib += (static_cast<uint64_t>(st.st_size) >> 10) + 1;
    }
  }
  return kib;
}

// "\tNAME => PATH (0xADDRESS)", "\tNAME => not found", "\tPATH (0xADDRESS)".
Result<std::vector<LoadedLibrary>> ParseLoaded(const std::string& answer, std::string* libc_path) {
  std::vector<LoadedLibrary> libraries;
  std::istringstream lines(answer);
  for (std::string line; std::getline(lines, line);) {
    const size_t arrow = line.find(" => ");
    if (arrow == line.npos) continue;
    const size_t begin = line.find_first_not_of(" \t");
    const std::string name = line.substr(begin, arrow - begin);
    const std::string found = line.substr(arrow + 4);
    if (!found.starts_with('/')) {
      return Error{Errc::kNotFound, "the shared library '" + name + "' is missing here"};
    }
    const std::string path = found.substr(0, found.rfind(" ("));
    if (name.starts_with("libc.so.")) *libc_path = path;
    if (!IsGlibc(name)) libraries.push_back({name, path});
  }
  return libraries;
}

}  // namespace rex
