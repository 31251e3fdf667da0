#include "launcher/image/image_maker.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "launcher/image/closure.h"

namespace rex {

namespace {
std::string RealPath(const std::string& path) {
  std::array<char, PATH_MAX> real{};
  return ::realpath(path.c_str(), real.data()) != nullptr ? real.data() : path;
}

// The interpreter that a script names; empty: it is none.
std::string ScriptInterpreter(const std::string& path) {
  std::array<char, 256> head{};  // as much as the kernel reads, execve(2)
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const ssize_t n = fd ? ::pread(fd.get(), head.data(), head.size(), 0) : 0;
  std::string_view line(head.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
  if (!line.starts_with("#!")) return "";
  line = line.substr(2, line.find('\n') - 2);
  const size_t begin = line.find_first_not_of(" \t");
  if (begin == line.npos) return "";
  return std::string(line.substr(begin, line.find_first_of(" \t", begin) - begin));
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
      if (const Status added = AddLibraries(app, &out); !added) return added;
    }
    made_.image.apps.push_back(std::move(out));
    return Ok{};
  }

  Status AddLibraries(const ImageQuery::App& app, ImageApp* out) {
    if (!loader_read_) {
      loader_ = ThisLoader();
      loader_read_ = true;
    }
    if (const std::string interpreter = ScriptInterpreter(app.program); !interpreter.empty()) {
      const bool theirs = IsSystemPath(interpreter) || !interpreter.starts_with('/');
      if (!theirs) {
        made_.notes.push_back("'" + app.program + "' is a script for '" + interpreter +
                              "', which is not sent: every node needs that file there");
      }
      return Ok{};
    }
    Closure closure = FindClosure(app.program, app.env, loader_);
    made_.missing.insert(made_.missing.end(), closure.missing.begin(), closure.missing.end());
    closure.files.insert(closure.files.end(), app.more.begin(), app.more.end());
    for (size_t i = 1; i < closure.files.size(); ++i) {
      const std::string& path = closure.files[i];
      const FileRule rule = rules_.Of(path);
      if (rule == FileRule::kNever) continue;
      const auto index = Add(path, PlainPath(path), rule);
      if (!index) return index.error();
      out->libraries.push_back(*index);
    }
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

Result<MadeImage> MakeImage(const ImageQuery& query, const SendRules& rules,
                            const DigestCache* cache) {
  return Maker(query, rules, cache).Make();
}

}  // namespace rex
