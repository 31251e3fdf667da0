#include <algorithm>

#include "tests/unit/link/handshake_pair.h"

namespace rex::testing {
namespace {

std::string Unhex(std::string_view text) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return out;
}

std::string Text(const Secret& secret) {
  return {reinterpret_cast<const char*>(secret.bytes.data()), secret.bytes.size()};
}

std::string Text(const HandshakeNonce& nonce) {
  return {reinterpret_cast<const char*>(nonce.data()), nonce.size()};
}

std::string Prefix(char number) {
  std::string out = "rexlink";
  out += number;
  out += "1.0";
  out.resize(kHandshakePrefixBytes, '\0');
  return out;
}

// The proofs and keys were computed with another implementation of BLAKE2b (Python's hashlib).
TEST(Handshake, SaysTheGoldenBytes) {
  HandshakePair pair;
  pair.Run();
  ASSERT_EQ(pair.said.size(), 3U);
  const std::string ids("\x03\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00", 12);
  EXPECT_EQ(pair.said[0], Prefix(1) + ids + Text(NonceFrom(0x20)));
  EXPECT_EQ(pair.said[1],
            Prefix(2) + Text(NonceFrom(0x80)) +
                Unhex("d5daa262f395518fe5b1ac712c8e5bb29fd27c103857873e8c0652158f8f5b92"));
  EXPECT_EQ(pair.said[2],
            Prefix(3) + Unhex("9298ea5186875d31dfbde60c215c7e0100277eef84871200e70385733ae9ae16"));
  EXPECT_EQ(pair.said[0].size(), kHello1Bytes);
  EXPECT_EQ(pair.said[1].size(), kHello2Bytes);
  EXPECT_EQ(pair.said[2].size(), kHello3Bytes);
  const SessionKeys keys = pair.child.handshake->TakeKeys();
  EXPECT_EQ(Text(keys.down),
            Unhex("925fd3d502f8c2496ab12d841919a37d703666e978011ed82149c2c995e0601e"));
  EXPECT_EQ(Text(keys.up),
            Unhex("5f6d6a4d1121558f2fd0f2232768f8cb97ddbbf32a2fb46f15964192f045aa46"));
}

TEST(Handshake, BothEndsGetTheSameKeys) {
  HandshakePair pair;
  pair.Run();
  ASSERT_TRUE(pair.done());
  const SessionKeys parent = pair.parent.handshake->TakeKeys();
  const SessionKeys child = pair.child.handshake->TakeKeys();
  EXPECT_EQ(parent.down.bytes, child.down.bytes);
  EXPECT_EQ(parent.up.bytes, child.up.bytes);
  EXPECT_NE(parent.down.bytes, parent.up.bytes);
}

TEST(Handshake, FreshNoncesGiveFreshKeys) {
  HandshakePair first;
  first.Run();
  for (const bool parents : {true, false}) {
    HandshakePair second;
    (parents ? second.parent : second.child).nonce = MakeHandshakeNonce();
    second.Run();
    ASSERT_TRUE(second.done());
    EXPECT_NE(first.child.handshake->TakeKeys().down.bytes,
              second.child.handshake->TakeKeys().down.bytes);
  }
}

TEST(Handshake, TakesItsBytesOneByOne) {
  HandshakePair pair;
  pair.Run(1);
  EXPECT_TRUE(pair.done());
  EXPECT_EQ(pair.said.size(), 3U);
}

TEST(Handshake, WaitsForTheRestOfEveryTruncatedMessage) {
  HandshakePair whole;
  whole.Run();
  for (size_t number = 0; number < 3; ++number) {
    for (size_t bytes = 0; bytes < whole.said[number].size(); ++bytes) {
      HandshakePair pair;
      pair.change = [&](size_t i, std::string& message) {
        if (i == number) message.resize(bytes);
      };
      pair.Run();
      const HandshakeEnd& reader = number == 1 ? pair.child : pair.parent;
      EXPECT_FALSE(reader.done());
      EXPECT_FALSE(reader.error.has_value());
      EXPECT_GT(reader.handshake->wanted_bytes(), 0U);
      EXPECT_EQ(pair.said.size(), number + 1) << "it answered half a message";
    }
  }
}

TEST(Handshake, NoFlippedBitGoesUnnoticed) {
  HandshakePair whole;
  whole.Run();
  for (size_t number = 0; number < 3; ++number) {
    for (size_t bit = 0; bit < 8 * whole.said[number].size(); ++bit) {
      HandshakePair pair;
      pair.change = [&](size_t i, std::string& message) {
        if (i == number) message[bit / 8] = static_cast<char>(message[bit / 8] ^ (1 << (bit % 8)));
      };
      pair.Run();
      EXPECT_FALSE(pair.parent.done()) << "message " << number << " bit " << bit;
      EXPECT_TRUE(pair.parent.error || pair.child.error);
      if (number < 2) {
        EXPECT_FALSE(pair.child.done());
      }
    }
  }
}

// Runs the pair and expects that `end` refuses with a text that has all of `words`.
void ExpectRefusal(HandshakePair& pair, const HandshakeEnd& end,
                   const std::vector<std::string>& words) {
  pair.Run();
  EXPECT_FALSE(pair.parent.done());
  ASSERT_TRUE(end.error.has_value());
  EXPECT_FALSE(end.done());
  EXPECT_EQ(end.error->code, Errc::kProtocol);
  EXPECT_EQ(end.handshake->wanted_bytes(), 0U);
  for (const std::string& word : words) {
    EXPECT_NE(end.error->text.find(word), std::string::npos) << end.error->text;
  }
}

TEST(Handshake, AnotherKeyIsRefused) {
  HandshakePair pair;
  pair.parent.key = KeyOf(8);
  ExpectRefusal(pair, pair.child, {"node 0", "does not prove"});
}

TEST(Handshake, AnotherDvmIsRefused) {
  HandshakePair pair;
  pair.parent.params.dvm = DvmOf(8);
  ExpectRefusal(pair, pair.child, {"node 0", "does not prove"});
}

TEST(Handshake, AChildThatCannotProveItselfIsRefused) {
  HandshakePair pair;
  pair.change = [](size_t number, std::string& message) {
    if (number == 2) message.replace(kHandshakePrefixBytes, 32, 32, 'x');
  };
  ExpectRefusal(pair, pair.parent, {"node 3", "does not prove"});
}

TEST(Handshake, AChildThatLooksForAnotherParentIsRefused) {
  HandshakePair pair;
  pair.child.params.peer = NodeId{5};
  ExpectRefusal(pair, pair.parent, {"looks for node 5", "this is node 0"});
}

TEST(Handshake, AnotherChildIsRefused) {
  HandshakePair pair;
  pair.child.params.self = NodeId{4};
  ExpectRefusal(pair, pair.parent, {"node 4", "not awaited"});
}

TEST(Handshake, AParentWithAListTakesThoseOnIt) {
  for (const uint32_t id : {3U, 4U, 5U}) {
    HandshakePair pair;
    pair.parent.params.wanted = [](NodeId child, LinkStream) {
      return Index(child) == 3 || Index(child) == 4;
    };
    pair.parent.params.peer = NodeId{};
    pair.child.params.self = NodeId{id};
    pair.Run();
    EXPECT_EQ(pair.done(), id != 5);
    if (pair.done()) {
      EXPECT_EQ(pair.parent.handshake->peer(), NodeId{id});
    }
    if (!pair.done()) {
      EXPECT_NE(pair.parent.error->text.find("node 5"), std::string::npos);
    }
  }
}

TEST(Handshake, AnotherStreamIsRefused) {
  HandshakePair pair;
  pair.child.params.stream = LinkStream::kChannel;
  ExpectRefusal(pair, pair.parent, {"stream 0", "instead of 1"});
}

TEST(Handshake, AnotherVersionIsRefusedByBothWithBothNamed) {
  for (const bool parents : {true, false}) {
    HandshakePair pair;
    (parents ? pair.parent : pair.child).params.version = "1.1-rc2";
    ExpectRefusal(pair, pair.parent, {"1.1-rc2", "1.0"});
    ASSERT_TRUE(pair.child.error.has_value());
    EXPECT_NE(pair.child.error->text.find("1.1-rc2"), std::string::npos);
    EXPECT_NE(pair.child.error->text.find("1.0"), std::string::npos);
  }
}

TEST(Handshake, AVersionOfFullLengthIsTaken) {
  HandshakePair pair;
  pair.parent.params.version = pair.child.params.version = std::string(32, 'v');
  pair.Run();
  EXPECT_TRUE(pair.done());
}

TEST(Handshake, AVersionThatIsNoTextIsNotRepeated) {
  for (const std::string& version :
       {std::string("1\n0"), std::string("1.0\0x", 5), std::string()}) {
    HandshakePair pair;
    pair.change = [&version](size_t number, std::string& message) {
      if (number == 0) message.replace(8, 32, version + std::string(32 - version.size(), '\0'));
    };
    ExpectRefusal(pair, pair.parent, {"sent no version"});
  }
}

TEST(Handshake, AStrangerIsRefusedAfterFortyBytes) {
  HandshakeEnd parent(LinkRole::kParent);
  parent.Start();
  parent.Feed("GET / HTTP/1.1\r\nHost: n1\r\nUser-Agent: xyz");
  ASSERT_TRUE(parent.error.has_value());
  EXPECT_NE(parent.error->text.find("does not speak"), std::string::npos);
  EXPECT_EQ(parent.handshake->TakeOutput(), "");
}

TEST(Handshake, TwoChildrenRefuseEachOther) {
  HandshakeEnd one(LinkRole::kChild);
  HandshakeEnd other(LinkRole::kChild);
  one.Start();
  other.Start();
  one.Feed(other.handshake->TakeOutput());
  ASSERT_TRUE(one.error.has_value());
  EXPECT_NE(one.error->text.find("child too"), std::string::npos);
}

TEST(Handshake, AParentSaysNothingFirst) {
  HandshakeEnd parent(LinkRole::kParent);
  parent.Start();
  EXPECT_EQ(parent.handshake->TakeOutput(), "");
}

TEST(Handshake, AReflectedMessageIsRefused) {
  HandshakePair pair;
  pair.Run();
  HandshakeEnd child(LinkRole::kChild);
  child.Start();
  child.Feed(child.handshake->TakeOutput());
  EXPECT_TRUE(child.error.has_value());
  HandshakeEnd parent(LinkRole::kParent);
  parent.Start();
  parent.Feed(pair.said[0]);
  parent.Feed(parent.handshake->TakeOutput());
  EXPECT_TRUE(parent.error.has_value());
  EXPECT_FALSE(parent.done());
}

// The parent's proof, sent back as if it were the child's.
TEST(Handshake, AReflectedProofIsRefused) {
  HandshakePair pair;
  pair.change = [&pair](size_t number, std::string& message) {
    if (number == 2) message = message.substr(0, 40) + pair.said[1].substr(72);
  };
  ExpectRefusal(pair, pair.parent, {"does not prove"});
}

TEST(Handshake, AnOldConversationIsRefusedByBothEnds) {
  HandshakePair old;
  old.Run();
  HandshakeEnd parent(LinkRole::kParent);
  parent.nonce = MakeHandshakeNonce();
  parent.Start();
  parent.Feed(old.said[0]);
  parent.Feed(old.said[2]);
  EXPECT_TRUE(parent.error.has_value());
  EXPECT_FALSE(parent.done());
  HandshakeEnd child(LinkRole::kChild);
  child.nonce = MakeHandshakeNonce();
  child.Start();
  child.Feed(old.said[1]);
  EXPECT_TRUE(child.error.has_value());
  EXPECT_FALSE(child.done());
}

TEST(Handshake, AHandshakeOfTheChannelIsNoneOfTcp) {
  HandshakePair channel;
  channel.parent.params.stream = channel.child.params.stream = LinkStream::kChannel;
  channel.Run();
  HandshakePair tcp;
  tcp.Run();
  ASSERT_TRUE(channel.done() && tcp.done());
  EXPECT_NE(channel.said[1], tcp.said[1]);
  EXPECT_NE(channel.child.handshake->TakeKeys().up.bytes, tcp.child.handshake->TakeKeys().up.bytes);
}

// ---- several kinds of streams at one port

// A parent that asks, with a child that opens `stream`.
struct AskedPair : HandshakePair {
  explicit AskedPair(LinkStream stream) {
    parent.params.peer = NodeId{};
    parent.params.stream = LinkStream::kChannel;
    parent.params.wanted = [this](NodeId node, LinkStream which) {
      asked.emplace_back(node, which);
      return which == wanted;
    };
    child.params.stream = wanted = stream;
  }
  std::vector<std::pair<NodeId, LinkStream>> asked;
  LinkStream wanted;
};

TEST(Handshake, AParentThatAsksLearnsNodeAndStream) {
  for (const LinkStream stream : {LinkStream::kTcp, LinkStream::kUplink}) {
    AskedPair pair(stream);
    pair.Run();
    ASSERT_TRUE(pair.done());
    EXPECT_EQ(pair.parent.handshake->stream(), stream);
    EXPECT_EQ(pair.parent.handshake->peer(), NodeId{3});
    EXPECT_EQ(pair.asked, (std::vector{std::pair(NodeId{3}, stream)}));
    EXPECT_EQ(pair.parent.handshake->TakeKeys().up.bytes,
              pair.child.handshake->TakeKeys().up.bytes);
  }
}

TEST(Handshake, WhatIsWantedIsDecidedByTheStreamToo) {
  for (const LinkStream stream : {LinkStream::kTcp, LinkStream::kUplink}) {
    AskedPair pair(stream);
    pair.wanted = stream == LinkStream::kTcp ? LinkStream::kUplink : LinkStream::kTcp;
    ExpectRefusal(pair, pair.parent, {"node 3", "not awaited"});
    EXPECT_EQ(pair.asked.size(), 1U);
  }
}

TEST(Handshake, NoOtherStreamsComeToAPort) {
  for (const uint32_t stream : {0U, 3U, 4U, 255U}) {
    AskedPair pair(static_cast<LinkStream>(stream));
    ExpectRefusal(pair, pair.parent, {"opens stream " + std::to_string(stream)});
    EXPECT_TRUE(pair.asked.empty());
  }
  AskedPair pair(LinkStream::kUplink);
  pair.change = [](size_t number, std::string& message) {
    if (number == 0) message[kHandshakePrefixBytes + 9] = 1;  // 0x102
  };
  ExpectRefusal(pair, pair.parent, {"opens stream 258"});
}

TEST(Handshake, AnUplinkIsRefusedWhereOneStreamIsAwaited) {
  HandshakePair pair;
  pair.child.params.stream = LinkStream::kUplink;
  ExpectRefusal(pair, pair.parent, {"stream 2", "instead of 1"});
}

// Somebody on the way makes one kind of another.
TEST(Handshake, AStreamThatWasChangedOnTheWayIsRefused) {
  for (const bool to_uplink : {true, false}) {
    const LinkStream from = to_uplink ? LinkStream::kTcp : LinkStream::kUplink;
    AskedPair pair(from);
    pair.wanted = to_uplink ? LinkStream::kUplink : LinkStream::kTcp;
    pair.change = [to_uplink](size_t number, std::string& message) {
      if (number == 0) message[kHandshakePrefixBytes + 8] = to_uplink ? 2 : 1;
    };
    ExpectRefusal(pair, pair.child, {"does not prove"});
    EXPECT_EQ(pair.asked.size(), 1U);
  }
}

TEST(Handshake, AnUplinksOldConversationIsRefused) {
  AskedPair old(LinkStream::kUplink);
  old.Run();
  ASSERT_TRUE(old.done());
  AskedPair now(LinkStream::kUplink);
  now.parent.nonce = MakeHandshakeNonce();
  now.parent.Start();
  now.parent.Feed(old.said[0]);
  EXPECT_FALSE(now.parent.error);
  now.parent.Feed(old.said[2]);
  ASSERT_TRUE(now.parent.error.has_value());
  EXPECT_FALSE(now.parent.done());
  // And what a link said proves nothing for an uplink, with the same nonces.
  HandshakePair link;
  link.Run();
  AskedPair uplink(LinkStream::kUplink);
  uplink.parent.Start();
  uplink.parent.Feed(old.said[0]);
  uplink.parent.Feed(link.said[2]);
  EXPECT_TRUE(uplink.parent.error.has_value());
}

TEST(Handshake, KeysOfEveryStreamAreItsOwn) {
  std::vector<std::array<unsigned char, 32>> keys;
  for (const LinkStream stream : {LinkStream::kChannel, LinkStream::kTcp, LinkStream::kUplink}) {
    HandshakePair pair;
    pair.parent.params.stream = pair.child.params.stream = stream;
    pair.Run();
    ASSERT_TRUE(pair.done());
    const SessionKeys both = pair.child.handshake->TakeKeys();
    for (const Secret* key : {&both.down, &both.up}) {
      EXPECT_EQ(std::count(keys.begin(), keys.end(), key->bytes), 0);
      keys.push_back(key->bytes);
    }
  }
}

TEST(LinkKey, IsRandomAndWipedWhenMovedFrom) {
  LinkKey key = MakeLinkKey();
  const auto bytes = key.bytes;
  EXPECT_NE(bytes, MakeLinkKey().bytes);
  const LinkKey moved = std::move(key);
  EXPECT_EQ(moved.bytes, bytes);
  EXPECT_EQ(key.bytes, LinkKey().bytes);  // NOLINT(bugprone-use-after-move): that is the claim
  EXPECT_FALSE(MakeDvmId() == MakeDvmId());
}

TEST(LinkKey, IsWipedWhenItDies) {
  alignas(LinkKey) std::array<unsigned char, sizeof(LinkKey)> place;
  auto* key = new (place.data()) LinkKey(MakeLinkKey());
  key->~LinkKey();
  EXPECT_EQ(place, (std::array<unsigned char, sizeof(LinkKey)>{}));
}

TEST(LinkKey, WipeLeavesZeroesBehind) {
  std::string text = "secret";
  const char* bytes = text.data();
  Wipe(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(std::string(bytes + 1, 5), std::string(5, '\0'));
}

}  // namespace
}  // namespace rex::testing
