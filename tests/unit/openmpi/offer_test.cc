// The states of an offer in mpirun, and its time, as docs/design/launch-agent.md has them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "offer_bench.h"

namespace rex::openmpi {
namespace {

constexpr unsigned kJob = 5;
constexpr int kSilence = 11 * 60;  // seconds
constexpr const char* kEnd = nullptr;
const std::string kSilent =
    "shown: silence: rex: no node said anything for 11 minutes about the program that it was to "
    "get; nodes look for it themselves\n";
const std::string kRaw = "stager: END job 5 node 0\nall: CANCEL job 5\nraw: job 5\n";

class OfferTest : public ::testing::Test {
 protected:
  void SetUp() override {
    tmp_ = ::testing::TempDir() + "rex-offer-" + std::to_string(::getpid());
    std::filesystem::create_directories(tmp_);
    bench_open(3, tmp_.c_str());
  }
  void TearDown() override {
    bench_close();
    EXPECT_EQ(bench_alarms(), 0);
    std::filesystem::remove_all(tmp_);
  }
  static std::string Log() { return bench_log(); }
  static void Made(const char* image = "image", const char* flags = "1") {
    bench_say(REX_STAGER_MADE, kJob, 0, "key", image, "1 files", flags, kEnd);
  }
  static void Here(unsigned node) {
    bench_say(REX_STAGER_HERE, kJob, node, ("n" + std::to_string(node)).c_str(), kEnd);
  }
  static void Ready(unsigned node) {
    bench_say(REX_STAGER_READY, kJob, node, "0 bytes", "path", kEnd);
  }
  static void Failed(unsigned node) {
    bench_say(REX_STAGER_FAILED, kJob, node, "its disk is full", "make room", kEnd);
  }
  // To where nodes 1 to `here` are being sent the program.
  static void Stage(unsigned here, bool preload_binary = false) {
    bench_offer(kJob, "/bin/sh", preload_binary);
    Made();
    for (unsigned node = 1; node <= here; ++node) Here(node);
    bench_fence_over();
    Log();
  }

