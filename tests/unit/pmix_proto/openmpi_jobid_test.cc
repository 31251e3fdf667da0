#include "pmix-server/proto/openmpi_jobid.h"

#include <gtest/gtest.h>

#include <string>

namespace rex::pmix {
namespace {

// Values from a program that uses Open MPI 4.1.4's own opal/hash_string.h.
TEST(OpenMpiJobid, AgreesWithOpenMpi) {
  EXPECT_EQ(OpenMpiJobid(""), 0u);
  EXPECT_EQ(OpenMpiJobid("a"), 0xca2e1442u);
  EXPECT_EQ(OpenMpiJobid("rexjob"), 0xd9c01c0fu);
  EXPECT_EQ(OpenMpiJobid("rex-0123456789abcdef"), 0xb6694b5eu);
  EXPECT_EQ(OpenMpiJobid("prterun-node-12345@1"), 0xf0a00199u);
  EXPECT_EQ(OpenMpiJobid("\xc3\xa4"), 0x5e2e01eau);
}

TEST(OpenMpiJobid, Bit15IsAlwaysClear) {
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(OpenMpiJobid(std::to_string(i)) & 0x8000, 0u);
}

TEST(OpenMpiJobid, NumbersWithAMeaningAreNotUsable) {
  EXPECT_FALSE(IsUsableOpenMpiJobid(0));
  EXPECT_FALSE(IsUsableOpenMpiJobid(0xffffffff));
  EXPECT_FALSE(IsUsableOpenMpiJobid(0xffff0001));  // family of "invalid" and "wildcard"
  EXPECT_FALSE(IsUsableOpenMpiJobid(0x12340000));  // a family's daemons
  EXPECT_FALSE(IsUsableOpenMpiJobid(0x00000001));
  EXPECT_TRUE(IsUsableOpenMpiJobid(0x00010001));
}

}  // namespace
}  // namespace rex::pmix
