#include "launcher/image/image_maker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace rex {
namespace {

namespace fs = std::filesystem;
const std::string kDir = CLOSURE_DIR;  // see CMakeLists.txt

class MakerTest : public ::testing::Test {
 protected:
  MakerTest() : dir_("/tmp/maker-test-" + std::to_string(::getpid())), seen_(dir_ + "/rex") {
    fs::create_directories(dir_);
    query_.send_interpreters = true;
    query_.plug_ins = &seen_;
  }
  ~MakerTest() override { fs::remove_all(dir_); }

  std::string Put(const std::string& name, const std::string& text) {
    const std::string path = dir_ + "/" + name;
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }
  std::string Copy(const std::string& from, const std::string& name) {
    const std::string path = dir_ + "/" + name;
    fs::create_directories(fs::path(path).parent_path());
    fs::copy_file(from, path);
    return path;
  }
  MadeImage Make(const std::string& program, std::vector<std::string> env = {}) {
    query_.apps = {{program, std::move(env)}};
    auto made = MakeImage(query_, SendRules(rules_), nullptr);
    EXPECT_TRUE(made) << made.error().text;
    return made ? *std::move(made) : MadeImage{};
  }
  static bool Has(const MadeImage& made, const std::string& path) {
    return std::any_of(made.image.files.begin(), made.image.files.end(),
                       [&](const ImageFile& file) { return file.path == path; });
  }
  Digest256 DigestOfFile(const std::string& path) {
    return DigestCache("").Get(path)->digest.whole;
  }

