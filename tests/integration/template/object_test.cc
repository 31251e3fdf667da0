// librex_template.so as an object: what it needs, exports and wants, on both architectures.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "launcher/template/template_proto.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

// What the build made for this architecture, and for aarch64 where it has a cross compiler.
enum class For : uint8_t { kThis, kAarch64 };

std::string ObjectPath(For which) {
  return which == For::kThis ? LibexecPath("librex_template.so")
                             : BuildDir() + "/aarch64/librex_template.so";
}

class TemplateObjectTest : public RexTest {};

class EachObject : public TemplateObjectTest, public ::testing::WithParamInterface<For> {
 protected:
  void SetUp() override {
    if (::access(ObjectPath(GetParam()).c_str(), R_OK) != 0) {
      ASSERT_EQ(GetParam(), For::kAarch64);
      GTEST_SKIP() << "no cross compiler here (package g++-aarch64-linux-gnu)";
    }
  }
  CommandResult Readelf(const std::string& what) {
    return Run({"readelf", "-W", what, ObjectPath(GetParam())});
  }
};

INSTANTIATE_TEST_SUITE_P(Both, EachObject, ::testing::Values(For::kThis, For::kAarch64),
                         [](const auto& param) {
                           return param.param == For::kThis ? "This" : "Aarch64";
                         });

TEST_P(EachObject, NeedsNothingAndWantsTheFirstCall) {
  const CommandResult result = Readelf("-d");
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "(NEEDED)"), 0u) << result;
  EXPECT_EQ(CountOf(result.out, "(JMPREL)"), 0u) << result;
  EXPECT_EQ(CountOf(result.out, "(TEXTREL)"), 0u) << result;
  EXPECT_EQ(CountOf(result.out, "(FINI"), 0u) << "its end must not be noticed: " << result;
  EXPECT_TRUE(Contains(result.out, "INITFIRST"));
  EXPECT_TRUE(Contains(result.out, "(INIT_ARRAY)"));
}

TEST_P(EachObject, HasNoDynamicSymbolAtAll) {
  const CommandResult result = Readelf("--dyn-syms");
  ASSERT_TRUE(ExitedWith(result, 0));
  for (const auto& line : Lines(result.out)) {
    const bool is_entry = line.find(": ") != std::string::npos &&
                          line.find("Num:") == std::string::npos &&
                          line.find("NOTYPE  LOCAL") == std::string::npos &&
                          line.find("SECTION LOCAL") == std::string::npos &&
                          line.find("Symbol table") == std::string::npos;
    EXPECT_FALSE(is_entry) << line;
  }
}

TEST_P(EachObject, IsForItsMachine) {
  const CommandResult result = Readelf("-h");
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "AArch64") > 0,
            GetParam() == For::kAarch64 || std::string(REX_TEST_PROCESSOR) == "aarch64")
      << result;
}

TEST_F(TemplateObjectTest, DoesNothingInAProcessThatIsNoTemplate) {
  CommandOptions options;
  options.set_env["LD_PRELOAD"] = LibexecPath("librex_template.so");
  const CommandResult result = Run({"/bin/echo", "as ever"}, options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "as ever\n");
}

// The aarch64 object in a program of its own kind, as far as an emulator goes: it is loaded first,
// reads its stack, calls the kernel, and says hello and what it found.
class EmulatedAarch64 : public TemplateObjectTest {
 protected:
  void SetUp() override {
    if (::access(ObjectPath(For::kAarch64).c_str(), R_OK) != 0) GTEST_SKIP() << "no cross compiler";
    if (Run({"qemu-aarch64-static", "--version"}).exit_code != 0) {
      GTEST_SKIP() << "no emulator here (package qemu-user-static)";
    }
    program_ = left().work_dir() + "/plain";
    const CommandResult built = Run({"aarch64-linux-gnu-gcc", "-o", program_,
                                     std::string(REX_TEST_TEMPLATE_SOURCES) + "plain.c"});
    ASSERT_TRUE(ExitedWith(built, 0));
  }
  std::vector<std::string> Command(const std::vector<std::string>& settings) {
    std::vector<std::string> words = {"qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"};
    for (const std::string& setting : settings) words.insert(words.end(), {"-E", setting});
    words.push_back(program_);
    return words;
  }
  static std::string Preload() { return "LD_PRELOAD=" + ObjectPath(For::kAarch64); }

 private:
  std::string program_;
};

TEST_F(EmulatedAarch64, DoesNothingInAProcessThatIsNoTemplate) {
  const CommandResult result = Run(Command({Preload()}));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "plain\n");
  EXPECT_EQ(result.err, "") << "ld.so had to say something";
}

TEST_F(EmulatedAarch64, SaysHello) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);  // inherited
  ASSERT_EQ(::fcntl(ours.get(), F_SETFD, FD_CLOEXEC), 0);
  RunningCommand command(Command({Preload(), REX_TEMPLATE_FD_NAME + std::to_string(theirs.get())}),
                         Prepare());
  theirs.Reset();
  rex_template_hello hello{};
  ASSERT_TRUE(command.WaitUntil([&] {
    return ::recv(ours.get(), &hello, sizeof hello, MSG_DONTWAIT) == sizeof hello;
  })) << command.Snapshot();
  EXPECT_EQ(hello.magic, static_cast<uint32_t>(REX_BATCH_MAGIC));
  EXPECT_EQ(hello.version, static_cast<uint32_t>(REX_BATCH_VERSION));
  // The emulator's /proc/self/stat leaves out where the environment is, and it knows no
  // PR_GET_TID_ADDRESS: fit on a real kernel only.
  const std::set<uint32_t> possible = {REX_TEMPLATE_LAYOUT, REX_TEMPLATE_NO_KERNEL_SUPPORT,
                                       REX_TEMPLATE_FIT};
  EXPECT_EQ(possible.count(hello.fitness), 1u) << hello.fitness;
  ours.Reset();
  const CommandResult result = command.Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, hello.fitness == REX_TEMPLATE_FIT ? 0 : 1));
  EXPECT_EQ(result.out, "");
}

}  // namespace
}  // namespace rex::testing
