// Series that are the host's own, and its uplink: the test is the agent and the agent above it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "launcher/exchange/exchange_messages.h"
#include "launcher/exchange/exchange_port.h"
#include "launcher/link/link.h"
#include "tests/integration/pmix_host/host_fixture.h"

namespace rex::pmix {
namespace {

constexpr uint32_t kHere = 5;
constexpr uint32_t kAbove = 2;
const char* const kAboveName = "node the-one-above";

void ExpectAllGood(const std::vector<RankResult>& results) {
  for (const auto& r : results) {
    EXPECT_TRUE(WIFEXITED(r.wait_status) && WEXITSTATUS(r.wait_status) == 0)
        << "rank " << r.rank << " status " << r.wait_status << " stderr: " << r.err;
  }
}

// Both ends of a TCP connection over loopback.
std::pair<UniqueFd, UniqueFd> TcpPair() {
  UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* const address = reinterpret_cast<sockaddr*>(&at);
  EXPECT_EQ(::bind(listening.get(), address, sizeof at), 0);
  EXPECT_EQ(::listen(listening.get(), 1), 0);
  EXPECT_EQ(::getsockname(listening.get(), address, &size), 0);
  UniqueFd one(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(one.get(), address, sizeof at), 0);
  UniqueFd other(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  for (const int fd : {one.get(), other.get()}) EXPECT_EQ(::fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  return {std::move(one), std::move(other)};
}

class HostUplink : public HostFixture {
 protected:
  void TearDown() override {
    above_.reset();
    HostFixture::TearDown();
  }

  // The series of all fences of `name`'s ranks.
  CollectiveHeader Series(const std::string& name, uint64_t sequence, std::vector<NodeId> nodes) {
    return {CollectiveKind::kFence, {{name, kRankWildcard, 1}}, sequence, std::move(nodes), 0};
  }
  void Give(const CollectiveHeader& next, uint64_t max_bytes = 1 << 30) {
    Send(SeriesGiven{kHere, kAbove, max_bytes, EncodeCollective(next, 0)});
  }
  // A series that the node above has a part in as well.
  void GiveWide(const std::string& name, uint64_t sequence = 0) {
    Give(Series(name, sequence, {NodeId{kAbove}, NodeId{kHere}}));
  }

  UseUplink Uplink(std::chrono::seconds node_timeout = std::chrono::seconds(60)) const {
    UseUplink uplink{kHere, kAbove, kAboveName, {}, {}, node_timeout, 1 << 30};
    uplink.key_down.fill(3);
    uplink.key_up.fill(4);
    return uplink;
  }
  // The host gets one end of a connection; the other is the link of the node above.
  void GiveUplink() {
    auto pair = TcpPair();
    host_.SendUplink(Uplink(), std::move(pair.first));
    LinkParams params;
    params.role = LinkRole::kParent;
    params.self = NodeId{kAbove};
    params.peer = NodeId{kHere};
    params.max_message_bytes = 1 << 30;
    AuthenticatedStream stream;
    stream.socket = std::move(pair.second);
    stream.keys.down.bytes.fill(3);
    stream.keys.up.bytes.fill(4);
    Link::Handlers handlers;
    handlers.on_message = [this](uint8_t kind, FrameClass, std::string payload) {
      EXPECT_EQ(kind, static_cast<uint8_t>(ExchangeMessage::kCollectiveUp));
      auto up = DecodeCollective(std::move(payload));
      ASSERT_TRUE(up) << up.error().text;
      ups_.push_back(*std::move(up));
      if (on_up_) on_up_(ups_.back());
    };
    handlers.on_closed = [this](const Error& why) { above_closed_ = why.text; };
    above_ =
        std::make_unique<Link>(loop_, std::move(params), std::move(stream), std::move(handlers));
  }
  // What goes down for what came up: the same data, as if nobody else had any.
  static std::string DownFor(const WithBulk<CollectiveHeader>& up, int32_t status = kSuccess) {
    CollectiveHeader header = up.header;
    header.status = status;
    const std::string_view data = status == kSuccess ? up.bulk.view() : std::string_view();
    return EncodeCollective(header, data.size()) + std::string(data);
  }
  void SendDown(std::string payload) {
    above_->Send(static_cast<uint8_t>(ExchangeMessage::kCollectiveDown), FrameClass::kData,
                 std::move(payload));
  }
  void AnswerAll() {
    on_up_ = [this](const auto& up) { SendDown(DownFor(up)); };
  }
  // A job of `ranks` here and a host with an uplink that owns its fences.
  JobRegistered StartWide(const std::string& name, uint32_t ranks, uint64_t sequence = 0) {
    StartHost();
    auto job = Register(MakeJob(name, {ranks}));
    EXPECT_EQ(job.status, kSuccess) << job.error;
    GiveUplink();
    GiveWide(name, sequence);
    return job;
  }
  std::string AwaitLost() {
    Until([this] { return !Seen<UplinkLost>().empty() || closed(); }, "UplinkLost");
    return Seen<UplinkLost>().empty() ? "" : Seen<UplinkLost>()[0].why;
  }
  // The host ends by itself; its wait status.
  int AwaitEnd() {
    int status = -1;
    Until([this] { return closed(); }, "the host's end");
    host_.Reap(&status);
    return status;
  }

  std::unique_ptr<Link> above_;
  std::vector<WithBulk<CollectiveHeader>> ups_;
  std::function<void(const WithBulk<CollectiveHeader>&)> on_up_;
  std::string above_closed_;
};

// ---- a node's own

TEST_F(HostUplink, ANodesOwnFencesDoNotComeToTheAgent) {
  StartHost();
  const auto job = Register(MakeJob("own", {3}));
  Give(Series("own", 0, {NodeId{kHere}}));
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "modex", "3000"}));
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "fences", "200"}));
  EXPECT_TRUE(Seen<Fence>().empty());
  EXPECT_TRUE(Seen<DirectModex>().empty()) << "the fence's data was not taken in";
  EXPECT_TRUE(Seen<FenceReleased>().empty()) << "of a fence that the agent has not heard of";
}

