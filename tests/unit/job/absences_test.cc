#include "launcher/job/absences.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

using std::chrono::seconds;

TEST(AbsencesTest, NodesAreNamed) {
  EXPECT_EQ(WaitingForNodes(seconds(30), 16, {"n3", "n7"}),
            "after 30 s: still waiting for 2 of 16 nodes to start: n3, n7");
  EXPECT_EQ(WaitingForNodes(seconds(1), 1, {"n1"}),
            "after 1 s: still waiting for 1 of 1 node to start: n1");
}

TEST(AbsencesTest, ManyNamesAreCounted) {
  const std::string text =
      WaitingForBirths(seconds(60), 10, {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"});
  EXPECT_EQ(text,
            "after 60 s: still waiting for ranks to be born on 10 of 10 nodes: a, b, c, d, e, f, "
            "g, h and 2 more");
}

TEST(AbsencesTest, RanksNotInInitAreNumbers) {
  EXPECT_EQ(RanksNotInInit({3, 5}, 8), "2 of 8 ranks had not called MPI_Init: 3, 5");
  EXPECT_EQ(RanksNotInInit({0}, 1), "1 of 1 rank had not called MPI_Init: 0");
}

TEST(AbsencesTest, OnlyRanksBeforeInitAreShown) {
  EXPECT_EQ(WaitingForInit(seconds(30), 3,
                           {"rank 0 (app): in MPI (initialised), process state S",
                            "rank 1 (app): before MPI_Init, process state R",
                            "rank 2 (app): before MPI_Init, process state T"}),
            "after 30 s: still waiting for 2 of 3 ranks to call MPI_Init: rank 1 (app): before "
            "MPI_Init, process state R; rank 2 (app): before MPI_Init, process state T");
}

}  // namespace
}  // namespace rex
