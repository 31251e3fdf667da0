#include "launcher/cli/option_values.h"

#include <gtest/gtest.h>

#include "launcher/cli/host_list.h"

namespace rex {
namespace {

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

TEST(TakeBindTo, ObjectsAndModifiers) {
  BindChoice choice;
  ASSERT_TRUE(TakeBindTo("core:overload-allowed:if-supported", &choice));
  EXPECT_EQ(choice, (BindChoice{BindPolicy::kCore, true}));
  EXPECT_FALSE(TakeBindTo("socket", &choice));
  EXPECT_FALSE(TakeBindTo("core:sometimes", &choice));
}

TEST(TakeDisplay, Words) {
  DisplayChoice choice;
  ASSERT_TRUE(TakeDisplay("map,topo", &choice));
  EXPECT_EQ(choice, (DisplayChoice{.map = true, .topology = true}));
  EXPECT_FALSE(TakeDisplay("maps", &choice));
}

TEST(TakeMapBy, ModifiersAlone) {
  MapChoice choice;
  ASSERT_TRUE(TakeMapBy(":OVERSUBSCRIBE", &choice));
  EXPECT_TRUE(choice.oversubscribe);
  EXPECT_FALSE(TakeMapBy("numa", &choice));
  EXPECT_FALSE(TakeMapBy("slot:PE=2", &choice));
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

TEST(ParseHosts, SlotsAndRepeats) {
  const auto hosts = ParseHosts("a,b:3,a,fe80::1");
  ASSERT_TRUE(hosts);
  ASSERT_EQ(hosts->size(), 3u);
  EXPECT_EQ((*hosts)[0].slots, 2u);
  EXPECT_EQ((*hosts)[1].slots, 3u);
  EXPECT_EQ((*hosts)[2].name, "fe80::1");
}

TEST(ParseHosts, WhatIsWrongIsNamed) {
  const auto error = [](const char* text) {
    const auto hosts = ParseHosts(text);
    return hosts ? std::string() : hosts.error().text;
  };
  EXPECT_EQ(error("a,,b"), "a host's name is empty");
  EXPECT_EQ(error("a:x"), "'a:x' has no number of slots after ':'");
  EXPECT_EQ(error("a:0"), "'a:0' has no number of slots after ':'");
  EXPECT_EQ(error("^a"), "'^a': excluding hosts is not supported yet");
  EXPECT_EQ(error("+n1"), "'+n1': relative host names are not supported yet");
}

TEST(ParseHostfile, EverySpellingAndComment) {
  const auto hosts = ParseHostfile(
      "# one\n\"n 1\" slots = 2 max_slots=4 // two\n/* three\n lines */ n2 cpus=3\nn3\nn3\r\n",
      "h");
  ASSERT_TRUE(hosts) << hosts.error().text;
  ASSERT_EQ(hosts->size(), 3u);
  EXPECT_EQ((*hosts)[0].name, "n 1");
  EXPECT_EQ((*hosts)[0].slots, 2u);
  EXPECT_FALSE((*hosts)[0].all_cores);
  EXPECT_EQ((*hosts)[1].slots, 3u);
  EXPECT_TRUE((*hosts)[2].all_cores);
}

TEST(ParseHostfile, ErrorsNameFileLineAndColumn) {
  const auto error = [](const char* text) {
    const auto hosts = ParseHostfile(text, "h");
    return hosts ? std::string() : hosts.error().text;
  };
  EXPECT_EQ(error("a\nb user=x\n"),
            "h:2:3: 'user=x' is not supported here; write slots=N or max_slots=N");
  EXPECT_EQ(error("a slots=0"), "h:1:3: 'slots=0' has no number of slots, which is at least 1");
  EXPECT_EQ(error("a slots=3 max_slots=2"), "h:1:1: more slots than max_slots");
  EXPECT_EQ(error("# nothing\n"), "h: no host is named in it");
}

}  // namespace
}  // namespace rex
