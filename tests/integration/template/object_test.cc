// librex_template.so as an object: what it needs, exports and wants, on both architectures.
#include <unistd.h>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class TemplateObjectTest : public RexTest {};

TEST_F(TemplateObjectTest, NeedsNothingAndWantsTheFirstCall) {
  const CommandResult result = Run({"readelf", "-d", "-W", LibexecPath("librex_template.so")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "(NEEDED)"), 0u) << result;
  EXPECT_EQ(CountOf(result.out, "(JMPREL)"), 0u) << result;
  EXPECT_EQ(CountOf(result.out, "(TEXTREL)"), 0u) << result;
  EXPECT_EQ(CountOf(result.out, "(FINI"), 0u) << "its end must not be noticed: " << result;
  EXPECT_TRUE(Contains(result.out, "INITFIRST"));
  EXPECT_TRUE(Contains(result.out, "(INIT_ARRAY)"));
}

TEST_F(TemplateObjectTest, HasNoDynamicSymbolAtAll) {
  const CommandResult result =
      Run({"readelf", "--dyn-syms", "-W", LibexecPath("librex_template.so")});
  ASSERT_TRUE(ExitedWith(result, 0));
  for (const auto& line : Lines(result.out)) {
    const bool is_entry = line.find(": ") != std::string::npos &&
                          line.find("Num:") == std::string::npos &&
                          line.find("NOTYPE  LOCAL") == std::string::npos &&
                          line.find("Symbol table") == std::string::npos;
    EXPECT_FALSE(is_entry) << line;
  }
}

TEST_F(TemplateObjectTest, DoesNothingInAProcessThatIsNoTemplate) {
  CommandOptions options;
  options.set_env["LD_PRELOAD"] = LibexecPath("librex_template.so");
  const CommandResult result = Run({"/bin/echo", "as ever"}, options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "as ever\n");
}

TEST_F(TemplateObjectTest, CompilesForBothArchitectures) {
  if (Run({"which", "clang++"}).exit_code != 0)
    GTEST_SKIP() << "clang++ is needed to cross-compile";
  const std::string room = std::string(REX_TEST_SOURCE_DIR) + "/launcher/template/";
  for (const char* target : {"x86_64-linux-gnu", "aarch64-linux-gnu"}) {
    for (const char* source : {"template_main.cc", "template_stack.cc", "batch_check.cc",
                               "rank_child.cc", "maker_core.cc"}) {
      EXPECT_TRUE(ExitedWith(Run({"clang++",
                                  std::string("--target=") + target,
                                  "-std=c++20",
                                  "-O2",
                                  "-ffreestanding",
                                  "-fno-builtin",
                                  "-nostdinc++",
                                  "-fPIC",
                                  "-fno-exceptions",
                                  "-fno-rtti",
                                  "-fvisibility=hidden",
                                  "-Wall",
                                  "-Wextra",
                                  "-Werror",
                                  "-I",
                                  REX_TEST_SOURCE_DIR,
                                  "-c",
                                  room + source,
                                  "-o",
                                  left().work_dir() + "/object.o"}),
                             0))
          << target << " " << source;
    }
  }
}

}  // namespace
}  // namespace rex::testing
