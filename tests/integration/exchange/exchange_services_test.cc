// What ranks ask of ranks, and of the head, over several hosts.
#include "tests/integration/exchange/exchange_fixture.h"

namespace rex {
namespace {

using ExchangeServices = ExchangeFixture;
using pmix::Lines;

// PMIx_Error_string of a timeout, as a client of libpmix 4.2.2 sees one.
constexpr const char* kTimeout = "TIMEOUT";

TEST_F(ExchangeServices, DataIsAskedOfTheRanksNode) {
  StartNodes({0, 0, 0, 1});
  Register("async", {0, 2, 3, 3});
  ExpectAllGood(Run({REX_TEST_PROBE, "async", "100"}), 4);
  EXPECT_GT(Seen<pmix::DirectModex>(3), 0u);
  EXPECT_GT(Seen<pmix::ModexDone>(3), 0u);
}

TEST_F(ExchangeServices, MegabytesAreAskedOfTheRanksNode) {
  StartNodes({0, 0});
  Register("async", {0, 1});
  ExpectAllGood(Run({REX_TEST_PROBE, "async", "10000000"}), 2);
}

TEST_F(ExchangeServices, DataThatComesLateNeverOrFromNobody) {
  StartNodes({0, 0});
  Register("late", {0, 1});
  const auto results = Run({REX_TEST_PROBE, "late"});
  ExpectAllGood(results, 2);
  auto got = Lines(results[0].out);
  EXPECT_EQ(got["late"], "it came");
  EXPECT_EQ(got["never"], "NOT-FOUND");
  EXPECT_EQ(got["nobody"], "NOT-FOUND");
}

TEST_F(ExchangeServices, ARankThatCommitsNothingIsWaitedForAsLongAsTheAskerSays) {
  StartNodes({0, 0});
  Register("none", {0, 1});
  const auto results = Run({REX_TEST_PROBE, "uncommitted"});
  ExpectAllGood(results, 2);
  EXPECT_EQ(Lines(results[0].out)["uncommitted"], kTimeout);
}

TEST_F(ExchangeServices, NamesArePublishedForAllNodes) {
  StartNodes({0, 0, 0, 1});
  Register("names", {3, 2, 0});
  ExpectAllGood(Run({REX_TEST_PROBE, "publish"}), 3);
}

TEST_F(ExchangeServices, ALookupWaitsForAnotherNode) {
  StartNodes({0, 0, 0});
  Register("wait", {1, 2});
  const auto results = Run({REX_TEST_PROBE, "wait"});
  ExpectAllGood(results, 2);
  EXPECT_EQ(Lines(results[0].out)["later"], "came");
}

TEST_F(ExchangeServices, ALookupsTimeoutIsKept) {
  StartNodes({0, 0});
  Register("wait", {1, 0});
  const auto results = Run({REX_TEST_PROBE, "lookup_timeout"});
  ExpectAllGood(results, 2);
  for (const auto& r : results) EXPECT_EQ(Lines(r.out)["lookup"], kTimeout);
}

TEST_F(ExchangeServices, ALocalNameIsItsNodesOwn) {
  StartNodes({0, 0});
  Register("local", {0, 1, 0, 1});
  const auto results = Run({REX_TEST_PROBE, "publish_local"});
  ExpectAllGood(results, 4);
  for (const auto& r : results) EXPECT_EQ(Lines(r.out)["found"], std::to_string(r.rank % 2));
}

TEST_F(ExchangeServices, EventsReachEveryRankOnce) {
  StartNodes({0, 0, 0, 1});
  Register("events", {2, 0, 2, 3, 3});
  const auto results = Run({REX_TEST_PROBE, "events"});
  ExpectAllGood(results, 5);
  for (const auto& r : results) {
    EXPECT_EQ(Lines(r.out)["events"], r.rank == 4 ? "2" : "1") << "rank " << r.rank << r.out;
  }
  size_t raised = 0;
  for (const uint32_t node : {0u, 2u, 3u}) raised += Seen<pmix::EventRaised>(node);
  EXPECT_EQ(Seen<pmix::EventRaised>(2), raised) << "a host has passed on what it was told";
}

TEST_F(ExchangeServices, QueriesAndLogsOfAnotherNode) {
  StartNodes({0, 0});
  Register("query", {1});
  const auto results = Run({REX_TEST_PROBE, "query"});
  ExpectAllGood(results, 1);
  EXPECT_EQ(Lines(results[0].out)["pmix.qry.ns"], "query");
  EXPECT_EQ(Lines(results[0].out)["node"], NodeName(0));
  Register("log", {1});
  ExpectAllGood(Run({REX_TEST_PROBE, "log"}), 1);
  EXPECT_EQ(Seen<pmix::LogText>(1), 2u);
}

TEST_F(ExchangeServices, AbortAndJobControlComeToTheHead) {
  StartNodes({0, 0});
  Register("control", {1, 0});
  ExpectAllGood(Run({REX_TEST_PROBE, "control"}), 2);
  EXPECT_EQ(Seen<pmix::JobControl>(1), 2u);
  Register("abort", {0, 1});
  Run({REX_TEST_PROBE, "abort"});
  EXPECT_EQ(Seen<pmix::Abort>(1), 1u);
  Deregister("abort");
}

}  // namespace
}  // namespace rex
