#include "launcher/image/closure.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <set>
#include <string_view>

#include "launcher/base/fd.h"
#include "launcher/base/text.h"
#include "launcher/elf/elf_facts.h"

namespace rex {

namespace {
constexpr size_t kMostObjects = 4096;

std::string_view ValueIn(const std::vector<std::string>& env, std::string_view name) {
  std::string_view value;
  for (const std::string& entry : env) {
    const std::string_view text = entry;
    if (text.starts_with(name) && text.size() > name.size() && text[name.size()] == '=') {
      value = text.substr(name.size() + 1);
    }
  }
  return value;
}

std::string DirOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string RealPath(const std::string& path) {
  std::array<char, PATH_MAX> real{};
  return ::realpath(path.c_str(), real.data()) != nullptr ? real.data() : path;
}

struct Object {
  std::string path;
  std::string origin;
  ElfFacts facts;
  const Object* loader = nullptr;  // which object asked for it first; null: the program, a preload
  std::set<std::string> names;     // by which it is known
};

class Finder {
 public:
  Finder(const LoaderWorld& world, std::string_view library_path)
      : world_(world), library_path_(library_path) {}

  Closure Find(const std::string& program, std::string_view preloads) {
    Closure closure;
    auto facts = ReadElfFacts(program);
    closure.files.push_back(program);
    if (!facts || !facts->is_native || facts->interpreter.empty()) return closure;
    closure.dynamic = true;
    interpreter_ = facts->interpreter;
    // ld.so has the program's $ORIGIN from /proc/self/exe.
    objects_.push_back({program, DirOf(RealPath(program)), *std::move(facts), nullptr, {}});
    AddPreloads(preloads);
    for (size_t i = 0; i < objects_.size() && objects_.size() < kMostObjects; ++i) {
      const std::vector<std::string> needed = objects_[i].facts.needed;
      for (const std::string& name : needed) Need(name, &objects_[i]);
    }
    for (size_t i = 1; i < objects_.size(); ++i) closure.files.push_back(objects_[i].path);
    closure.missing.assign(missing_.begin(), missing_.end());
    return closure;
  }

 private:
  void AddPreloads(std::string_view preloads) {
    for (std::string_view word : SplitWords(preloads, " :")) Need(std::string(word), nullptr);
  }

  static std::vector<std::string_view> SplitWords(std::string_view text, const char* separators) {
    std::vector<std::string_view> words;
    while (true) {
      const size_t begin = text.find_first_not_of(separators);
      if (begin == text.npos) return words;
      const size_t end = std::min(text.find_first_of(separators, begin), text.size());
      words.push_back(text.substr(begin, end - begin));
      text.remove_prefix(end);
    }
  }

  bool IsLoaded(const std::string& name) const {
    return std::any_of(objects_.begin(), objects_.end(), [&](const Object& object) {
      return object.path == name || object.facts.soname == name || object.names.contains(name);
    });
  }

  void Need(const std::string& name, Object* loader) {
    if (IsLoaded(name) || name == interpreter_ || missing_.contains(name)) return;
    const Object& asking = loader != nullptr ? *loader : objects_.front();
    std::optional<Object> found =
        name.find('/') != name.npos ? Open(Expand(name, asking)) : Search(name, loader);
    if (!found) {
      missing_.insert(name);
      return;
    }
    if (IsInterpreter(found->path)) return;
    found->loader = loader;
    for (Object& object : objects_) {
      if (object.path != found->path) continue;
      object.names.insert(name);
      return;
    }
    found->names.insert(name);
    objects_.push_back(*std::move(found));  // a deque: addresses stay
  }

  bool IsInterpreter(const std::string& path) const {
    return path == interpreter_ || RealPath(path) == RealPath(interpreter_);
  }

  std::optional<Object> Search(const std::string& name, const Object* loader) {
    if (loader == nullptr || loader->facts.runpath.empty()) {
      for (const Object* object = loader; object != nullptr; object = object->loader) {
        if (auto found = InRpath(name, *object)) return found;
      }
      const Object& program = objects_.front();
      if (auto found = InRpath(name, program)) return found;
    }
    const Object& asking = loader != nullptr ? *loader : objects_.front();
    if (auto found = InPath(name, library_path_, ":;", objects_.front())) return found;
    if (auto found = InPath(name, asking.facts.runpath, ":", asking)) return found;
    const std::string cached = world_.cache.Find(name, world_.hwcaps);
    if (!cached.empty()) {
      if (auto found = Open(cached)) return found;
    }
    for (const std::string& dir : world_.default_dirs) {
      if (auto found = InDir(name, dir)) return found;
    }
    return std::nullopt;
  }