TEST_F(HostUplink, ASeriesChangesHandsBetweenTwoFences) {
  StartHost();
  const auto job = Register(MakeJob("own", {2}));
  intercept_ = [this](const HostMessage& message) {
    const bool fifth = std::holds_alternative<Fence>(message) && Seen<Fence>().size() == 5;
    if (fifth) Give(Series("own", 5, {NodeId{kHere}}));
    return false;
  };
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "fences", "50"}));
  EXPECT_EQ(Seen<Fence>().size(), 5U);
}

TEST_F(HostUplink, OtherCollectivesStillComeToTheAgent) {
  StartHost();
  const auto job = Register(MakeJob("own", {2}));
  const auto other = Register(MakeJob("other", {2}));
  Give(Series("own", 0, {NodeId{kHere}}));
  ExpectAllGood(RunRanks(other, {REX_TEST_PROBE, "fences", "3"}));
  EXPECT_EQ(Seen<Fence>().size(), 3U);
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "fences", "3"}));
  EXPECT_EQ(Seen<Fence>().size(), 3U);
}

TEST_F(HostUplink, MoreDataThanAllowedFailsHereToo) {
  StartHost();
  const auto job = Register(MakeJob("own", {2}));
  Give(Series("own", 0, {NodeId{kHere}}), 1000);
  for (const auto& r : RunRanks(job, {REX_TEST_PROBE, "modex", "3000"})) {
    EXPECT_EQ(WEXITSTATUS(r.wait_status), 1);
    EXPECT_NE(r.err.find("OUT-OF-RESOURCE"), std::string::npos) << r.err;
  }
  EXPECT_TRUE(Seen<Fence>().empty());
}

// ---- by the uplink

TEST_F(HostUplink, ContributionsGoUpAndTheAnswersComeDown) {
  const auto job = StartWide("wide", 2, 17);
  AnswerAll();
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "fences", "100"}));
  ASSERT_EQ(ups_.size(), 100U);
  for (size_t i = 0; i < ups_.size(); ++i) {
    EXPECT_EQ(ups_[i].header.sequence, 17 + i);
    EXPECT_EQ(ups_[i].header.nodes, (std::vector{NodeId{kAbove}, NodeId{kHere}}));
    EXPECT_EQ(ups_[i].header.participants, (std::vector<ProcRun>{{"wide", kRankWildcard, 1}}));
  }
  EXPECT_TRUE(Seen<Fence>().empty());
  EXPECT_TRUE(Seen<UplinkLost>().empty());
}

