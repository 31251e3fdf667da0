#include "launcher/ship/elf_needs.h"

#include <elf.h>
#include <gtest/gtest.h>

#include "launcher/base/fd.h"
#include "launcher/base/programs.h"

namespace rex {
namespace {

std::string Program(const std::string& name) {
  const auto path = FindLibexecProgram(name);
  EXPECT_TRUE(path.has_value());
  auto bytes = ReadFile(*path, size_t{1} << 30);
  EXPECT_TRUE(bytes.has_value());
  return *std::move(bytes);
}

TEST(ElfNeeds, OfADynamicProgram) {
  const auto needs = ReadElfNeeds(Program("rexd-pmix"));
  ASSERT_TRUE(needs.has_value());
  EXPECT_TRUE(needs->interpreter);
  EXPECT_GE(needs->glibc_minor, 17u) << "memcpy and more are at least that new";
  EXPECT_LT(needs->glibc_minor, 100u);
}

TEST(ElfNeeds, Stage0NeedsNothing) {
  const std::string file = Program("rex-stage0");
  const auto needs = ReadElfNeeds(file);
  ASSERT_TRUE(needs.has_value());
  EXPECT_FALSE(needs->interpreter);
  EXPECT_EQ(needs->glibc_minor, 0u);
  EXPECT_LT(file.size(), 100u << 10);
}

TEST(ElfNeeds, EveryTruncationIsNoFileOrAWholeOne) {
  const std::string file = Program("rex-stage0");
  for (size_t length = 0; length < file.size(); length += 7) {
    const auto needs = ReadElfNeeds(std::string_view(file).substr(0, length));
    EXPECT_TRUE(!needs || needs->loaded_bytes <= length) << length;
  }
}

TEST(ElfNeeds, WildNumbersInAHeaderAreNoFile) {
  std::string file = Program("rex-stage0").substr(0, sizeof(Elf64_Ehdr));
  auto* header = reinterpret_cast<Elf64_Ehdr*>(file.data());
  header->e_phoff = ~uint64_t{0} - 8;
  EXPECT_FALSE(ReadElfNeeds(file).has_value());
  header->e_phoff = 1 << 20;
  EXPECT_FALSE(ReadElfNeeds(file).has_value());
  EXPECT_FALSE(ReadElfNeeds("#!/bin/sh\n").has_value());
}

TEST(ElfNeeds, WithoutDebugInfoKeepsWhatIsLoaded) {
  const std::string file = Program("rexd-agent");
  const std::string less = WithoutDebugInfo(file);
  ASSERT_LT(less.size(), file.size());
  EXPECT_EQ(less.substr(sizeof(Elf64_Ehdr)),
            file.substr(sizeof(Elf64_Ehdr), less.size() - sizeof(Elf64_Ehdr)));
  EXPECT_EQ(WithoutDebugInfo(less), less);
  EXPECT_EQ(WithoutDebugInfo("no ELF"), "no ELF");
}

}  // namespace
}  // namespace rex
