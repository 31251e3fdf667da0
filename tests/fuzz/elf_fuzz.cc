// Headers of ELF files, as the closure and the template's choice read them.
#include <sys/mman.h>
#include <unistd.h>

#include "launcher/base/fd.h"
#include "launcher/elf/elf_facts.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const UniqueFd file(::memfd_create("elf", MFD_CLOEXEC));
  REX_CHECK(file && ::write(file.get(), data, size) == static_cast<ssize_t>(size));
  const auto facts = ReadElfFacts("/proc/self/fd/" + std::to_string(file.get()));
  if (!facts) return 0;
  REX_CHECK(!facts->is_script || !facts->is_elf);
  REX_CHECK(facts->is_native || facts->needed.empty());
  for (const std::string& name : facts->needed) REX_CHECK(name.find('\0') == name.npos);
  return 0;
}

}  // namespace rex
