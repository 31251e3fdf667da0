// Fences, connects and disconnects of real ranks over several hosts.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>

#include "tests/integration/exchange/exchange_fixture.h"

namespace rex {
namespace {

using Collective = ExchangeFixture;
using pmix::Lines;

const std::vector<uint32_t> kTwoLevels = {0, 0, 0, 1, 2};

// What a host may grow by in a thousand fences, kilobytes. Sanitizers keep what was freed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr long kGrowth = 64 << 10;
#else
constexpr long kGrowth = 1 << 10;
#endif

// Resident memory, kilobytes.
long ResidentOf(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atol(line.c_str() + 6);
  }
  return 0;
}

TEST_F(Collective, AFenceCarriesTheDataOfAllNodes) {
  StartNodes({0, 0});
  Register("modex", {0, 1, 0, 1});
  ExpectAllGood(Run({REX_TEST_PROBE, "modex", "300"}), 4);
  EXPECT_EQ(Seen<pmix::DirectModex>(0) + Seen<pmix::DirectModex>(1), 0u)
      << "the fence's data was not taken in";
}

TEST_F(Collective, AFenceOverTwoLevelsWithRelays) {
  StartNodes(kTwoLevels);
  Register("modex", {3, 4, 3, 0});  // nodes 1 and 2 only relay
  ExpectAllGood(Run({REX_TEST_PROBE, "modex", "300"}), 4);
}

TEST_F(Collective, AJobOfOneOtherNode) {
  StartNodes({0, 0});
  Register("modex", {1, 1});
  ExpectAllGood(Run({REX_TEST_PROBE, "modex", "300"}), 2);
  EXPECT_EQ(messages(), 0u);
}

TEST_F(Collective, FortyMegabytes) {
  StartNodes({0, 0});
  Register("big", {0, 0, 1, 1});
  ExpectAllGood(Run({REX_TEST_PROBE, "modex", "10000000"}), 4);
}

TEST_F(Collective, DataBeyondTheLimitFailsOnAllNodes) {
  StartNodes(kTwoLevels, 1 << 20);
  Register("big", {0, 3, 4});
  for (const auto& r : Run({REX_TEST_PROBE, "modex", "500000"})) {
    EXPECT_EQ(WEXITSTATUS(r.wait_status), 1);
    EXPECT_NE(r.err.find("OUT-OF-RESOURCE"), std::string::npos) << r.err;
  }
}

TEST_F(Collective, AThousandSmallFencesLeaveNothingBehind) {
  StartNodes({0, 0});
  Register("warm", {0, 1});
  ExpectAllGood(Run({REX_TEST_PROBE, "fences", "1000"}), 2);
  const long before = ResidentOf(host_pid(1));
  Register("fences", {0, 1});
  ExpectAllGood(Run({REX_TEST_PROBE, "fences", "1000"}), 2);
  EXPECT_LE(ResidentOf(host_pid(1)), before + kGrowth);
  EXPECT_EQ(exchange(0).counts().collectives, 0u);
}

TEST_F(Collective, ConnectAndDisconnectWithinAJob) {
  StartNodes(kTwoLevels);
  Register("connect", {0, 3, 4, 4});
  ExpectAllGood(Run({REX_TEST_PROBE, "connect"}), 4);
}

TEST_F(Collective, AFencesTimeoutEndsItForAllAndTheNextOneWorks) {
  StartNodes({0, 0, 0});
  Register("late", {0, 1, 2});
  const auto results = Run({REX_TEST_PROBE, "fence_timeout"});
  ExpectAllGood(results, 3);
  for (const auto& r : results) EXPECT_EQ(Lines(r.out)["timed"], "TIMEOUT") << "rank " << r.rank;
}

TEST_F(Collective, AConnectsTimeoutEndsIt) {
  StartNodes({0, 0});
  Register("late", {0, 1});
  const auto results = Run({REX_TEST_PROBE, "connect_timeout"});
  ExpectAllGood(results, 2);
  EXPECT_EQ(Lines(results[0].out)["connect"], "TIMEOUT");
}

class Loss : public ExchangeFixture {
 protected:
  void StartStuck() {
    StartNodes({0, 0, 0, 1});
    Register("stuck", {0, 2, 3});  // the last rank, on node 3 below node 1, does not come
    Start({REX_TEST_PROBE, "stuck"});
    Until(
        [this] {
          for (uint32_t rank = 0; rank < 3; ++rank) {
            if (ranks().OutOf(rank).find("first=done") == std::string::npos) return false;
          }
          return exchange(0).counts().collectives == 1;
        },
        "the fence in which one rank is missing");
  }
  void ExpectTheOthersHaveHeard() {
    Until(
        [this] {
          return ranks().OutOf(0).find("second=") != std::string::npos &&
                 ranks().OutOf(1).find("second=") != std::string::npos;
        },
        "the end of the fence", std::chrono::seconds(10));
    for (const uint32_t rank : {0u, 1u}) {
      EXPECT_EQ(Lines(ranks().OutOf(rank))["second"], "LOST_CONNECTION") << rank;
    }
    ranks().Collect();
    Deregister("stuck");
  }
};

TEST_F(Loss, OfAHostInMidFenceReachesTheOthers) {
  StartStuck();
  KillHost(3);
  ExpectTheOthersHaveHeard();
}

TEST_F(Loss, OfANodeInMidFenceReachesTheOthers) {
  StartStuck();
  LoseNode(3);
  ExpectTheOthersHaveHeard();
}

TEST_F(Loss, OfTheJobInMidFenceReachesTheOthers) {
  StartStuck();
  Deregister("stuck");
  ranks().Collect();
}

}  // namespace
}  // namespace rex