  // Of an object that has RUNPATH ld.so ignores it.
  std::optional<Object> InRpath(const std::string& name, const Object& object) {
    if (!object.facts.runpath.empty()) return std::nullopt;
    return InPath(name, object.facts.rpath, ":", object);
  }

  std::optional<Object> InPath(const std::string& name, std::string_view path,
                               const char* separators, const Object& owner) {
    if (path.empty()) return std::nullopt;
    while (true) {
      const size_t end = std::min(path.find_first_of(separators), path.size());
      const std::string dir(path.substr(0, end));
      // An empty one is the working directory, which is not the same on every node: not followed.
      if (!dir.empty()) {
        if (auto found = InDir(name, Expand(dir, owner))) return found;
      }
      if (end == path.size()) return std::nullopt;
      path.remove_prefix(end + 1);
    }
  }

  std::optional<Object> InDir(const std::string& name, const std::string& dir) {
    const std::string base = dir.ends_with('/') ? dir : dir + "/";
    for (const std::string& hwcap : world_.hwcaps) {
      if (auto found = Open(base + "glibc-hwcaps/" + hwcap + "/" + name)) return found;
    }
    return Open(base + name);
  }

  // ld.so passes over what is for another machine.
  static std::optional<Object> Open(const std::string& path) {
    if (!path.starts_with('/') || ::access(path.c_str(), F_OK) != 0) return std::nullopt;
    auto facts = ReadElfFacts(path);
    // One that can't be read, or makes no sense, is what ld.so would stop at: it is its own.
    if (facts && !facts->is_native) return std::nullopt;
    return Object{path, DirOf(path), facts ? *std::move(facts) : ElfFacts{}, nullptr, {}};
  }

  std::string Expand(const std::string& text, const Object& owner) const {
    std::string out;
    for (size_t i = 0; i < text.size();) {
      if (text[i] != '$') {
        out += text[i++];
        continue;
      }
      const size_t used = ExpandOne(std::string_view(text).substr(i + 1), owner, &out);
      if (used == 0) out += '$';
      i += 1 + used;
    }
    return out;
  }

  // How much of `rest`, which stands behind a '$', was a token.
  size_t ExpandOne(std::string_view rest, const Object& owner, std::string* out) const {
    const std::pair<std::string_view, const std::string*> tokens[] = {
        {"ORIGIN", &owner.origin}, {"LIB", &world_.lib}, {"PLATFORM", &world_.platform}};
    for (const auto& [token, value] : tokens) {
      const std::string braced = "{" + std::string(token) + "}";
      if (rest.starts_with(braced)) {
        *out += *value;
        return braced.size();
      }
      const bool ends = rest.size() == token.size() ||
                        (rest.size() > token.size() && !IsNameCharacter(rest[token.size()]));
      if (rest.starts_with(token) && ends) {
        *out += *value;
        return token.size();
      }
    }
    return 0;
  }

  static bool IsNameCharacter(char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }

  const LoaderWorld& world_;
  const std::string_view library_path_;
  std::string interpreter_;
  std::deque<Object> objects_;
  std::set<std::string> missing_;
};
}  // namespace

LoaderWorld ThisLoader() {
  LoaderWorld world;
  if (const auto cache = ReadFile("/etc/ld.so.cache", 64 << 20))
    world.cache = LdCache::Parse(*cache);
  world.hwcaps = UsableHwcaps();
#if defined(__x86_64__)
  const std::string triplet = "x86_64-linux-gnu";
#else
  const std::string triplet = "aarch64-linux-gnu";
#endif
  const bool multiarch = ::access(("/usr/lib/" + triplet).c_str(), F_OK) == 0;
  if (multiarch) {
    world.lib = "lib/" + triplet;
    world.default_dirs = {"/lib/" + triplet, "/usr/lib/" + triplet, "/lib", "/usr/lib"};
  } else {
    world.lib = "lib64";
    world.default_dirs = {"/lib64", "/usr/lib64"};
  }
  const auto* platform = reinterpret_cast<const char*>(::getauxval(AT_PLATFORM));
  if (platform != nullptr) world.platform = platform;
  return world;
}

Closure FindClosure(const std::string& program, const std::vector<std::string>& env,
                    const LoaderWorld& world) {
  return Finder(world, ValueIn(env, "LD_LIBRARY_PATH")).Find(program, ValueIn(env, "LD_PRELOAD"));
}

}  // namespace rex
