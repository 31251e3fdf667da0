#include "launcher/tree/join_lines.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "launcher/tree/join_channel.h"
#include "launcher/tree/start_text.h"

namespace rex {
namespace {

TEST(MarkerReader, FindsTheMarkerBehindAnyNoiseInPiecesOfAnySize) {
  const std::string stream =
      "Welcome to n7!\nrex-join is not it \x1e rex\x1e" + MarkerLine("0.1.0");
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    MarkerReader reader;
    for (size_t at = 0; at < stream.size(); at += piece) {
      const auto found = reader.Feed(std::string_view(stream).substr(at, piece));
      ASSERT_TRUE(found.has_value()) << piece;
      ASSERT_EQ(*found, at + piece >= stream.size()) << piece;
    }
    EXPECT_EQ(reader.version(), "0.1.0");
    EXPECT_EQ(reader.noise(), "Welcome to n7!\nrex-join is not it \x1e rex\x1e");
  }
}

TEST(MarkerReader, ABannerWithoutAnEndMayStandRightBeforeIt) {
  MarkerReader reader;
  const auto found = reader.Feed("motd" + MarkerLine("1"));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ(reader.noise(), "motd");
}

TEST(MarkerReader, NoiseWithoutAMarkerIsWhole) {
  MarkerReader reader;
  const std::string said = "This account is currently not available.\n";
  const auto found = reader.Feed(said);
  ASSERT_TRUE(found && !*found);
  EXPECT_EQ(reader.noise(), said);
}

TEST(MarkerReader, EndlessNoiseCostsBoundedMemory) {
  MarkerReader reader;
  for (int i = 0; i < 1000; ++i) {
    const auto found = reader.Feed(std::string(1000, 'x'));
    ASSERT_TRUE(found && !*found);
  }
  EXPECT_EQ(reader.noise().size(), kKeptTextBytes);
}

TEST(MarkerReader, MalformedMarkersAreRefused) {
  for (const std::string& rest :
       {std::string("\n"), std::string("a b\n"), std::string("a\x01\n"), std::string(33, 'v'),
        std::string(33, 'v') + "\n", std::string("1\nmore"), std::string("1\r\n")}) {
    MarkerReader reader;
    const auto found = reader.Feed(std::string(kMarkerStart) + rest);
    ASSERT_FALSE(found.has_value()) << rest;
    EXPECT_EQ(found.error().code, Errc::kProtocol);
  }
}

LinkKey SomeKey() {
  LinkKey key;
  for (size_t i = 0; i < key.bytes.size(); ++i) key.bytes[i] = static_cast<unsigned char>(0x11 * i);
  return key;
}

DvmId SomeDvm() {
  DvmId dvm;
  dvm.bytes.fill(0xa5);
  return dvm;
}

LinkTerms Terms(uint32_t parent, uint32_t child) {
  return {SomeDvm(), NodeId{parent}, NodeId{child}, std::chrono::seconds(120), 3 << 20};
}

TEST(KeyLine, GoldenBytes) {
  const std::string line = KeyLine(SomeKey(), Terms(0, 0x1234));
  EXPECT_EQ(line,
            "KEY 00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f "
            "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 00000000 00001234 00000078 00000c00\n");
  EXPECT_EQ(line.size(), kKeyLineBytes);
}

TEST(KeyLine, RoundTrip) {
  const LinkKey key = SomeKey();
  const auto ticket = ParseKeyLine(KeyLine(key, Terms(3, kMaxNodes - 1)));
  ASSERT_TRUE(ticket.has_value());
  EXPECT_EQ(ticket->key.bytes, key.bytes);
  EXPECT_EQ(ticket->terms.dvm, SomeDvm());
  EXPECT_EQ(ticket->terms.parent, NodeId{3});
  EXPECT_EQ(ticket->terms.child, NodeId{kMaxNodes - 1});
  EXPECT_EQ(ticket->terms.node_timeout, std::chrono::seconds(120));
  EXPECT_EQ(ticket->terms.max_message_bytes, 3u << 20);
}

TEST(KeyLine, EveryTruncationAndEveryDamagedByteIsRefused) {
  const std::string line = KeyLine(SomeKey(), Terms(3, 4));
  for (size_t n = 0; n < line.size(); ++n) EXPECT_FALSE(ParseKeyLine(line.substr(0, n)));
  EXPECT_FALSE(ParseKeyLine(line + "x"));
  for (size_t i = 0; i < line.size(); ++i) {
    std::string damaged = line;
    damaged[i] = 'G';
    EXPECT_FALSE(ParseKeyLine(damaged)) << i;
  }
}

TEST(KeyLine, NumbersHaveBounds) {
  LinkTerms terms = Terms(0, 1);
  terms.node_timeout = std::chrono::seconds(0);
  EXPECT_FALSE(ParseKeyLine(KeyLine(SomeKey(), terms)));
  terms = Terms(0, 1);
  terms.max_message_bytes = 0;
  EXPECT_FALSE(ParseKeyLine(KeyLine(SomeKey(), terms)));
  terms.max_message_bytes = 1025;
  EXPECT_EQ(ParseKeyLine(KeyLine(SomeKey(), terms))->terms.max_message_bytes, 2048u);
  EXPECT_FALSE(ParseKeyLine(KeyLine(SomeKey(), Terms(0, kMaxNodes))));
  EXPECT_FALSE(ParseKeyLine(KeyLine(SomeKey(), Terms(kMaxNodes, 1))));
  EXPECT_FALSE(ParseKeyLine(KeyLine(SomeKey(), Terms(1, 1))));
}

// The joining side, with the parent's end of the channel in the test's hand.
class JoinChannelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto down = MakePipe();
    auto up = MakePipe();
    ASSERT_TRUE(down && up);
    to_child_ = std::move(down->second);
    from_child_ = std::move(up->first);
    channel_ = std::make_unique<JoinChannel>(
        loop_, std::move(down->first), std::move(up->second), "0.1.0", std::chrono::seconds(30),
        [this](JoinTicket ticket, UniqueFd in, UniqueFd) {
          ticket_ = std::move(ticket);
          in_ = std::move(in);
        },
        [this](const Error& error) { error_ = error; });
  }
  void RunUntilDone() {
    for (int turn = 0; turn < 100 && !ticket_ && !error_; ++turn) loop_.RunOnce();
  }

  EventLoop loop_;
  UniqueFd to_child_;
  UniqueFd from_child_;
  std::unique_ptr<JoinChannel> channel_;
  std::optional<JoinTicket> ticket_;
  std::optional<Error> error_;
  UniqueFd in_;
};

