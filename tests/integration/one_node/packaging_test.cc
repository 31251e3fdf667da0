// What is installed: libraries that rexlaunch needs, its speed, and that the tree can be moved.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class PackagingTest : public RexTest {
 protected:
  std::vector<std::string> Needed(const std::string& file) {
    std::vector<std::string> needed;
    const CommandResult result = Run({"readelf", "-d", "-W", file});
    EXPECT_TRUE(ExitedWith(result, 0));
    for (const auto& line : Lines(result.out)) {
      const size_t open = line.find('[');
      if (line.find("(NEEDED)") == std::string::npos || open == std::string::npos) continue;
      needed.push_back(line.substr(open + 1, line.find(']') - open - 1));
    }
    return needed;
  }
  void ExpectNoneOf(const std::string& file, const std::vector<std::string>& unwanted) {
    for (const auto& library : Needed(file)) {
      for (const auto& name : unwanted) {
        EXPECT_EQ(library.find(name), std::string::npos) << file << " needs " << library;
      }
    }
  }
};

TEST_F(PackagingTest, RexlaunchNeedsOnlyTheCLibrary) {
  ExpectNoneOf(RexlaunchPath(),
               {"pmix", "hwloc", "mpi", "open-rte", "open-pal", "event", "protobuf", "crypto"});
}

TEST_F(PackagingTest, OnlyTheHostNeedsLibpmix) {
  for (const char* program : {"rexd", "rexd-agent", "rexd-spawner"}) {
    ExpectNoneOf(LibexecPath(program), {"pmix", "mpi"});
  }
  const auto needed = Needed(LibexecPath("rexd-pmix"));
  EXPECT_TRUE(std::any_of(needed.begin(), needed.end(), [](const std::string& library) {
    return library.starts_with("libpmix");
  }));
}

TEST_F(PackagingTest, VersionIsQuick) {
  if (IsSanitized()) GTEST_SKIP() << "a sanitizer's start takes longer";
  // The quickest of many, as this may run beside other tests; the claim is about rexlaunch.
  milliseconds best{1000};
  for (int i = 0; i < 30; ++i) best = std::min(best, Rex({"--version"}).wall);
  EXPECT_LT(best, milliseconds(5));
}

TEST_F(PackagingTest, AnInstalledTreeKnowsNoDirectoryOfTheBuild) {
  const std::string prefix = left().work_dir() + "/prefix";
  ASSERT_TRUE(ExitedWith(Run({REX_TEST_CMAKE, "--install", BuildDir(), "--prefix", prefix}), 0));
  for (const char* program : {"/bin/rexlaunch", "/libexec/rex/rexd", "/libexec/rex/rexd-agent",
                              "/libexec/rex/rexd-pmix", "/libexec/rex/rexd-spawner"}) {
    const CommandResult result = Run({"readelf", "-d", "-W", prefix + program});
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(CountOf(result.out, BuildDir()) + CountOf(result.out, prefix), 0u) << result;
  }
}

TEST_F(PackagingTest, AnInstalledTreeCanBeMoved) {
  const std::string first = left().work_dir() + "/first";
  const std::string second = left().work_dir() + "/second place";
  const CommandResult install = Run({REX_TEST_CMAKE, "--install", BuildDir(), "--prefix", first});
  ASSERT_TRUE(ExitedWith(install, 0));
  ASSERT_EQ(::rename(first.c_str(), second.c_str()), 0);
  const CommandResult result =
      Run({second + "/bin/rexlaunch", "-n", "2", ProgramPath("mpi_hello")});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "hello rank="), 2u) << result;
}

TEST_F(PackagingTest, ItIsFoundThroughASymbolicLink) {
  const std::string link = left().work_dir() + "/rl";
  ASSERT_EQ(::symlink(RexlaunchPath().c_str(), link.c_str()), 0);
  EXPECT_TRUE(ExitedWith(Run({link, "-n", "1", "true"}), 0));
}

}  // namespace
}  // namespace rex::testing
