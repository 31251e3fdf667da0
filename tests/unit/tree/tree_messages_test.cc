#include "launcher/tree/tree_messages.h"

#include <gtest/gtest.h>

#include <functional>

#include "launcher/tree/tree.pb.h"
#include "tests/unit/tree/tree_samples.h"

namespace rex {
namespace {

using testing::SampleClock;
using testing::SampleFacts;
using testing::SampleFailure;
using testing::SampleLost;
using testing::SampleWelcome;

TEST(Route, GoldenBytes) {
  EXPECT_EQ(EncodeRoute({NodeId{0}, NodeId{0x1234}}, "xy"),
            std::string("\0\0\0\0\x34\x12\0\0xy", 10));
  EXPECT_EQ(EncodeRoute({NodeId{3}, std::nullopt}, ""), std::string("\3\0\0\0\xff\xff\xff\xff", 8));
}

TEST(Route, RoundTripAndBounds) {
  for (const Route& route : {Route{NodeId{0}, NodeId{1}}, Route{NodeId{kMaxNodes - 1}, NodeId{0}},
                             Route{NodeId{7}, std::nullopt}}) {
    const auto decoded = DecodeRoute(EncodeRoute(route, "payload"));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, route);
  }
  EXPECT_FALSE(DecodeRoute(EncodeRoute({NodeId{kMaxNodes}, NodeId{1}}, "")));
  EXPECT_FALSE(DecodeRoute(EncodeRoute({NodeId{1}, NodeId{kMaxNodes}}, "")));
  EXPECT_FALSE(DecodeRoute(EncodeRoute({NodeId{1}, NodeId{1}}, "")));
  const std::string whole = EncodeRoute({NodeId{1}, NodeId{2}}, "");
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(DecodeRoute(whole.substr(0, n)));
}

// Wire to type to wire gives the same bytes; a cut message is malformed, or good and shorter.
template <typename T>
void CheckRoundTrip(const T& message) {
  const std::string wire = ToWire(message);
  const auto back = TreeFromWire<T>(wire);
  ASSERT_TRUE(back.has_value()) << back.error().text;
  EXPECT_EQ(ToWire(*back), wire);
  for (size_t n = 0; n < wire.size(); ++n) {
    const auto cut = TreeFromWire<T>(wire.substr(0, n));
    if (cut) {
      EXPECT_LT(ToWire(*cut).size(), wire.size());
    } else {
      EXPECT_EQ(cut.error().code, Errc::kProtocol);
    }
  }
  EXPECT_FALSE(TreeFromWire<T>("\xff\xff\xff"));
}

LinkKey SampleKey() {
  LinkKey key;
  for (size_t i = 0; i < key.bytes.size(); ++i) key.bytes[i] = static_cast<unsigned char>(i);
  return key;
}

BroadcastTicket SampleTicket(const LinkKey& key) {
  BroadcastTicket m;
  m.version = "0.1.0";
  m.key = &key;
  m.dvm.bytes.fill(9);
  m.parent_name = "login";
  m.port = 40001;
  m.addresses = {"192.0.2.1", "2001:db8::1"};
  m.nodes = {{NodeId{1}, "n1", "", 0}, {NodeId{2}, "n2", "", 0}};
  m.node_timeout = std::chrono::seconds(121);
  m.max_message_bytes = 1 << 20;
  return m;
}

TEST(TreeMessages, TicketKeepsKeyAndEveryField) {
  const LinkKey key = SampleKey();
  const BroadcastTicket m = SampleTicket(key);
  const auto back = TreeFromWire<ReceivedTicket>(ToWire(m));
  ASSERT_TRUE(back.has_value()) << back.error().text;
  EXPECT_EQ(back->key.bytes, key.bytes);
  BroadcastTicket again = back->ticket;
  again.key = &back->key;
  EXPECT_EQ(ToWire(again), ToWire(m));
}

TEST(TreeMessages, TicketHasBounds) {
  const LinkKey key = SampleKey();
  const auto refused = [&](const char* field, const std::function<void(BroadcastTicket&)>& change) {
    BroadcastTicket m = SampleTicket(key);
    change(m);
    const auto back = TreeFromWire<ReceivedTicket>(ToWire(m));
    ASSERT_FALSE(back.has_value()) << field;
    EXPECT_EQ(back.error().code, Errc::kProtocol);
    EXPECT_NE(back.error().text.find(field), std::string::npos) << back.error().text;
  };
  refused("Broadcast.version", [](BroadcastTicket& m) { m.version = ""; });
  refused("Broadcast.version", [](BroadcastTicket& m) { m.version = std::string(33, 'v'); });
  refused("Broadcast.parent_name", [](BroadcastTicket& m) { m.parent_name = ""; });
  refused("Broadcast.port", [](BroadcastTicket& m) { m.port = 0; });
  refused("Broadcast.addresses", [](BroadcastTicket& m) { m.addresses.resize(65, "::1"); });
  refused("Broadcast.nodes", [](BroadcastTicket& m) { m.nodes[0].id = NodeId{0}; });
  refused("Broadcast.node_timeout_s",
          [](BroadcastTicket& m) { m.node_timeout = std::chrono::seconds(0); });
  refused("Broadcast.max_message_bytes", [](BroadcastTicket& m) { m.max_message_bytes = 0; });
  EXPECT_FALSE(TreeFromWire<ReceivedTicket>("\xff\xff\xff"));
  EXPECT_FALSE(TreeFromWire<ReceivedTicket>(""));
}

TEST(TreeMessages, RoundTripsAndTruncations) {
  CheckRoundTrip(SampleWelcome());
  CheckRoundTrip(SampleFacts());
  CheckRoundTrip(SampleFailure());
  CheckRoundTrip(SampleLost());
  CheckRoundTrip(NodeLate{NodeId{9}, true});
  CheckRoundTrip(SampleClock());
  CheckRoundTrip(TreeNotice{"node n1 can't connect back"});
}

TEST(TreeMessages, WelcomeKeepsEveryField) {
  const Welcome m = SampleWelcome();
  const auto back = TreeFromWire<Welcome>(ToWire(m));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->name, "n1");
  EXPECT_EQ(back->parent_name, "node0");
  EXPECT_EQ(back->nodes, 7u);
  EXPECT_EQ(back->port, 40001);
  EXPECT_EQ(back->addresses, m.addresses);
  ASSERT_EQ(back->below.size(), 2u);
  EXPECT_EQ(back->below[0].id, NodeId{4});
  EXPECT_EQ(back->below[0].user, "eva");
  EXPECT_EQ(back->below[0].port, 2222);
  EXPECT_EQ(back->below[1].name, "[::1]");
  EXPECT_EQ(back->options.kind, BootstrapKind::kSsh);
  EXPECT_EQ(back->options.ssh, m.options.ssh);
  EXPECT_EQ(back->options.rexd, m.options.rexd);
  EXPECT_EQ(back->options.ship, m.options.ship);
  EXPECT_EQ(back->options.looks, m.options.looks);
  EXPECT_EQ(back->options.start_timeout, m.options.start_timeout);
  EXPECT_EQ(back->options.node_timeout, m.options.node_timeout);
  EXPECT_EQ(back->options.max_message_bytes, m.options.max_message_bytes);
  EXPECT_TRUE(back->options.verbose);
  EXPECT_EQ(back->options.log_level, "info");
}

