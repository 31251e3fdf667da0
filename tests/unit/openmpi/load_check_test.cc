#include "launcher/openmpi/load_check.h"

#include <gtest/gtest.h>

#include "tests/support/paths.h"

namespace rex::openmpi {
namespace {

constexpr const char* kPlugin = "/opt/rex/lib/rex/openmpi/mca_odls_rex.so";
const std::string kGood = "\tlinux-vdso.so.1 (0x00007f38608fb000)\n\t" + std::string(kPlugin) +
                          " (0x00007f38607b2000)\n\tlibopen-rte.so.40 => "
                          "/lib/libopen-rte.so.40 (0x00007f38606e9000)\n";

TEST(LoadCheck, APluginThatIsListedIsLoaded) {
  EXPECT_EQ(JudgeTrace(kGood, true, kPlugin), "");
  // A symbol of another file is not ours to judge.
  EXPECT_EQ(JudgeTrace(kGood + "undefined symbol: x\t(/usr/bin/orted)\n", true, kPlugin), "");
}

TEST(LoadCheck, EachWayToFailIsNamed) {
  const std::string plugin = kPlugin;
  const struct {
    std::string trace;
    bool ended_well;
    const char* words;
  } cases[] = {
      {"", true, "passes it over"},
      {kGood, false, "the dynamic linker fails"},
      {"\t" + plugin + "2 => other\n", true, "passes it over"},
      {"ERROR: ld.so: object '" + plugin +
           "' from LD_PRELOAD cannot be preloaded (file too short): ignored.\n\tlibc.so.6\n",
       true, "it is no library"},
      {kGood + "undefined symbol: orte_new\t(" + plugin + ")", true, "orte_new"},
      {kGood + "\tlibhwloc.so.15 => not found\n", true, "it needs libhwloc.so.15,"},
  };
  for (const auto& one : cases) {
    EXPECT_NE(JudgeTrace(one.trace, one.ended_well, plugin).find(one.words), std::string::npos)
        << JudgeTrace(one.trace, one.ended_well, plugin);
  }
}

TEST(LoadCheck, CutAnywhereItIsReadToItsEnd) {
  for (size_t size = 0; size < kGood.size(); ++size) {
    (void)JudgeTrace(kGood.substr(0, size), true, kPlugin);
  }
}

TEST(LoadCheck, WhatLdSoDoesNotStartIsNotTraced) {
  EXPECT_EQ(LoadProblem("/etc/passwd", kPlugin), "");
  EXPECT_EQ(LoadProblem("/no/such/orted", kPlugin), "");
  EXPECT_EQ(LoadProblem("/", kPlugin), "");
}

TEST(LoadCheck, AsksLdSo) {
  EXPECT_NE(LoadProblem("/bin/cat", kPlugin).find("no library"), std::string::npos);
  EXPECT_NE(LoadProblem("/bin/cat", "/etc/passwd").find("no library"), std::string::npos);
}

}  // namespace
}  // namespace rex::openmpi
