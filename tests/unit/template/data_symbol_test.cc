#include "launcher/template/data_symbol.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <link.h>

namespace rex {
namespace {

// ld.so's list of what is mapped into this test.
const elf::LinkMap* Objects() { return reinterpret_cast<const elf::LinkMap*>(_r_debug.r_map); }

TEST(DataSymbolTest, AVariableOfALibraryIsFound) {
  void* const found = FindData(Objects(), "program_invocation_name", sizeof(char*));
  EXPECT_EQ(found, static_cast<void*>(&program_invocation_name));
}

TEST(DataSymbolTest, AnotherSizeIsAnotherVariable) {
  EXPECT_EQ(FindData(Objects(), "program_invocation_name", 1), nullptr);
}

TEST(DataSymbolTest, WhatNobodyExportsIsNotFound) {
  EXPECT_EQ(FindData(Objects(), "rex_exports_no_such_thing", 1), nullptr);
  EXPECT_EQ(FindData(nullptr, "program_invocation_name", sizeof(char*)), nullptr);
}

TEST(DataSymbolTest, AFunctionIsNoVariable) {
  const auto* symbol_bytes = FindData(Objects(), "malloc", 0);
  EXPECT_EQ(symbol_bytes, nullptr);
  for (uint64_t bytes = 1; bytes < 4096; ++bytes) {
    ASSERT_EQ(FindData(Objects(), "qsort", bytes), nullptr) << bytes;
  }
}

}  // namespace
}  // namespace rex
