// What an ELF file (64 bit, this machine's byte order) asks of the machine that runs it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rex {

struct ElfNeeds {
  uint16_t machine = 0;      // e_machine, elf(5)
  bool interpreter = false;  // a program that ld.so has to load
  unsigned glibc_minor = 0;  // the newest GLIBC_2.N that it names; 0: none
  size_t loaded_bytes = 0;   // what lies behind is for linkers and debuggers
};
// nullopt: no such file, or one that contradicts itself.
std::optional<ElfNeeds> ReadElfNeeds(std::string_view file);

// The file without what only linkers and debuggers read; as it is when it is no ELF file.
std::string WithoutDebugInfo(std::string file);

}  // namespace rex
