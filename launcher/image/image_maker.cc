#include "launcher/image/image_maker.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "launcher/elf/elf_facts.h"
#include "launcher/image/closure.h"

namespace rex {

namespace {
std::string RealPath(const std::string& path) {
  std::array<char, PATH_MAX> real{};
  return ::realpath(path.c_str(), real.data()) != nullptr ? real.data() : path;
}

// A script's first line as the kernel reads it (execve(2)): the interpreter and, as one word, what
// stands behind it. Empty: it is no script.
std::vector<std::string> ScriptWords(const std::string& path) {
  std::array<char, 256> head{};
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const ssize_t n = fd ? ::pread(fd.get(), head.data(), head.size(), 0) : 0;
  std::string_view line(head.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
  if (!line.starts_with("#!")) return {};
  line = line.substr(2, line.find('\n') - 2);
  constexpr std::string_view kBlanks = " \t";
  const size_t begin = std::min(line.find_first_not_of(kBlanks), line.size());
  line = line.substr(begin, line.find_last_not_of(kBlanks) + 1 - begin);
  if (line.empty()) return {};
  const size_t end = std::min(line.find_first_of(kBlanks), line.size());
  std::vector<std::string> words{std::string(line.substr(0, end))};
  const size_t argument = line.find_first_not_of(kBlanks, end);
  if (argument != line.npos) words.emplace_back(line.substr(argument));
  return words;
}

std::string DirOf(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string_view NameOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool IsReadableFile(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), R_OK) == 0;
}

// Readable files of a directory, sorted; none when it is not there.
std::vector<std::string> FilesIn(const std::string& dir) {
  std::vector<std::string> files;
  std::error_code error;
  for (std::filesystem::directory_iterator at(dir, error), end; !error && at != end;
       at.increment(error)) {
    if (IsReadableFile(at->path().string())) files.push_back(at->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Components of an Open MPI with these library directories. Distributions have them in directories
// of other names, and further below.
std::vector<std::string> ComponentsOf(const std::set<std::string>& lib_dirs) {
  constexpr int kDeepest = 4;
  constexpr size_t kMostEntries = 100'000;  // of what is no Open MPI
  std::set<std::string> components;
  size_t entries = 0;
  for (const std::string& lib_dir : lib_dirs) {
    std::error_code error;
    const auto options = std::filesystem::directory_options::skip_permission_denied;
    for (std::filesystem::recursive_directory_iterator at(lib_dir, options, error), end;
         !error && at != end && entries < kMostEntries; at.increment(error), ++entries) {
      const std::string path = at->path().string();
      if (at.depth() >= kDeepest) at.disable_recursion_pending();
      const bool named = NameOf(path).starts_with("mca_") && path.ends_with(".so") &&
                         NameOf(DirOf(path)).starts_with("openmpi");
      if (named && IsReadableFile(path)) components.insert(path);
    }
  }
  return {components.begin(), components.end()};
}

std::string ValueIn(const std::vector<std::string>& env, std::string_view name) {
  for (const std::string& entry : env) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return "";
}

Error CantSend(const std::string& path, const Error& why) {
  return {why.code, "'" + path + "' belongs to the program and can't be sent: " + why.text,
          why.sys_errno};
}

class Maker {
 public:
  Maker(const ImageQuery& query, const SendRules& rules, const DigestCache* cache)
      : query_(query), rules_(rules), cache_(cache) {}

  Result<MadeImage> Make() {
    made_.image.always = query_.always;
    for (const ImageQuery::App& app : query_.apps) {
      if (const Status added = AddApp(app); !added) return added.error();
    }
    for (const std::string& path : query_.preload_files) {
      const auto index = Add(path, PlainPath(path), FileRule::kSend);
      if (!index) return index.error();
      made_.image.files[*index].in_session = true;
    }
    const bool staged = std::any_of(made_.image.apps.begin(), made_.image.apps.end(),
                                    [](const ImageApp& app) { return app.program >= 0; });
    if (!staged && query_.preload_files.empty()) made_.image.files.clear();
    return std::move(made_);
  }

 private:
  Status AddApp(const ImageQuery::App& app) {
    ImageApp out;
    const bool ours = !app.program.empty() && (query_.always || !IsSystemPath(app.program));
    if (ours) {
      // ld.so has $ORIGIN from where the file really is.
      const auto program = Add(app.program, RealPath(app.program), FileRule::kSend);
      if (!program && program.error().code == Errc::kPermission && !query_.always) {
        made_.image.apps.push_back(std::move(out));  // may be run, but not read: as it is on nodes
        return Ok{};
      }
      if (!program) return program.error();
      made_.image.files[*program].executable = true;
      out.program = static_cast<int>(*program);
      if (const Status added = AddRest(app, *program, &out); !added) return added;
    }
    made_.image.apps.push_back(std::move(out));
    return Ok{};
  }

  // What the program, or the interpreter of a script, loads.
  Status AddRest(const ImageQuery::App& app, uint32_t program, ImageApp* out) {
    if (!loader_read_) {
      loader_ = ThisLoader();
      loader_read_ = true;
    }
    const std::vector<std::string> words = ScriptWords(app.program);
    const Status added =
        words.empty() ? AddClosure(app.program, app, out) : AddInterpreter(words, app, out);
    if (!added) return added;
    if (const Status seen = AddPlugIns(app, program, out); !seen) return seen;
    return AddOpenMpi(app, out);
  }

  // The distribution's is each node's own: its modules would not come along.
  Status AddInterpreter(const std::vector<std::string>& words, const ImageQuery::App& app,
                        ImageApp* out) {
    const std::string& path = words[0];
    if (IsSystemPath(path) || !path.starts_with('/')) return Ok{};
    const std::string what = "'" + app.program + "' is a script for '" + path + "', which is ";
    if (!query_.send_interpreters || !IsReadableFile(path) || !ScriptWords(path).empty()) {
      made_.notes.push_back(what + "not sent: every node needs that file there");
      return Ok{};
    }
    const auto index = Add(path, RealPath(path), FileRule::kSend);
    if (!index) return index.error();
    made_.image.files[*index].executable = true;
    out->interpreter = static_cast<int>(*index);
    out->interpreter_words = words;
    made_.notes.push_back(what +
                          "sent with its libraries; files that it reads by itself (modules, "
                          "packages) are not: nodes need those where they are here");
    return AddClosure(path, app, out);
  }

  // The libraries that ld.so loads for `path`, itself left out.
  Status AddClosure(const std::string& path, const ImageQuery::App& app, ImageApp* out) {
    const Closure closure = FindClosure(path, app.env, loader_);
    made_.missing.insert(made_.missing.end(), closure.missing.begin(), closure.missing.end());
    for (size_t i = 1; i < closure.files.size(); ++i) {
      if (const Status added = AddLibrary(closure.files[i], out); !added) return added;
    }
    return Ok{};
  }

  Status AddLibrary(const std::string& path, ImageApp* out) {
    const FileRule rule = rules_.Of(path);
    if (rule == FileRule::kNever) return Ok{};
    const auto index = Add(path, PlainPath(path), rule);
    if (!index) return index.error();
    auto& all = out->libraries;
    if (std::find(all.begin(), all.end(), *index) == all.end()) all.push_back(*index);
    return Ok{};
  }

  // What it was seen to open, as far as it is still there. Not what the distribution has: nodes
  // have that, too, or do without.
  Status AddPlugIns(const ImageQuery::App& app, uint32_t program, ImageApp* out) {
    if (query_.plug_ins == nullptr) return Ok{};
    std::string names;
    for (const std::string& path : query_.plug_ins->Of(made_.image.files[program].digest.whole)) {
      const bool known = known_.contains(PlainPath(path));
      if (known || rules_.Of(path) != FileRule::kSend || !IsSharedObject(path)) continue;
      if (const Status added = AddLibrary(path, out); !added) return added;
      if (const Status added = AddClosure(path, app, out); !added) return added;
      ++made_.plug_ins;
      names += (names.empty() ? "" : ", ") + path;
    }
    if (!names.empty()) {
      made_.details.push_back("sent with '" + app.program +
                              "', as earlier runs opened them: " + names);
    }
    return Ok{};
  }

  // An Open MPI of the user's own comes whole: what it opens (its components), says (its texts) and
  // is told (its settings). It finds them by OPAL_PREFIX.
  Status AddOpenMpi(const ImageQuery::App& app, ImageApp* out) {
    const auto own = std::find_if(out->libraries.begin(), out->libraries.end(), [&](uint32_t i) {
      const std::string& path = made_.image.files[i].path;
      return NameOf(path).starts_with("libopen-pal.so") && !IsSystemPath(path);
    });
    if (own == out->libraries.end()) return Ok{};
    const std::string lib_dir = DirOf(PlainPath(made_.image.files[*own].path));
    const std::string named = ValueIn(app.env, "OPAL_PREFIX");
    const std::string prefix = named.starts_with('/') ? PlainPath(named) : DirOf(lib_dir);
    if (prefix.size() < 2 || IsSystemPath(prefix + "/")) return Ok{};
    size_t count = 0;
    for (const std::string& path : ComponentsOf({lib_dir, prefix + "/lib"})) {
      if (const auto index = Add(path, path, FileRule::kSend); !index) return index.error();
      if (const Status added = AddClosure(path, app, out); !added) return added;
      ++count;
    }
    for (const std::string& path : FilesIn(prefix + "/share/openmpi")) {
      if (const auto index = Add(path, path, FileRule::kSend); !index) return index.error();
    }
    const std::string settings = prefix + "/etc/openmpi-mca-params.conf";
    if (IsReadableFile(settings)) {
      if (const auto index = Add(settings, settings, FileRule::kSend); !index) return index.error();
    }
    out->openmpi_prefix = prefix;
    made_.details.push_back("the Open MPI in '" + prefix + "' is sent with '" + app.program +
                            "': " + std::to_string(count) + " components");
    return Ok{};
  }

  Result<uint32_t> Add(const std::string& path, const std::string& place, FileRule rule) {
    const auto known = known_.find(place);
    if (known != known_.end()) return known->second;
    if (made_.image.files.size() >= kMaxImageFiles) {
      return Error{Errc::kResource, "the program has more than " + std::to_string(kMaxImageFiles) +
                                        " files to be sent"};
    }
    auto read = Read(path);
    if (!read) return CantSend(path, read.error());
    ImageFile file;
    file.path = path;
    file.place = place;
    file.digest = std::move(read->digest);
    file.executable = executable_;
    file.system = rule == FileRule::kSystem && !query_.always;
    made_.image.files.push_back(std::move(file));
    const auto index = static_cast<uint32_t>(made_.image.files.size() - 1);
    known_.emplace(place, index);
    return index;
  }

  Result<ReadDigest> Read(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) return Error::FromErrno(errno, "open");
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) return Error::FromErrno(errno, "look at it");
    if (!S_ISREG(st.st_mode)) return Error{Errc::kInvalid, "it is not a regular file"};
    executable_ = (st.st_mode & 0111) != 0;
    return cache_ != nullptr ? cache_->Get(fd.get(), path) : DigestOf(fd.get(), path);
  }

  const ImageQuery& query_;
  const SendRules& rules_;
  const DigestCache* cache_;
  MadeImage made_;
  std::map<std::string, uint32_t> known_;  // by place
  LoaderWorld loader_;
  bool loader_read_ = false;
  bool executable_ = false;  // of the file read last
};
}  // namespace

bool IsSharedObject(const std::string& path) {
  const std::string_view name = NameOf(path);
  if (!name.ends_with(".so") && name.find(".so.") == name.npos) return false;
  if (!IsReadableFile(path)) return false;
  const auto facts = ReadElfFacts(path);
  return facts && facts->is_native;
}

Result<MadeImage> MakeImage(const ImageQuery& query, const SendRules& rules,
                            const DigestCache* cache) {
  return Maker(query, rules, cache).Make();
}

}  // namespace rex