  const std::string dir_;
  const SeenPlugIns seen_;
  std::vector<std::string> rules_;
  ImageQuery query_;
};

TEST_F(MakerTest, AScriptsInterpreterIsSentWithWhatItLoads) {
  const std::string script = Put("script", "#! " + kDir + "/bin/new  -a b \nrest\n");
  const MadeImage made = Make(script);
  const ImageApp& app = made.image.apps[0];
  ASSERT_GE(app.interpreter, 0);
  EXPECT_EQ(made.image.files[static_cast<size_t>(app.interpreter)].path, kDir + "/bin/new");
  EXPECT_TRUE(made.image.files[static_cast<size_t>(app.interpreter)].executable);
  EXPECT_EQ(app.interpreter_words, (std::vector<std::string>{kDir + "/bin/new", "-a b"}));
  EXPECT_FALSE(app.libraries.empty());
  ASSERT_EQ(made.notes.size(), 1u);
  EXPECT_NE(made.notes[0].find("sent with its libraries; files that it reads by itself"),
            std::string::npos);
}

TEST_F(MakerTest, NodesHaveTheDistributionsInterpreters) {
  for (const char* line : {"#!/bin/sh\n", "#!/usr/bin/env python3\n", "#!relative\n", "#!\n"}) {
    const MadeImage made = Make(Put("script", line));
    EXPECT_EQ(made.image.files.size(), 1u) << line;
    EXPECT_EQ(made.image.apps[0].interpreter, -1);
    EXPECT_TRUE(made.notes.empty());
  }
}

TEST_F(MakerTest, AnInterpreterThatIsAScriptIsNotSent) {
  const std::string inner = Put("inner", "#!/bin/sh\n");
  const MadeImage made = Make(Put("outer", "#!" + inner + "\n"));
  EXPECT_EQ(made.image.apps[0].interpreter, -1);
  ASSERT_EQ(made.notes.size(), 1u);
  EXPECT_NE(made.notes[0].find("not sent: every node needs that file"), std::string::npos);
}

TEST_F(MakerTest, NobodyIsSentAnInterpreterThatCannotStartIt) {
  query_.send_interpreters = false;
  const MadeImage made = Make(Put("script", "#!" + kDir + "/bin/new\n"));
  EXPECT_EQ(made.image.apps[0].interpreter, -1);
  EXPECT_EQ(made.notes.size(), 1u);
}

TEST_F(MakerTest, WhatAProgramWasSeenToOpenIsSentAsLongAsItIsThere) {
  const std::string program = Copy(kDir + "/bin/none", "program");
  const std::string plug_in = Copy(kDir + "/leaves/libtwin.so", "plug/libtwin.so");
  const std::string bound = Copy(kDir + "/leaves/libtwin.so", "plug/libcuda.so.1");
  seen_.Add(DigestOfFile(program), {plug_in, bound, dir_ + "/gone.so", "/usr/lib/libz.so"});
  const MadeImage made = Make(program);
  EXPECT_TRUE(Has(made, plug_in));
  EXPECT_FALSE(Has(made, bound));
  EXPECT_EQ(made.plug_ins, 1u);
  ASSERT_EQ(made.details.size(), 1u);
  EXPECT_NE(made.details[0].find("as earlier runs opened them: " + plug_in), std::string::npos);
  // Where its directory is searched by ld.so.
  const auto& libraries = made.image.apps[0].libraries;
  EXPECT_TRUE(std::any_of(libraries.begin(), libraries.end(),
                          [&](uint32_t i) { return made.image.files[i].path == plug_in; }));
  fs::remove(plug_in);
  EXPECT_EQ(Make(program).plug_ins, 0u);
}

// Whatever it is called, and whoever says that a program opened it.
TEST_F(MakerTest, WhatIsNoLibraryIsNoPlugIn) {
  const std::string program = Copy(kDir + "/bin/none", "program");
  const std::string text = Put("secret.so", "not an ELF file");
  const std::string key = Put("id_key", "secret");
  const std::string renamed = Copy(kDir + "/leaves/libtwin.so", "plug/twin");
  seen_.Add(DigestOfFile(program), {text, key, renamed, dir_});
  const MadeImage made = Make(program);
  for (const std::string& file : {text, key, renamed}) EXPECT_FALSE(Has(made, file)) << file;
  EXPECT_EQ(made.plug_ins, 0u);
}

TEST_F(MakerTest, AnotherProgramsPlugInsAreNotSent) {
  const std::string program = Copy(kDir + "/bin/none", "program");
  const std::string plug_in = Copy(kDir + "/leaves/libtwin.so", "plug/libtwin.so");
  seen_.Add(DigestOfFile(kDir + "/bin/new"), {plug_in});
  EXPECT_FALSE(Has(Make(program), plug_in));
}

// What its libraries are does not matter here: a name tells an Open MPI.
TEST_F(MakerTest, AnOpenMpiOfTheUsersComesWhole) {
  const std::string pal = Copy(kDir + "/leaves/libtwin.so", "ompi/lib/libopen-pal.so.40");
  const std::string tcp = Copy(kDir + "/leaves/libtwin.so", "ompi/lib/openmpi/mca_btl_tcp.so");
  const std::string texts = Put("ompi/share/openmpi/help-x.txt", "x");
  const std::string settings = Put("ompi/etc/openmpi-mca-params.conf", "");
  Put("ompi/lib/openmpi/README", "x");
  const std::string program = Copy(kDir + "/bin/none", "program");
  const MadeImage made = Make(program, {"LD_PRELOAD=" + pal});
  for (const std::string& file : {pal, tcp, texts, settings}) EXPECT_TRUE(Has(made, file)) << file;
  EXPECT_FALSE(Has(made, dir_ + "/ompi/lib/openmpi/README"));
  EXPECT_EQ(made.image.apps[0].openmpi_prefix, dir_ + "/ompi");
  EXPECT_NE(made.details.at(0).find("1 components"), std::string::npos);
}

TEST_F(MakerTest, WhereAnOpenMpiWasMovedToCounts) {
  const std::string pal = Copy(kDir + "/leaves/libtwin.so", "there/lib64/libopen-pal.so.40");
  const std::string self = Copy(kDir + "/leaves/libtwin.so", "here/lib/openmpi3/mca_btl_self.so");
  const std::string program = Copy(kDir + "/bin/none", "program");
  const MadeImage made = Make(program, {"LD_PRELOAD=" + pal, "OPAL_PREFIX=" + dir_ + "/here"});
  EXPECT_TRUE(Has(made, self));
  EXPECT_EQ(made.image.apps[0].openmpi_prefix, dir_ + "/here");
}

}  // namespace
}  // namespace rex