TEST_F(HostUplink, MegabytesGoByIt) {
  const auto job = StartWide("big", 2);
  AnswerAll();
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "modex", "3000000"}));
  EXPECT_EQ(ups_.size(), 1U);
  EXPECT_GT(ups_[0].bulk.view().size(), 6'000'000U);
}

TEST_F(HostUplink, AnAnswerMayComeByTheAgent) {
  const auto job = StartWide("wide", 2);
  on_up_ = [this](const auto& up) { Send(FromAbove{DownFor(up)}); };
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "modex", "100"}));
  // And twice.
  on_up_ = [this](const auto& up) {
    SendDown(DownFor(up));
    Send(FromAbove{DownFor(up)});
    SendDown(DownFor(up));
  };
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "fences", "20"}));
  EXPECT_EQ(ups_.size(), 21U);
  EXPECT_FALSE(closed());
  EXPECT_TRUE(Seen<UplinkLost>().empty());
}

TEST_F(HostUplink, AFailureThatCameBeforeTheRanksIsTheirs) {
  const auto job = StartWide("wide", 2);
  WithBulk<CollectiveHeader> none{Series("wide", 0, {NodeId{kAbove}, NodeId{kHere}}), {}};
  Send(FromAbove{DownFor(none, kErrLostConnection)});
  for (const auto& r : RunRanks(job, {REX_TEST_PROBE, "modex", "10"})) {
    EXPECT_EQ(WEXITSTATUS(r.wait_status), 1);
    EXPECT_NE(r.err.find("LOST_CONNECTION"), std::string::npos) << r.err;
  }
  EXPECT_TRUE(ups_.empty());
}

TEST_F(HostUplink, ATimeoutIsTheTopsToDecide) {
  auto spec = MakeJob("late", {2});
  spec.nodes[0].runs = {{0, 1}};
  spec.nodes.push_back({"elsewhere", {{1, 1}}});  // with the rank that comes late
  StartHost();
  const auto job = Register(spec);
  GiveUplink();
  GiveWide("late");
  on_up_ = [this](const auto& up) {
    const bool waits = up.header.sequence == 0 && up.header.status == kSuccess;
    if (!waits) SendDown(DownFor(up, up.header.status));
  };
  const auto results = RunRanks(job, {REX_TEST_PROBE, "fence_timeout"});
  ExpectAllGood(results);
  EXPECT_EQ(Lines(results[0].out)["timed"], "TIMEOUT");
  ASSERT_EQ(ups_.size(), 3U);
  EXPECT_EQ(ups_[1].header.status, kErrTimeout);
  EXPECT_EQ(ups_[2].header.sequence, 1U);
}

TEST_F(HostUplink, TheJobsEndEndsWhatIsUnderWay) {
  const auto job = StartWide("wide", 2);
  StartRanks(job, {REX_TEST_PROBE, "modex", "10"});
  Until([this] { return ups_.size() == 1; }, "the contribution");
  Deregister("wide");
  Until([this] { return ups_.size() == 2; }, "the failure that goes up");
  EXPECT_EQ(ups_[1].header.status, kErrLostConnection);
  for (const auto& r : WaitRanks()) {
    EXPECT_EQ(WEXITSTATUS(r.wait_status), 1);
    EXPECT_NE(r.err.find("LOST_CONNECTION"), std::string::npos) << r.err;
  }
  SendDown(DownFor(ups_[0]));  // too late
  ExpectAllGood(RunRanks(Register(MakeJob("next", {1})), {REX_TEST_PROBE, "fences", "2"}));
  EXPECT_TRUE(Seen<UplinkLost>().empty());
}

