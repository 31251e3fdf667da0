#include "launcher/cli/option_values.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

TEST(TakeLeasePlace, AutoNoneOrADirectory) {
  std::string leases = "x";
  EXPECT_TRUE(TakeLeasePlace("auto", &leases));
  EXPECT_EQ(leases, "");
  EXPECT_TRUE(TakeLeasePlace("none", &leases));
  EXPECT_EQ(leases, "none");
  EXPECT_TRUE(TakeLeasePlace("/run/leases", &leases));
  EXPECT_EQ(leases, "/run/leases");
  const auto taken = TakeLeasePlace("leases", &leases);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().text,
            "'leases' is not known; write auto, none or a directory's whole path");
}

TEST(TakeOutput, TakesEveryWordInAnyOrder) {
  OutputChoice choice;
  ASSERT_TRUE(TakeOutput("merge,DIR=/d/x:nocopy,Tag,timestamp,file=f", &choice));
  EXPECT_EQ(choice, (OutputChoice{.tag = true,
                                  .timestamp = true,
                                  .merge = true,
                                  .file = "f",
                                  .dir = "/d/x",
                                  .copy = false}));
}

TEST(TakeOutput, NamesWhatItDoesNotKnow) {
  OutputChoice choice;
  const auto taken = TakeOutput("tag,loud", &choice);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().text,
            "'loud' is not known; write tag, timestamp, merge, file=NAME or dir=NAME");
  EXPECT_FALSE(TakeOutput("file=", &choice));
  EXPECT_FALSE(TakeOutput("", &choice));
}

TEST(TakeDisplay, Words) {
  DisplayChoice choice;
  ASSERT_TRUE(TakeDisplay("map,topo", &choice));
  EXPECT_EQ(choice, (DisplayChoice{.map = true, .topology = true}));
  EXPECT_FALSE(TakeDisplay("maps", &choice));
}

TEST(TakeVirtualNodes, NumberAndSlots) {
  VirtualChoice choice;
  ASSERT_TRUE(TakeVirtualNodes("4:2", &choice));
  EXPECT_EQ(choice, (VirtualChoice{4, 2}));
  ASSERT_TRUE(TakeVirtualNodes("65535", &choice));
  EXPECT_EQ(choice, (VirtualChoice{65535, 0}));
}

TEST(TakeVirtualNodes, WhatIsWrongIsNamed) {
  const auto error = [](const char* text) {
    VirtualChoice choice;
    const auto taken = TakeVirtualNodes(text, &choice);
    EXPECT_EQ(choice, VirtualChoice{}) << text;
    return taken ? std::string() : taken.error().text;
  };
  const std::string rest = "' is not a number of nodes; write N or N:SLOTS with N from 1 to 65535";
  for (const char* text : {"", "0", "65536", "x", "-1", "4:2:1", ":2"}) {
    EXPECT_EQ(error(text), "'" + std::string(text) + rest);
  }
  for (const char* text : {"4:", "4:0", "4:x", "4:1048577"}) {
    EXPECT_EQ(error(text), "'" + std::string(text) +
                               "' has no number of slots after ':', which is 1 to 1048576");
  }
}

TEST(ShellWords, QuotesAndBackslashes) {
  const auto words = ShellWords("ssh -o 'User Known' \"a\\\"b\" c\\ d '' # no");
  ASSERT_TRUE(words);
  EXPECT_EQ(*words, (std::vector<std::string>{"ssh", "-o", "User Known", "a\"b", "c d", ""}));
  EXPECT_EQ(ShellWords("ssh 'x").error().text, "a quote (') is not closed");
}

TEST(ParseParameterFile, BothNotations) {
  const auto settings = ParseParameterFile(
      "# c\n btl = self,vader \n-mca pml ob1 -x A='b c' -x HOME\n", "f", {"HOME=/h"});
  ASSERT_TRUE(settings) << settings.error().text;
  EXPECT_EQ(
      *settings,
      (std::vector<EnvSetting>{
          {"OMPI_MCA_btl", "self,vader"}, {"OMPI_MCA_pml", "ob1"}, {"A", "b c"}, {"HOME", "/h"}}));
}

TEST(ParseParameterFile, ErrorsNameFileAndLine) {
  const auto error = [](const char* text) {
    const auto settings = ParseParameterFile(text, "f", {});
    return settings ? std::string() : settings.error().text;
  };
  EXPECT_EQ(error("a=1\nnonsense\n"), "f:2: 'nonsense' is not KEY = VALUE");
  EXPECT_EQ(error("-mca a\n"), "f:1: '-mca' is not -mca KEY VALUE, -x NAME=VALUE or KEY = VALUE");
  EXPECT_EQ(error("-x 'A=b\n"), "f:1: a quote (') is not closed");
  EXPECT_EQ(error("-mca a b \"\"\n"), "f:1: an empty word");
}

TEST(ParseAppFile, SplitsLikeAShellWithoutExpansion) {
  const auto words = ParseAppFile("-n 1 a \\\n \"b c\" d\\ e '$X' # no\n\n-n 2 f\n", "f");
  ASSERT_TRUE(words) << words.error().text;
  EXPECT_EQ(*words,
            (std::vector<std::string>{"-n", "1", "a", "b c", "d e", "$X", ":", "-n", "2", "f"}));
  EXPECT_FALSE(ParseAppFile("# only this\n", "f"));
}

}  // namespace
}  // namespace rex
