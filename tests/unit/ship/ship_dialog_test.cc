#include "launcher/ship/ship_dialog.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

class ShipDialogTest : public ::testing::Test {
 protected:
  ShipDialogTest() {
    auto bundle = std::make_shared<ShipBundle>();
    for (const char* name : {"rexd", "lib/a.so", "lib/b.so"}) {
      bundle->files.push_back({name, "/x", false, std::string(64, '0'), name});
    }
    bundle->files[1].bytes = "";
    bundle->glibc_minor = 36;
    bundle_ = bundle;
  }
  std::string Feed(const std::string& bytes) {
    auto rest = dialog_.Feed(bytes);
    if (rest) return *rest;
    ADD_FAILURE() << rest.error().text;
    return "";
  }
  std::string Refusal(const std::string& bytes) {
    auto rest = dialog_.Feed(bytes);
    return rest ? "taken" : rest.error().text;
  }
  // All that is pending, a few bytes at a time.
  std::string Sent() {
    std::string sent;
    while (!dialog_.Pending().empty()) {
      const size_t n = std::min<size_t>(dialog_.Pending().size(), 3);
      sent += dialog_.Pending().substr(0, n);
      dialog_.Written(n);
    }
    return sent;
  }
  void UpToNeed() {
    dialog_.SetBundle(bundle_);
    Feed("\x1erex-ship here x86_64\n");
    Sent();
    Feed("\x1erex-ship stage 1\n");
    Sent();
  }

  std::shared_ptr<const Stage0> stage0_ =
      std::make_shared<const Stage0>(Stage0{"the first program", "digest"});
  std::shared_ptr<const ShipBundle> bundle_;
  ShipDialog dialog_{"x86_64", stage0_};
};

TEST_F(ShipDialogTest, TheWholeConversation) {
  EXPECT_EQ(Sent(), "");
  EXPECT_EQ(Feed("Welcome!\n\x1erex-ship he"), "Welcome!\n");
  EXPECT_EQ(Feed("re x86_64\n"), "");
  EXPECT_EQ(Sent(), "the first program");
  EXPECT_EQ(Feed("\x1erex-ship stage 1\n"), "");
  EXPECT_EQ(Sent(), "") << "our own files are not read yet";
  EXPECT_EQ(dialog_.state(), ShipState::kAwaitsBundle);
  dialog_.SetBundle(bundle_);
  EXPECT_EQ(Sent(), bundle_->Manifest());
  EXPECT_EQ(Feed("\x1erex-ship need 2.36 0,1,2\n"), "");
  EXPECT_EQ(Sent(), "rexdlib/b.so");
  EXPECT_EQ(dialog_.state(), ShipState::kDone);
  EXPECT_EQ(Feed("\x1erex-join 0.1.0\n"), "\x1erex-join 0.1.0\n");
}

TEST_F(ShipDialogTest, OneByteAtATime) {
  dialog_.SetBundle(bundle_);
  std::string rest;
  const auto feed = [&](const std::string& text) {
    for (const char c : text) rest += Feed(std::string(1, c));
  };
  feed("noise \x1e and \x1erex-other\n\x1erex-ship here x86_64\n");
  Sent();
  feed("\x1erex-ship stage 1\n");
  Sent();
  feed("\x1erex-ship need 2.40 2\n");
  EXPECT_EQ(Sent(), "lib/b.so");
  feed("\x1erex-join 1\n");
  EXPECT_EQ(rest, "noise \x1e and \x1erex-other\n\x1erex-join 1\n");
}

TEST_F(ShipDialogTest, ANodeThatHasEverythingIsSentNothing) {
  UpToNeed();
  EXPECT_EQ(Feed("\x1erex-ship need 2.36 -\nmore"), "more");
  EXPECT_EQ(Sent(), "");
  EXPECT_EQ(dialog_.state(), ShipState::kDone);
}

TEST_F(ShipDialogTest, OnlyEmptyFilesAreNeeded) {
  UpToNeed();
  EXPECT_EQ(Feed("\x1erex-ship need 2.36 1\n"), "");
  EXPECT_EQ(dialog_.state(), ShipState::kDone);
}

TEST_F(ShipDialogTest, AnotherMachine) {
  const std::string text = Refusal("\x1erex-ship here aarch64\n");
  EXPECT_EQ(text, "the node's machine is aarch64, rex's programs here are for x86_64");
  EXPECT_NE(ShipRemedy(text).find("--prefix"), std::string::npos);
  EXPECT_EQ(Sent(), "");
}

TEST_F(ShipDialogTest, AnOlderGlibc) {
  UpToNeed();
  const std::string text = Refusal("\x1erex-ship need 2.31 0\n");
  EXPECT_EQ(text, "the node's glibc is 2.31, rex's programs here need 2.36");
  EXPECT_NE(ShipRemedy(text).find("oldest system"), std::string::npos);
  EXPECT_EQ(Sent(), "") << "nothing is sent";
}

TEST_F(ShipDialogTest, NoGlibc) {
  UpToNeed();
  EXPECT_NE(Refusal("\x1erex-ship need - 0\n").find("has no glibc"), std::string::npos);
}

TEST_F(ShipDialogTest, WhatIsOutOfOrderOrMalformedIsTheEnd) {
  const std::vector<std::string> lines = {"stage 1",
                                          "need 2.36 0",
                                          "here",
                                          "here a b",
                                          "here ",
                                          "",
                                          "other 1",
                                          "here " + std::string(40, 'x'),
                                          std::string(600, 'x')};
  for (const std::string& line : lines) {
    ShipDialog dialog("x86_64", stage0_);
    EXPECT_FALSE(dialog.Feed("\x1erex-ship " + line + "\n").has_value()) << line;
  }
  ShipDialog endless("x86_64", stage0_);
  EXPECT_FALSE(endless.Feed("\x1erex-ship " + std::string(600, 'x')).has_value());
}

TEST_F(ShipDialogTest, NeedsThatCanNotBe) {
  for (const char* need : {"2.36 3", "2.36 1,0", "2.36 0,0", "2.36 ,", "2.36 x", "2.36 0,", "2.x 0",
                           "3.1 0", "2.36 -1", "2.36", "2.36 0 1"}) {
    dialog_ = ShipDialog("x86_64", stage0_);
    UpToNeed();
    EXPECT_NE(Refusal(std::string("\x1erex-ship need ") + need + "\n"), "taken") << need;
  }
}

TEST_F(ShipDialogTest, AnAnswerBeforeTheQuestionIsNonsense) {
  dialog_.SetBundle(bundle_);
  Feed("\x1erex-ship here x86_64\n");
  EXPECT_NE(Refusal("\x1erex-ship stage 1\n"), "taken") << "stage-0 is not sent yet";
}

}  // namespace
}  // namespace rex
