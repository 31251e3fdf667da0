// Variables that what ld.so has mapped exports, found as ld.so finds them. Freestanding.
#pragma once

#include <stdint.h>

#include "launcher/template/elf_abi.h"

namespace rex {

// Where the variable `name` of exactly `bytes` bytes is: the first object of the list that defines
// it decides. Null: none does, or with another size. Objects without a GNU hash table are passed
// over (every linker of the last fifteen years writes one).
void* FindData(const elf::LinkMap* objects, const char* name, uint64_t bytes);

}  // namespace rex