// The namespace's name alone does not make a series: it was given for the job that has gone.
TEST_F(HostUplink, ASeriesEndsWithItsNamespace) {
  StartHost();
  const auto spec = MakeJob("again", {2});
  Register(spec);
  Give(Series("again", 0, {NodeId{kHere}}));
  Deregister("again");
  ExpectAllGood(RunRanks(Register(spec), {REX_TEST_PROBE, "fences", "3"}));
  EXPECT_EQ(Seen<Fence>().size(), 3U);
}

// ---- lost

TEST_F(HostUplink, WhoCutsItIsNamed) {
  StartWide("wide", 1);
  above_.reset();
  const std::string why = AwaitLost();
  EXPECT_NE(why.find(kAboveName), std::string::npos) << why;
  EXPECT_FALSE(closed()) << "the agent decides what that means";
}

TEST_F(HostUplink, SilenceIsALossToo) {
  StartHost();
  auto pair = TcpPair();
  host_.SendUplink(Uplink(std::chrono::seconds(1)), std::move(pair.first));
  const std::string why = AwaitLost();
  EXPECT_NE(why.find("no word from"), std::string::npos) << why;
  EXPECT_NE(why.find(kAboveName), std::string::npos) << why;
}

TEST_F(HostUplink, NonsenseByItCostsIt) {
  StartWide("wide", 1);
  SendDown("nonsense");
  const std::string why = AwaitLost();
  EXPECT_NE(why.find("nonsense"), std::string::npos) << why;
  Until([this] { return !above_closed_.empty(); }, "the end of the connection");
  EXPECT_FALSE(closed());
  EXPECT_EQ(Seen<UplinkLost>().size(), 1U);
}

TEST_F(HostUplink, NothingButAnswersComesByIt) {
  StartWide("wide", 1);
  above_->Send(static_cast<uint8_t>(ExchangeMessage::kFromHead), FrameClass::kControl,
               EncodeHostMessage(OpDone{1, kSuccess}));
  EXPECT_NE(AwaitLost().find("no use"), std::string::npos);
}

TEST_F(HostUplink, WithoutItAFenceWaitsForTheAgentsDecision) {
  const auto job = StartWide("wide", 1);
  StartRanks(job, {REX_TEST_PROBE, "modex", "10"});
  Until([this] { return ups_.size() == 1; }, "the contribution");
  above_.reset();
  EXPECT_NE(AwaitLost(), "");
  Send(FromAbove{DownFor(ups_[0], kErrLostConnection)});
  for (const auto& r : WaitRanks()) {
    EXPECT_NE(r.err.find("LOST_CONNECTION"), std::string::npos) << r.err;
  }
}

TEST_F(HostUplink, AnotherOneTakesItsPlace) {
  const auto job = StartWide("wide", 1);
  above_.reset();
  AwaitLost();
  GiveUplink();
  AnswerAll();
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "fences", "5"}));
  EXPECT_EQ(ups_.size(), 5U);
  EXPECT_EQ(Seen<UplinkLost>().size(), 1U);
}

// ---- nonsense of the agent's

class HostNonsense : public HostUplink {
 protected:
  // Starts a host that gets `message`, which it ends with: 1 and a line that says `what`.
  void ExpectEnd(const HostMessage& message, const std::string& what, bool after_a_series = false) {
    ::testing::internal::CaptureStderr();
    StartHost();
    if (after_a_series) GiveWide("wide");
    Send(message);
    const int status = AwaitEnd();
    const std::string log = ::testing::internal::GetCapturedStderr();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
    EXPECT_NE(log.find(what), std::string::npos) << log;
  }
};

TEST_F(HostNonsense, AnUplinkWithoutAConnection) {
  ExpectEnd(Uplink(), "an uplink without its connection");
}

TEST_F(HostNonsense, ASeriesThatIsNone) {
  ExpectEnd(SeriesGiven{kHere, kAbove, 1000, "nonsense"}, "leaving: reason=");
}

TEST_F(HostNonsense, AnAnswerThatIsNone) {
  ExpectEnd(FromAbove{"nonsense"}, "leaving: reason=", true);
}

TEST_F(HostNonsense, AnUplinkThatIsLostIsForHostsToSay) {
  ExpectEnd(UplinkLost{"why"}, "a message that only hosts send");
}

}  // namespace
}  // namespace rex::pmix
