// Who is at the other end of a connection over loopback.
#include "pmix-server/host/peer_uid.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher/base/fd.h"

namespace rex::pmix {
namespace {

constexpr const char* kTable =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n"
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 "
    "11 1 ffff 100 0 0 10 0\n"
    "   1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000   501        0 "
    "12 1 ffff 20 4 30 10 -1\n"
    "   2: 0100007F:C351 0100007F:1F90 04 00000000:00000000 01:00000000 00000000     0        0 0 "
    "1 ffff 20 4 30 10 -1\n"
    "   3: half a line\n";

TEST(UidInTcpTable, OfTheOpenSocketWithTheseEnds) {
  EXPECT_EQ(UidInTcpTable(kTable, "0100007F:C350", "0100007F:1F90"), uid_t{501});
  EXPECT_FALSE(UidInTcpTable(kTable, "0100007F:1F90", "0100007F:C350"));
  EXPECT_FALSE(UidInTcpTable("", "0100007F:C350", "0100007F:1F90"));
}

// Whose it was the kernel no longer says: it says root.
TEST(UidInTcpTable, NotOfAClosedOne) {
  EXPECT_FALSE(UidInTcpTable(kTable, "0100007F:C351", "0100007F:1F90"));
}

class UidOfTcpPeerTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const UniqueFd listener(::socket(GetParam(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(GetParam());
    if (GetParam() == AF_INET) {
      reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
      reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
    }
    socklen_t bytes = GetParam() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    auto* const at = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener.get(), at, bytes) != 0) GTEST_SKIP() << "no such address here";
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    ASSERT_EQ(::getsockname(listener.get(), at, &bytes), 0);
    client_.Reset(::socket(GetParam(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(client_.get(), at, bytes), 0);
    server_.Reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(server_);
  }
  UniqueFd client_;
  UniqueFd server_;
};

TEST_P(UidOfTcpPeerTest, IsOurOwn) { EXPECT_EQ(UidOfTcpPeer(server_.get()), ::geteuid()); }

TEST_P(UidOfTcpPeerTest, IsNobodysOnceItIsClosed) {
  client_.Reset();
  EXPECT_FALSE(UidOfTcpPeer(server_.get()));
}

INSTANTIATE_TEST_SUITE_P(Families, UidOfTcpPeerTest, ::testing::Values(AF_INET, AF_INET6));

TEST(UidOfTcpPeer, IsUnknownOfWhatIsNoConnection) {
  EXPECT_FALSE(UidOfTcpPeer(-1));
  const auto pair = MakeStreamPair();
  ASSERT_TRUE(pair);
  EXPECT_FALSE(UidOfTcpPeer(pair->first.get()));
}

}  // namespace
}  // namespace rex::pmix