  std::string tmp_;
};

TEST_F(OfferTest, FromTheProgramToRawsTurn) {
  bench_offer(kJob, "/bin/sh", false);
  EXPECT_EQ(Log(), "stager: MAKE job 5 node 0 4 words\n");
  Made();
  EXPECT_EQ(Log(), "all: OFFER job 5\nraw: fence\n");
  Here(1);
  Here(3);
  EXPECT_EQ(Log(), "");
  bench_fence_over();
  EXPECT_EQ(Log(), "stager: START job 5 node 0 [1 n1] [3 n3]\n");
  Ready(1);
  EXPECT_EQ(Log(), "");
  Ready(3);
  EXPECT_EQ(Log(), "stager: END job 5 node 0\nraw: job 5\n");
}

TEST_F(OfferTest, NobodyHasRex) {
  bench_offer(kJob, "/bin/sh", false);
  Made();
  Log();
  bench_fence_over();
  EXPECT_EQ(Log(), kRaw);
}

TEST_F(OfferTest, WhatIsAskedForIsNotDoneTwice) {
  Stage(3, true);
  for (unsigned node = 1; node <= 3; ++node) Ready(node);
  EXPECT_EQ(Log(), "stager: END job 5 node 0\nraw: job 5\n");  // without its binary
}

TEST_F(OfferTest, PreloadBinaryWantsAllNodes) {
  bench_offer(kJob, "/bin/sh", true);
  Made();
  Here(1);
  Log();
  bench_fence_over();
  EXPECT_EQ(Log(), "stager: END job 5 node 0\nall: CANCEL job 5\nraw: job 5 with its binary\n");
}

TEST_F(OfferTest, WhatNeedsNoImageIsRawsAtOnce) {
  bench_offer(kJob, nullptr, false);
  EXPECT_EQ(Log(), "raw: job 5\n");
  bench_stage("never");
  bench_offer(kJob, "/bin/sh", true);
  EXPECT_EQ(Log(), "raw: job 5 with its binary\n");
  bench_stage("auto");
  bench_no_stager(true);
  bench_offer(kJob, "/bin/sh", false);
  EXPECT_EQ(Log(), "raw: job 5\n");
  bench_open(0, tmp_.c_str());
  bench_offer(kJob, "/bin/sh", false);
  EXPECT_EQ(Log(), "raw: job 5\n");
}

TEST_F(OfferTest, NothingToSend) {
  bench_offer(kJob, "/bin/sh", false);
  Log();
  Made("", "0");
  EXPECT_EQ(Log(), "stager: END job 5 node 0\nraw: job 5\n");
  // A program of the node's own system: what --preload-binary asks for is raw's.
  bench_offer(kJob, "/bin/sh", true);
  Log();
  Made("image", "0");
  EXPECT_EQ(Log(), "stager: END job 5 node 0\nraw: job 5 with its binary\n");
}

TEST_F(OfferTest, AnImageThatCannotBeMade) {
  bench_offer(kJob, "/bin/sh", false);
  Log();
  bench_say(REX_STAGER_NOT_MADE, kJob, 0, "it is locked", "unlock it", kEnd);
  EXPECT_EQ(Log(), "stager: END job 5 node 0\nraw: job 5\n");
  bench_offer(kJob, "/bin/sh", true);
  Log();
  bench_say(REX_STAGER_NOT_MADE, kJob, 0, "it is locked", "unlock it", kEnd);
  EXPECT_EQ(Log(),
            "shown: not made: rex: --preload-binary: it is locked\nunlock it\n"
            "stager: END job 5 node 0\ndone: job 5 status 1\n");
}

TEST_F(OfferTest, ANodeThatFailsGoesItsOwnWay) {
  Stage(2);
  Failed(2);
  EXPECT_EQ(Log(),
            "shown: n2: rex: node n2 can't be given the program: its disk is full\nmake room\n"
            "The program is looked for as without rex.\nstager: LOST job 5 node 2\n");
  Ready(1);
  EXPECT_EQ(Log(), "stager: END job 5 node 0\nraw: job 5\n");
}

TEST_F(OfferTest, AllNodesFail) {
  Stage(2);
  Failed(1);
  Failed(2);
  const std::string log = Log();
  EXPECT_NE(log.find("stager: LOST job 5 node 1\n"), std::string::npos) << log;
  EXPECT_TRUE(log.ends_with("stager: END job 5 node 0\nraw: job 5\n")) << log;
}

TEST_F(OfferTest, AFailureEndsAJobThatWantsIt) {
  Stage(3, true);
  Failed(2);
  EXPECT_EQ(Log(),
            "shown: image: rex: node n2 can't be given the program: its disk is full\nmake room\n"
            "stager: END job 5 node 0\nall: CANCEL job 5\ndone: job 5 status 1\n");
  Ready(1);  // late
  EXPECT_EQ(Log(), "");
}

TEST_F(OfferTest, MpirunsOwnFailureIsRawsTurn) {
  Stage(2);
  Failed(0);
  EXPECT_EQ(Log(),
            "shown: head: rex: node head can't be given the program: its disk is full\nmake room\n"
            "The program is looked for as without rex.\n" +
                kRaw);
}

TEST_F(OfferTest, ALostStagerIsRawsTurnForAllJobs) {
  Stage(2);
  bench_offer(6, "/bin/sh", false);
  Log();
  bench_lose_stager();
  EXPECT_EQ(Log(), "stager: END job 6 node 0\nraw: job 6\n" + kRaw);
}

TEST_F(OfferTest, AFenceThatCannotBe) {
  bench_no_fence(true);
  bench_offer(kJob, "/bin/sh", false);
  Log();
  Made();
  EXPECT_EQ(Log(), "all: OFFER job 5\n" + kRaw);
}

TEST_F(OfferTest, PeersAreCarriedAndNonsenseIsNot) {
  Stage(2);
  bench_say(REX_STAGER_PEER, kJob, 1, "k", "payload", kEnd);
  EXPECT_EQ(Log(), "stager: PEER job 5 node 1 [k] [payload]\n");
  for (const unsigned node : {0u, 4u, 4000u}) {
    Ready(node);
    Here(node);
  }
  Ready(3);  // it never said that it is here
  bench_say(REX_STAGER_READY, 77, 1, "of no job", kEnd);
  EXPECT_EQ(Log(), "");
}

// ---- time

TEST_F(OfferTest, ElevenMinutesOfSilenceAreRawsTurn) {
  Stage(2);
  bench_advance(kSilence - 1);
  EXPECT_EQ(Log(), "");
  bench_advance(1);
  EXPECT_EQ(Log(), kSilent + kRaw);
  EXPECT_EQ(bench_alarms(), 0);
}

TEST_F(OfferTest, EachWordBeginsTheSilenceAnew) {
  Stage(2);
  for (int i = 0; i < 5; ++i) {
    bench_advance(kSilence - 1);
    bench_say(REX_STAGER_PEER, kJob, 1, "k", "payload", kEnd);
  }
  Ready(1);
  Log();
  bench_advance(kSilence - 1);
  EXPECT_EQ(Log(), "");
  bench_advance(1);
  EXPECT_EQ(Log(), kSilent + kRaw);
}

TEST_F(OfferTest, SilenceEndsEachState) {
  bench_offer(kJob, "/bin/sh", false);  // the image is never made
  Log();
  bench_advance(kSilence);
  EXPECT_EQ(Log(), kSilent + "stager: END job 5 node 0\nraw: job 5\n");
  bench_offer(kJob, "/bin/sh", false);
  Made();  // the fence never ends
  Log();
  bench_advance(kSilence);
  EXPECT_EQ(Log(), kSilent + kRaw);
  bench_fence_over();  // it does, later
  EXPECT_EQ(Log(), "");
}

TEST_F(OfferTest, ASilentJobDoesNotEndAnother) {
  Stage(2);
  bench_advance(kSilence - 60);
  bench_offer(6, "/bin/sh", false);
  Log();
  bench_advance(60);
  EXPECT_EQ(Log(), kSilent + kRaw);
  EXPECT_EQ(bench_alarms(), 1);
}

TEST_F(OfferTest, AfterTheEndNothingRings) {
  Stage(1);
  Ready(1);
  Log();
  EXPECT_EQ(bench_alarms(), 0);
  bench_advance(10 * kSilence);
  EXPECT_EQ(Log(), "");
}

}  // namespace
}  // namespace rex::openmpi
