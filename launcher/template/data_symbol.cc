#include "launcher/template/data_symbol.h"

namespace rex {

namespace {

// What an object exports: its dynamic section, read.
struct Exports {
  const elf::Symbol* symbols = nullptr;
  const char* strings = nullptr;
  const uint32_t* hash = nullptr;
};

// glibc puts addresses there, other loaders leave what is in the file.
template <typename T>
const T* At(const elf::LinkMap& object, uint64_t value) {
  return reinterpret_cast<const T*>(value < object.base ? object.base + value : value);
}

Exports ReadExports(const elf::LinkMap& object) {
  Exports out;
  for (const elf::Dynamic* entry = object.dynamic; entry->tag != elf::kDtNull; ++entry) {
    if (entry->tag == elf::kDtSymtab) out.symbols = At<elf::Symbol>(object, entry->value);
    if (entry->tag == elf::kDtStrtab) out.strings = At<char>(object, entry->value);
    if (entry->tag == elf::kDtGnuHash) out.hash = At<uint32_t>(object, entry->value);
  }
  return out;
}

bool Same(const char* a, const char* b) {
  for (; *a == *b; ++a, ++b) {
    if (*a == '\0') return true;
  }
  return false;
}

uint32_t HashOf(const char* name) {
  uint32_t hash = 5381;
  for (; *name != '\0'; ++name) hash = hash * 33 + static_cast<unsigned char>(*name);
  return hash;
}

// The table: buckets, first hashed symbol, words of the filter (64 bit), its shift, the filter,
// the buckets, and for each hashed symbol its hash, whose lowest bit says that its chain ends.
const elf::Symbol* FindSymbol(const Exports& object, const char* name, uint32_t hash) {
  const uint32_t buckets = object.hash[0];
  const uint32_t first = object.hash[1];
  const uint32_t* bucket = object.hash + 4 + 2 * uint64_t{object.hash[2]};
  const uint32_t* chain = bucket + buckets;
  if (buckets == 0) return nullptr;
  uint32_t index = bucket[hash % buckets];
  if (index < first) return nullptr;
  for (;; ++index) {
    const uint32_t entry = chain[index - first];
    const elf::Symbol& symbol = object.symbols[index];
    if ((entry | 1u) == (hash | 1u) && Same(object.strings + symbol.name, name)) return &symbol;
    if ((entry & 1u) != 0) return nullptr;
  }
}

}  // namespace

void* FindData(const elf::LinkMap* objects, const char* name, uint64_t bytes) {
  const uint32_t hash = HashOf(name);
  for (; objects != nullptr; objects = objects->next) {
    if (objects->dynamic == nullptr) continue;
    const Exports exports = ReadExports(*objects);
    if (exports.symbols == nullptr || exports.strings == nullptr || exports.hash == nullptr) {
      continue;
    }
    const elf::Symbol* symbol = FindSymbol(exports, name, hash);
    if (symbol == nullptr || symbol->section == 0) continue;
    const bool fits = (symbol->info & 0xf) == elf::kSymbolObject && symbol->bytes == bytes;
    return fits ? reinterpret_cast<void*>(objects->base + symbol->value) : nullptr;
  }
  return nullptr;
}

}  // namespace rex
