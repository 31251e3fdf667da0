// The template's initial stack as the kernel made it, and how a rank's environment gets into it.
// Freestanding. Layout (System V ABI): argv pointers, null, envp pointers, null, auxiliary vector;
// above them the strings, the environment's in one piece. glibc lets the entry of GLIBC_TUNABLES
// point elsewhere before we see it, so where the strings are is asked of the kernel.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "launcher/template/elf_abi.h"
#include "launcher/template/rank_child.h"

namespace rex {

class TemplateStack {
 public:
  // False when the stack does not look as expected, or /proc does not tell.
  bool Read(char** envp);

  const elf::Aux* aux() const { return aux_; }
  uint64_t AuxValue(uint64_t type) const;
  // VALUE of the entry that starts with `name` ("NAME="), or null: the template's, or after Become
  // the rank's.
  const char* Find(const char* name) const;

  // Whether every rank's environment fits: entries, bytes, and the second auxiliary vector.
  bool Fits(const BatchView& view) const;
  // In the template, once: the spare strings to zeros, so that no rank has to, and each touches no
  // more pages than its environment takes.
  void ClearSpare();
  // In the rank: environment, auxiliary vector, AT_RANDOM. Call only when it fits.
  void Become(const BatchView& view, uint32_t index) const;

 private:
  void TellKernel(const char* end) const;

  char** envp_ = nullptr;
  size_t slots_ = 0;  // entries at start
  char* strings_ = nullptr;
  size_t room_ = 0;  // bytes of the strings
  size_t used_ = 0;  // of these, up to the last that is not zero
  const elf::Aux* aux_ = nullptr;
  size_t aux_count_ = 0;  // with its end
  struct KernelMap {      // struct prctl_mm_map: linux/prctl.h
    uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
    uint64_t arg_start, arg_end, env_start, env_end;
    uint64_t* auxv;
    uint32_t auxv_size;
    uint32_t exe_fd;
  };
  bool ReadKernelMap();
  KernelMap map_{};
};

}  // namespace rex
