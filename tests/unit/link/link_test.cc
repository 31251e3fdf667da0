#include "launcher/link/link.h"

#include "tests/unit/link/link_pair.h"

namespace rex::testing {
namespace {

const Message kHello{1, FrameClass::kControl, "hello"};

TEST(Link, CarriesMessagesBothWays) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  pair.parent.link->Send(1, FrameClass::kControl, "hello");
  pair.child.link->Send(255, FrameClass::kImage, std::string(100'000, 'x'));
  ASSERT_TRUE(
      pair.Until([&] { return !pair.parent.messages.empty() && !pair.child.messages.empty(); }));
  EXPECT_EQ(pair.child.messages[0], kHello);
  EXPECT_EQ(pair.parent.messages[0], Message(255, FrameClass::kImage, std::string(100'000, 'x')));
}

TEST(Link, WhatIsSentBeforeItIsUpIsQueued) {
  LinkPair pair;
  pair.Open();
  pair.parent.link->Send(1, FrameClass::kControl, "hello");
  EXPECT_EQ(pair.parent.link->QueuedBytes(), 5 + kFrameHeaderBytes);
  ASSERT_TRUE(pair.Until([&] { return !pair.child.messages.empty(); }));
  EXPECT_EQ(pair.child.messages[0], kHello);
}

TEST(Link, MovesToTcp) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  auto streams = pair.Dial();
  pair.parent.link->AdoptTcp(std::move(*streams.parent));
  pair.child.link->AdoptTcp(std::move(*streams.child));
  ASSERT_TRUE(pair.Until([&] { return pair.MovedBoth(); }));
  pair.parent.link->Send(1, FrameClass::kControl, "hello");
  pair.child.link->Send(1, FrameClass::kControl, "hello");
  ASSERT_TRUE(pair.Until([&] {
    return !pair.parent.messages.empty() && !pair.child.messages.empty();
  }));
  EXPECT_EQ(pair.parent.moved, std::vector<bool>{true});
  EXPECT_EQ(pair.child.moved, std::vector<bool>{true});
}

}  // namespace
}  // namespace rex::testing
