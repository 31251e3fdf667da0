#include "launcher/ship/ship_bundle.h"

#include <gtest/gtest.h>

#include <set>

#include "launcher/base/programs.h"
#include "launcher/ship/ship_limits.h"
#include "launcher/ship/ship_script.h"

namespace rex {
namespace {

TEST(ShipBundle, OfTheLoadersAnswerAllButGlibcCounts) {
  std::string libc;
  const auto loaded = ParseLoaded(
      "\tlinux-vdso.so.1 (0x00007ffd)\n"
      "\tlibpmix.so.2 => /opt/my libs/libpmix.so.2 (0x00007f)\n"
      "\tlibm.so.6 => /lib64/libm.so.6 (0x00007f)\n"
      "\tlibc.so.6 => /lib64/libc.so.6 (0x00007f)\n"
      "\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n",
      &libc);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(*loaded, (std::vector<LoadedLibrary>{{"libpmix.so.2", "/opt/my libs/libpmix.so.2"}}));
  EXPECT_EQ(libc, "/lib64/libc.so.6");
}

TEST(ShipBundle, ALibraryThatIsMissingHereIsAnError) {
  std::string libc;
  const auto loaded = ParseLoaded("\tlibpmix.so.2 => not found\n", &libc);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_NE(loaded.error().text.find("'libpmix.so.2' is missing here"), std::string::npos);
}

TEST(ShipBundle, OfThisInstallation) {
  const auto rexd = FindLibexecProgram("rexd");
  ASSERT_TRUE(rexd.has_value());
  const std::string directory = rexd->substr(0, rexd->rfind('/'));
  const auto made = MakeShipBundle(directory);
  ASSERT_TRUE(made.has_value()) << made.error().text;
  const ShipBundle& bundle = **made;
  std::set<std::string> names;
  size_t bytes = 0;
  for (const ShipFile& file : bundle.files) {
    EXPECT_TRUE(names.insert(file.name).second) << file.name;
    EXPECT_EQ(file.digest, Sha256Hex(file.bytes));
    EXPECT_EQ(file.name.find("libc.so"), std::string::npos);
    bytes += file.bytes.size();
  }
  for (const char* name : {"rexd", "rexd-agent", "rexd-pmix", "rexd-spawner", "librex_template.so",
                           "rex-stage0", "lib/libpmix.so.2", "lib/libhwloc.so.15"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_GE(bundle.glibc_minor, 17u);
  EXPECT_GE(ShipRoomKib(directory) << 10, bytes);
  const std::string manifest = bundle.Manifest();
  EXPECT_LT(manifest.size(), kMaxManifestBytes);
  EXPECT_TRUE(manifest.starts_with("MANIFEST " + std::to_string(bundle.files.size()) + " /"));
  const size_t end = manifest.rfind("END ");
  EXPECT_EQ(manifest.substr(end), "END " + Sha256Hex(manifest.substr(0, end)) + "\n");
}

TEST(ShipBundle, PathsThatAreNoWordAreNotNamed) {
  ShipBundle bundle;
  bundle.files.push_back({"lib/a.so", "/opt/my libs/a.so", false, std::string(64, '0'), "abc"});
  bundle.files.push_back({"lib/b.so", "/opt/b.so", false, std::string(64, '1'), ""});
  const std::string text = "MANIFEST 2 /-\nl 3 " + std::string(64, '0') + " lib/a.so /-\nl 0 " +
                           std::string(64, '1') + " lib/b.so /opt/b.so\n";
  EXPECT_EQ(bundle.Manifest(), text + "END " + Sha256Hex(text) + "\n");
}

TEST(ShipScript, IsOneLineAndHasEveryNumber) {
  const std::string script = ShipScript(12345, std::string(64, 'd'), 6789);
  EXPECT_EQ(script.find_first_of("\n\r\t"), std::string::npos);
  EXPECT_EQ(script.find('@'), script.find("$@") + 1) << "every mark is filled in";
  for (const std::string& part :
       {std::string("head -c 12345 "), std::string(64, 'd') + "*)", std::string("-lt 6789 ")}) {
    EXPECT_NE(script.find(part), std::string::npos) << part;
  }
  // The fifo's number is a word of the script and a constant elsewhere.
  EXPECT_NE(script.find("exec " + std::to_string(kShipWatchFd) + "<>"), std::string::npos);
}

}  // namespace
}  // namespace rex
