#include "launcher/ship/elf_needs.h"

#include <elf.h>
#include <string.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace rex {

namespace {

template <typename T>
bool Take(std::string_view file, size_t at, T* out) {
  if (at > file.size() || file.size() - at < sizeof(T)) return false;
  ::memcpy(out, file.data() + at, sizeof(T));
  return true;
}

std::vector<Elf64_Phdr> Segments(std::string_view file, const Elf64_Ehdr& header) {
  std::vector<Elf64_Phdr> segments;
  for (size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!Take(file, header.e_phoff + i * sizeof segment, &segment)) return {};
    if (segment.p_offset > file.size() || segment.p_filesz > file.size() - segment.p_offset) {
      return {};
    }
    segments.push_back(segment);
  }
  return segments;
}

// The file's own offset of an address; npos: of nothing that is loaded.
size_t OffsetOf(const std::vector<Elf64_Phdr>& segments, uint64_t address) {
  for (const Elf64_Phdr& s : segments) {
    if (s.p_type == PT_LOAD && address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz) {
      return s.p_offset + (address - s.p_vaddr);
    }
  }
  return std::string_view::npos;
}

std::string_view DynamicStrings(std::string_view file, const std::vector<Elf64_Phdr>& segments) {
  uint64_t table = 0;
  uint64_t bytes = 0;
  for (const Elf64_Phdr& s : segments) {
    if (s.p_type != PT_DYNAMIC) continue;
    for (size_t at = 0; at + sizeof(Elf64_Dyn) <= s.p_filesz; at += sizeof(Elf64_Dyn)) {
      Elf64_Dyn entry;
      if (!Take(file, s.p_offset + at, &entry) || entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_STRTAB) table = entry.d_un.d_ptr;
      if (entry.d_tag == DT_STRSZ) bytes = entry.d_un.d_val;
    }
  }
  const size_t offset = OffsetOf(segments, table);
  if (table == 0 || offset >= file.size() || bytes > file.size() - offset) return {};
  return file.substr(offset, bytes);
}

unsigned NewestGlibc(std::string_view strings) {
  constexpr std::string_view kPrefix = "GLIBC_2.";
  unsigned newest = 0;
  for (size_t at = strings.find(kPrefix); at != strings.npos; at = strings.find(kPrefix, at + 1)) {
    const char* digits = strings.data() + at + kPrefix.size();
    unsigned minor = 0;
    std::from_chars(digits, strings.data() + strings.size(), minor);
    newest = std::max(newest, minor);
  }
  return newest;
}

}  // namespace

std::optional<ElfNeeds> ReadElfNeeds(std::string_view file) {
  Elf64_Ehdr header;
  if (!Take(file, 0, &header) || ::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return {};
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr)) return {};
  const std::vector<Elf64_Phdr> segments = Segments(file, header);
  if (segments.empty()) return {};
  ElfNeeds needs;
  needs.machine = header.e_machine;
  needs.glibc_minor = NewestGlibc(DynamicStrings(file, segments));
  needs.loaded_bytes = header.e_phoff + segments.size() * sizeof(Elf64_Phdr);
  for (const Elf64_Phdr& s : segments) {
    needs.interpreter |= s.p_type == PT_INTERP;
    needs.loaded_bytes = std::max<size_t>(needs.loaded_bytes, s.p_offset + s.p_filesz);
  }
  return needs;
}

// Neither the kernel nor ld.so looks at sections.
std::string WithoutDebugInfo(std::string file) {
  const auto needs = ReadElfNeeds(file);
  if (!needs) return file;
  Elf64_Ehdr header;
  ::memcpy(&header, file.data(), sizeof header);
  header.e_shoff = 0;
  header.e_shnum = header.e_shstrndx = 0;
  file.resize(needs->loaded_bytes);
  ::memcpy(file.data(), &header, sizeof header);
  return file;
}

}  // namespace rex