TEST_F(JoinChannelTest, GreetsTakesTheKeyAndNotAByteMore) {
  const LinkKey key = SomeKey();
  ASSERT_TRUE(WriteAll(to_child_.get(), KeyLine(key, Terms(0, 1)) + "LINK"));
  loop_.RunOnce();  // the greeting
  RunUntilDone();
  ASSERT_TRUE(ticket_.has_value()) << error_->text;
  EXPECT_EQ(ticket_->key.bytes, key.bytes);
  std::array<char, 64> bytes{};
  EXPECT_EQ(::read(from_child_.get(), bytes.data(), bytes.size()), 16);
  EXPECT_EQ(std::string(bytes.data()), MarkerLine("0.1.0"));
  ASSERT_EQ(::read(in_.get(), bytes.data(), bytes.size()), 4);
  EXPECT_EQ(std::string(bytes.data(), 4), "LINK");
}

TEST_F(JoinChannelTest, AParentThatLeavesIsNamed) {
  to_child_.Reset();
  RunUntilDone();
  ASSERT_TRUE(error_.has_value());
  EXPECT_EQ(error_->code, Errc::kClosed);
}

TEST_F(JoinChannelTest, AnythingElseIsNoKey) {
  loop_.RunOnce();
  ASSERT_TRUE(WriteAll(to_child_.get(), std::string(kKeyLineBytes, 'x')));
  RunUntilDone();
  ASSERT_TRUE(error_.has_value());
  EXPECT_EQ(error_->code, Errc::kProtocol);
}

}  // namespace
}  // namespace rex