TEST(TreeMessages, LossesKeepTheirKindAndAllNodes) {
  const auto back = TreeFromWire<NodesLost>(ToWire(SampleLost()));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->nodes, SampleLost().nodes);
  EXPECT_EQ(back->why.code, Errc::kTimeout);
  EXPECT_EQ(back->why.text, "node n1: silence");
  const NodesLost closed{{NodeId{1}}, Error{Errc::kClosed, "x"}};
  EXPECT_EQ(TreeFromWire<NodesLost>(ToWire(closed))->why.code, Errc::kClosed);
}

// A sample with one field out of its bounds is refused, and the text names the field.
template <typename T>
void ExpectBad(T message, const std::string& field) {
  const auto back = TreeFromWire<T>(ToWire(message));
  ASSERT_FALSE(back.has_value()) << field;
  EXPECT_EQ(back.error().code, Errc::kProtocol);
  EXPECT_NE(back.error().text.find(field), std::string::npos) << back.error().text;
}

template <typename Change>
void ExpectBadWelcome(const std::string& field, Change change) {
  Welcome m = SampleWelcome();
  change(m);
  ExpectBad(m, field);
}

TEST(TreeMessages, WelcomeHasBounds) {
  const std::string nul("a\0b", 3);
  const std::string long_text(kMaxTreeTextBytes + 1, 'x');
  ExpectBadWelcome("Welcome.name", [](Welcome& m) { m.name = ""; });
  ExpectBadWelcome("Welcome.name", [&](Welcome& m) { m.name = long_text; });
  ExpectBadWelcome("Welcome.parent_name", [&](Welcome& m) { m.parent_name = nul; });
  ExpectBadWelcome("Welcome.nodes", [](Welcome& m) { m.nodes = 1; });
  ExpectBadWelcome("Welcome.nodes", [](Welcome& m) { m.nodes = kMaxNodes + 1; });
  ExpectBadWelcome("Welcome.addresses", [](Welcome& m) { m.addresses = {""}; });
  ExpectBadWelcome("Welcome.addresses", [](Welcome& m) { m.addresses = {std::string(65, '1')}; });
  ExpectBadWelcome("Welcome.addresses",
                   [](Welcome& m) { m.addresses.assign(kMaxParentAddresses + 1, "::1"); });
  ExpectBadWelcome("Welcome.below", [](Welcome& m) { m.below.assign(8, m.below[0]); });
  ExpectBadWelcome("TreeNode.id", [](Welcome& m) { m.below[0].id = NodeId{kMaxNodes}; });
  ExpectBadWelcome("TreeNode.name", [](Welcome& m) { m.below[0].name = ""; });
  ExpectBadWelcome("TreeNode.user", [&](Welcome& m) { m.below[0].user = nul; });
  ExpectBadWelcome("Welcome.ssh", [&](Welcome& m) { m.options.ssh = {nul}; });
  ExpectBadWelcome("Welcome.ssh", [](Welcome& m) { m.options.ssh.assign(257, "x"); });
  ExpectBadWelcome("Welcome.rexd", [&](Welcome& m) { m.options.rexd = nul; });
  ExpectBadWelcome("Welcome.start_timeout_s",
                   [](Welcome& m) { m.options.start_timeout = std::chrono::seconds(0); });
  ExpectBadWelcome("Welcome.node_timeout_s",
                   [](Welcome& m) { m.options.node_timeout = std::chrono::seconds(0); });
  ExpectBadWelcome("Welcome.log_level", [&](Welcome& m) { m.options.log_level = nul; });
  ExpectBadWelcome("Welcome.max_message_bytes",
                   [](Welcome& m) { m.options.max_message_bytes = 0; });
}

