// What ranks know of ranks and nodes elsewhere, and MPI programs over several hosts.
#include <unistd.h>

#include "tests/integration/exchange/exchange_fixture.h"

namespace rex {
namespace {

using ExchangeJobs = ExchangeFixture;
using pmix::Lines;

TEST_F(ExchangeJobs, RanksAndNodesElsewhereAreKnownUnderTheNamesOfTheJob) {
  StartNodes({0, 0, 0});
  Register("peers", {1, 2, 1, 2, 2});
  const auto results = Run({REX_TEST_PROBE, "peer", "3"});
  ExpectAllGood(results, 5);
  for (const auto& r : results) {
    auto got = Lines(r.out);
    const bool on_first = r.rank % 2 == 0 && r.rank < 4;
    EXPECT_EQ(got["hostname"], NodeName(2));
    EXPECT_EQ(got["local_rank"], "1");
    EXPECT_EQ(got["node_rank"], "1");
    EXPECT_EQ(got["appnum"], "0");
    EXPECT_EQ(got["own_hostname"], NodeName(on_first ? 1 : 2)) << "not the machine's name";
    EXPECT_EQ(got["own_nodeid"], on_first ? "0" : "1");
    EXPECT_EQ(got["local_peers"], on_first ? "0,2" : "1,3,4");
    EXPECT_EQ(got["local_size"], on_first ? "2" : "3");
    EXPECT_EQ(got["num_nodes"], "2");
    EXPECT_EQ(got["univ_size"], "6");
    EXPECT_EQ(got["nodes"], NodeName(1) + "," + NodeName(2));
    EXPECT_EQ(got["peers"], "1,3,4");
  }
}

void ExpectMpiProbe(const std::vector<pmix::RankResult>& results) {
  ExpectAllGood(results, 4);
  for (const auto& r : results) {
    EXPECT_EQ(r.out, "rank=" + std::to_string(r.rank) + " size=4 sum=6 shared=2 app=0 universe=5\n")
        << r.err;
  }
}

TEST_F(ExchangeJobs, MpiOverTwoHosts) {
  StartNodes({0, 0});
  Register("mpi", {0, 1, 0, 1});
  ExpectMpiProbe(Run({REX_TEST_MPI_PROBE}, MpiOverLoopback()));
}

TEST_F(ExchangeJobs, MpiOverTwoLevels) {
  StartNodes({0, 0, 0, 1, 2});
  Register("mpi", {3, 3, 4, 4});
  ExpectMpiProbe(Run({REX_TEST_MPI_PROBE}, MpiOverLoopback()));
}

TEST_F(ExchangeJobs, MpiThatAsksForItsPeersData) {
  StartNodes({0, 0});
  Register("mpi", {0, 0, 1, 1});
  auto env = MpiOverLoopback();
  env.push_back("OMPI_MCA_pmix_base_async_modex=1");
  env.push_back("OMPI_MCA_pmix_base_collect_data=0");
  ExpectMpiProbe(Run({REX_TEST_MPI_PROBE}, env));
  EXPECT_GT(Seen<pmix::DirectModex>(0), 0u) << "it did not ask";
}

TEST_F(ExchangeJobs, ARingAndCollectivesOverTwoHosts) {
  StartNodes({0, 0});
  Register("ring", {0, 1, 0, 1});
  ExpectAllGood(Run({REX_TEST_PROGRAMS "/mpi_ring", "50"}, MpiOverLoopback()), 4);
  Register("collectives", {0, 1, 0, 1});
  ExpectAllGood(Run({REX_TEST_PROGRAMS "/mpi_collectives", "2"}, MpiOverLoopback()), 4);
}

TEST_F(ExchangeJobs, NamesOfMpiOverTwoHosts) {
  StartNodes({0, 0});
  Register("names", {1, 0});
  ExpectAllGood(Run({REX_TEST_PROGRAMS "/mpi_publish"}, MpiOverLoopback()), 2);
}

TEST_F(ExchangeJobs, JobsFollowEachOther) {
  StartNodes({0, 0});
  for (const char* name : {"one", "two", "three"}) {
    Register(name, {0, 1});
    ExpectAllGood(Run({REX_TEST_PROBE, "modex", "10"}), 2);
    Deregister(name);
  }
}

}  // namespace
}  // namespace rex
