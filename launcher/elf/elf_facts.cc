#include "launcher/elf/elf_facts.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "launcher/base/fd.h"

namespace rex {

namespace {
constexpr uint64_t kMostTableBytes = 1 << 20;    // program headers, dynamic section, interpreter
constexpr uint64_t kMostStringBytes = 64 << 20;  // .dynstr of very large programs

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
constexpr const char* kInterpreter = "/lib64/ld-linux-x86-64.so.2";
#else
constexpr uint16_t kMachine = EM_AARCH64;
constexpr const char* kInterpreter = "/lib/ld-linux-aarch64.so.1";
#endif

// A file by ranges; every range is read whole or not at all.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}

  std::optional<std::string> Read(uint64_t offset, uint64_t bytes, uint64_t most) const {
    if (bytes > most || offset > INT64_MAX - bytes) return std::nullopt;
    std::string data(bytes, '\0');
    size_t got = 0;
    while (got < bytes) {
      const ssize_t n =
          ::pread(fd_, data.data() + got, bytes - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return std::nullopt;
      got += static_cast<size_t>(n);
    }
    return data;
  }

 private:
  int fd_;
};

template <typename T>
std::vector<T> AsArray(const std::string& bytes) {
  std::vector<T> array(bytes.size() / sizeof(T));
  if (!array.empty()) std::memcpy(array.data(), bytes.data(), array.size() * sizeof(T));
  return array;
}

const Elf64_Phdr* Find(const std::vector<Elf64_Phdr>& headers, uint32_t type) {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [&](const Elf64_Phdr& h) { return h.p_type == type; });
  return found == headers.end() ? nullptr : &*found;
}

// File offset of a mapped address.
std::optional<uint64_t> OffsetOf(const std::vector<Elf64_Phdr>& headers, uint64_t address) {
  for (const Elf64_Phdr& h : headers) {
    if (h.p_type == PT_LOAD && address >= h.p_vaddr && address - h.p_vaddr < h.p_filesz) {
      return h.p_offset + (address - h.p_vaddr);
    }
  }
  return std::nullopt;
}

bool NamesASanitizer(const std::string& strings) {
  // With both NULs: the whole name of a symbol.
  for (const char* name : {"__asan_init", "__tsan_init", "__msan_init", "__hwasan_init"}) {
    const std::string whole = std::string(1, '\0') + name + std::string(1, '\0');
    if (strings.find(whole) != std::string::npos) return true;
  }
  return false;
}

bool TakeDynamic(const File& file, const std::vector<Elf64_Phdr>& headers, ElfFacts* facts) {
  const Elf64_Phdr* section = Find(headers, PT_DYNAMIC);
  if (section == nullptr) return true;
  const auto bytes = file.Read(section->p_offset, section->p_filesz, kMostTableBytes);
  if (!bytes) return false;
  const auto entries = AsArray<Elf64_Dyn>(*bytes);
  uint64_t strings_at = 0;
  uint64_t strings_bytes = 0;
  std::vector<uint64_t> needed;
  std::optional<uint64_t> soname;
  std::optional<uint64_t> rpath;
  std::optional<uint64_t> runpath;
  for (const Elf64_Dyn& entry : entries) {
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_STRTAB) strings_at = entry.d_un.d_ptr;
    if (entry.d_tag == DT_STRSZ) strings_bytes = entry.d_un.d_val;
    if (entry.d_tag == DT_NEEDED) needed.push_back(entry.d_un.d_val);
    if (entry.d_tag == DT_SONAME) soname = entry.d_un.d_val;
    if (entry.d_tag == DT_RPATH) rpath = entry.d_un.d_val;
    if (entry.d_tag == DT_RUNPATH) runpath = entry.d_un.d_val;
    if (entry.d_tag == DT_FLAGS_1) {
      facts->wants_first_call = (entry.d_un.d_val & DF_1_INITFIRST) != 0;
    }
  }
  const auto offset = OffsetOf(headers, strings_at);
  if (!offset) return needed.empty();
  const auto strings = file.Read(*offset, strings_bytes, kMostStringBytes);
  if (!strings || strings->empty() || strings->back() != '\0') return false;
  for (const uint64_t at : needed) {
    if (at >= strings->size()) return false;
    facts->needed.emplace_back(strings->c_str() + at);
  }
  const auto take = [&](const std::optional<uint64_t>& at, std::string* to) {
    if (at && *at < strings->size()) *to = strings->c_str() + *at;
  };
  take(soname, &facts->soname);
  take(rpath, &facts->rpath);
  take(runpath, &facts->runpath);
  facts->has_sanitizer = NamesASanitizer(*strings);
  return true;
}

bool TakeHeaders(const File& file, const Elf64_Ehdr& head, ElfFacts* facts) {
  if (head.e_phentsize != sizeof(Elf64_Phdr)) return false;
  const auto bytes =
      file.Read(head.e_phoff, uint64_t{head.e_phnum} * sizeof(Elf64_Phdr), kMostTableBytes);
  if (!bytes) return false;
  const auto headers = AsArray<Elf64_Phdr>(*bytes);
  if (const Elf64_Phdr* interp = Find(headers, PT_INTERP)) {
    const auto name = file.Read(interp->p_offset, interp->p_filesz, kMostTableBytes);
    if (!name) return false;
    facts->interpreter = name->c_str();
  }
  return TakeDynamic(file, headers, facts);
}
}  // namespace

std::string SystemInterpreter() { return kInterpreter; }

Result<ElfFacts> ReadElfFacts(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return Error::FromErrno(errno, "open '" + path + "'");
  const File file(fd.get());
  ElfFacts facts;
  const auto magic = file.Read(0, 2, 2);
  if (magic && *magic == "#!") {
    facts.is_script = true;
    return facts;
  }
  const auto bytes = file.Read(0, sizeof(Elf64_Ehdr), sizeof(Elf64_Ehdr));
  if (!bytes) return facts;
  Elf64_Ehdr head;
  std::memcpy(&head, bytes->data(), sizeof head);
  if (std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0) return facts;
  facts.is_elf = true;
  facts.is_native = head.e_ident[EI_CLASS] == ELFCLASS64 && head.e_ident[EI_DATA] == ELFDATA2LSB &&
                    head.e_machine == kMachine && (head.e_type == ET_EXEC || head.e_type == ET_DYN);
  if (facts.is_native && !TakeHeaders(file, head, &facts)) {
    return Error{Errc::kInvalid, "'" + path + "' has ELF headers that point outside it"};
  }
  return facts;
}

namespace {
// Absolute, or beside the file itself.
bool IsFixed(std::string_view path) {
  return path.starts_with('/') || path.starts_with("$ORIGIN") || path.starts_with("${ORIGIN}");
}

bool HasLoosePart(const std::string& paths) {
  if (paths.empty()) return false;
  std::string_view rest = paths;
  for (;;) {
    const size_t end = rest.find(':');
    if (!IsFixed(rest.substr(0, end))) return true;
    if (end == std::string_view::npos) return false;
    rest.remove_prefix(end + 1);
  }
}
}  // namespace

bool LooksInWorkingDirectory(const ElfFacts& facts) {
  return HasLoosePart(facts.rpath) || HasLoosePart(facts.runpath) ||
         std::any_of(facts.needed.begin(), facts.needed.end(), [](const std::string& name) {
           return name.find('/') != std::string::npos && !IsFixed(name);
         });
}

}  // namespace rex