TEST(TreeMessages, PortsHaveBounds) {
  pb::Welcome m;
  ASSERT_TRUE(m.ParseFromString(ToWire(SampleWelcome())));
  m.set_port(65536);
  EXPECT_EQ(TreeFromWire<Welcome>(m.SerializeAsString()).error().text, "bad field Welcome.port");
  m.set_port(1);
  m.mutable_below(0)->set_port(65536);
  EXPECT_EQ(TreeFromWire<Welcome>(m.SerializeAsString()).error().text, "bad field TreeNode.port");
}

TEST(TreeMessages, ReportsHaveBounds) {
  AgentFacts facts = SampleFacts();
  facts.hostname = "";
  ExpectBad(facts, "NodeReady.hostname");
  facts = SampleFacts();
  facts.cores = 0;
  ExpectBad(facts, "NodeReady.cores");
  facts.cores = (1 << 20) + 1;
  ExpectBad(facts, "NodeReady.cores");
  facts = SampleFacts();
  facts.pmix_version = std::string("\0", 1);
  ExpectBad(facts, "NodeReady.pmix_version");
  facts = SampleFacts();
  facts.hardware.assign(kMaxHardwareTextBytes + 1, 'x');
  ExpectBad(facts, "NodeReady.hardware");
  facts = SampleFacts();
  facts.foreign = UINT32_MAX;
  ExpectBad(facts, "NodeReady.foreign");
  facts = SampleFacts();
  facts.capacity = UINT32_MAX;
  ExpectBad(facts, "NodeReady.foreign");
  StartFailure failure = SampleFailure();
  failure.node = NodeId{kMaxNodes};
  ExpectBad(failure, "StartFailed.node");
  failure = SampleFailure();
  failure.name = "";
  ExpectBad(failure, "StartFailed.name");
  ExpectBad(NodesLost{{}, Error{Errc::kClosed, ""}}, "NodesLost.nodes");
  ExpectBad(NodesLost{{NodeId{kMaxNodes}}, Error{Errc::kClosed, ""}}, "NodesLost.nodes");
  ExpectBad(NodesLost{{NodeId{1}}, Error{Errc::kClosed, std::string("\0", 1)}}, "NodesLost.text");
  ExpectBad(NodeLate{NodeId{kMaxNodes}, true}, "NodeLate.node");
  ClockReport clock = SampleClock();
  clock.offset.error = std::chrono::microseconds(-1);
  ExpectBad(clock, "ClockReport.error_us");
  clock = SampleClock();
  clock.offset.offset = std::chrono::microseconds((int64_t{1} << 53) + 1);
  ExpectBad(clock, "ClockReport.offset_us");
  clock = SampleClock();
  clock.node = NodeId{kMaxNodes};
  ExpectBad(clock, "ClockReport.node");
  ExpectBad(TreeNotice{std::string("\0", 1)}, "TreeNotice.text");
}

TEST(TreeMessages, LongTextsOfOthersAreCutRatherThanRefused) {
  StartFailure failure = SampleFailure();
  failure.cause = std::string(2 * kMaxTreeTextBytes, 'x');
  const auto back = TreeFromWire<StartFailure>(ToWire(failure));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->cause.size(), kMaxTreeTextBytes);
}

}  // namespace
}  // namespace rex
