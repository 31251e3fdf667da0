#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/staging/small_net.h"

namespace rex::testing {
namespace {

TEST_F(SmallNet, EveryNodeHasEveryByte) {
  const std::string big = Content(5 * kBlockBytes + 77);
  Write("big", big);
  Write("small", "x");
  Write("empty", "");
  Launch(MakeFor({"big", "small", "empty"}), 5);
  ASSERT_TRUE(AllPlaced());
  for (uint32_t i = 1; i <= 5; ++i) {
    EXPECT_EQ(Received(i, "big"), big);
    EXPECT_EQ(Received(i, "small"), "x");
    EXPECT_EQ(Received(i, "empty"), "");
    EXPECT_EQ(*ReadFile(JobDir(i) + "/session/small"), "x");
  }
  EXPECT_EQ(pieces_by_tree_, 0);
}

TEST_F(SmallNet, TheHeadSendsOnceHoweverManyNodesThereAre) {
  const std::string big = Content(8 * kBlockBytes);
  Write("big", big);
  Launch(MakeFor({"big"}), 6);
  ASSERT_TRUE(AllPlaced());
  EXPECT_GE(BytesSent(), big.size());
  EXPECT_LE(BytesSent(), big.size() + big.size() / 20);
  EXPECT_NE(source_->account().note.find("for 6 nodes (chain)"), std::string::npos);
}

TEST_F(SmallNet, MultipleSendsToEach) {
  const std::string big = Content(2 * kBlockBytes);
  Write("big", big);
  Launch(MakeFor({"big"}), 3, Creation::kMultiple);
  ASSERT_TRUE(AllPlaced());
  ExpectReceived("big", big, 3);
  EXPECT_GE(BytesSent(), 3 * big.size());
}

TEST_F(SmallNet, ASecondLaunchSendsNothing) {
  Write("big", Content(3 * kBlockBytes));
  Launch(MakeFor({"big"}), 2);
  ASSERT_TRUE(AllPlaced());
  EndLaunch();
  Launch(MakeFor({"big"}), 2);
  ASSERT_TRUE(AllPlaced());
  EXPECT_EQ(BytesSent(), 0u);
  EXPECT_EQ(Received(2, "big"), Content(3 * kBlockBytes));
}

TEST_F(SmallNet, AChangedFileCostsItsChangedBlocks) {
  std::string big = Content(10 * kBlockBytes);
  Write("big", big);
  Launch(MakeFor({"big"}), 2);
  ASSERT_TRUE(AllPlaced());
  EndLaunch();
  big[4 * kBlockBytes + 5] ^= 1;
  Write("big", big);
  Launch(MakeFor({"big"}), 2);
  ASSERT_TRUE(AllPlaced());
  EXPECT_EQ(Received(1, "big"), big);
  EXPECT_EQ(Received(2, "big"), big);
  EXPECT_GE(BytesSent(), kBlockBytes);
  EXPECT_LT(BytesSent(), kBlockBytes + 1000);
  EXPECT_NE(nodes_[1].note->find(std::to_string(9 * kBlockBytes) + " bytes from other files"),
            std::string::npos)
      << *nodes_[1].note;
}

TEST_F(SmallNet, OneOfTwoNodesLacksIt) {
  Write("big", Content(3 * kBlockBytes));
  Launch(MakeFor({"big"}), 1);
  ASSERT_TRUE(AllPlaced());
  EndLaunch();
  Launch(MakeFor({"big"}), 2);
  ASSERT_TRUE(AllPlaced());
  EXPECT_EQ(Received(2, "big"), Content(3 * kBlockBytes));
  EXPECT_NE(nodes_[1].note->find("0 bytes received"), std::string::npos);
}

TEST_F(SmallNet, ADamagedPieceIsSentAgain) {
  const std::string big = Content(4 * kBlockBytes);
  Write("big", big);
  Image image = MakeFor({"big"});
  image.fault = "n1:damage=3 n2:damage=7";
  Launch(image, 3);
  ASSERT_TRUE(AllPlaced());
  ExpectReceived("big", big, 3);
  EXPECT_NE(nodes_[1].note->find("1 damaged pieces"), std::string::npos) << *nodes_[1].note;
  EXPECT_GE(pieces_by_tree_, 2);
  EXPECT_NE(source_->account().note.find("of them over the tree"), std::string::npos);
}

TEST_F(SmallNet, ANodeThatNobodyCanReachDoesNotStopThoseBehindIt) {
  const std::string big = Content(4 * kBlockBytes);
  Write("big", big);
  Image image = MakeFor({"big"});
  image.fault = "n1:deaf=1";
  Launch(image, 3);
  ASSERT_TRUE(AllPlaced());
  ExpectReceived("big", big, 3);
  EXPECT_GT(pieces_by_tree_, 0);
}

TEST_F(SmallNet, TheFollowersOfAKilledNodeAreTakenOver) {
  const std::string big = Content(40 * kBlockBytes);
  Write("big", big);
  Image image = MakeFor({"big"});
  Launch(image, 4);
  // In mid-transfer: its follower has something, and not all.
  ASSERT_TRUE(Until([&] {
    std::error_code none;
    return std::filesystem::directory_iterator(StoreDir(2) + "/incoming", none) !=
           std::filesystem::directory_iterator();
  }));
  Kill(1);
  ASSERT_TRUE(AllPlaced());
  for (uint32_t i = 2; i <= 4; ++i) EXPECT_EQ(Received(i, "big"), big);
}

TEST_F(SmallNet, AFileThatChangesWhileItIsSentEndsTheLaunch) {
  std::string big = Content(3 * kBlockBytes);
  Write("big", big);
  const Image image = MakeFor({"big"});
  big[2 * kBlockBytes] ^= 1;
  Write("big", big);
  Launch(image, 2);
  ASSERT_TRUE(Until([&] { return failed_.has_value(); }));
  EXPECT_EQ(*failed_at_, kHeadNode);
  EXPECT_EQ(failed_->detail, "'" + HeadFile("big") + "' changed while it was sent");
  EXPECT_FALSE(nodes_[1].note || nodes_[2].note);
}

TEST_F(SmallNet, AFileThatWasCutWhileItIsSentEndsTheLaunch) {
  Write("big", Content(3 * kBlockBytes));
  const Image image = MakeFor({"big"});
  std::filesystem::resize_file(HeadFile("big"), kBlockBytes + 1);
  Launch(image, 1);
  ASSERT_TRUE(Until([&] { return failed_.has_value(); }));
  EXPECT_EQ(failed_->detail, "'" + HeadFile("big") + "' changed while it was sent");
}

TEST_F(SmallNet, AStoreThatIsTooSmallIsAProblemOfThatNode) {
  Write("big", Content(3 * kBlockBytes));
  Image image = MakeFor({"big"});
  image.store.most_bytes = kBlockBytes;
  Launch(image, 1);
  ASSERT_TRUE(Until([&] { return nodes_[1].problem.has_value(); }));
  EXPECT_TRUE(nodes_[1].problem->no_resources);
  EXPECT_NE(nodes_[1].problem->detail.find("786.4 kB does not fit"), std::string::npos)
      << nodes_[1].problem->detail;
}

TEST_F(SmallNet, DamagedContentOfTheStoreIsReceivedAgain) {
  const std::string big = Content(3 * kBlockBytes);
  Write("big", big);
  const Image image = MakeFor({"big"});
  Launch(image, 1);
  ASSERT_TRUE(AllPlaced());
  EndLaunch();
  const std::string object = StoreDir(1) + "/objects/" + Hex(image.files[0].digest.whole);
  ASSERT_EQ(::chmod(object.c_str(), 0700), 0);
  std::ofstream(object, std::ios::in) << "XXXX";
  Launch(image, 1);
  ASSERT_TRUE(AllPlaced());
  EXPECT_EQ(Received(1, "big"), big);
  // The other blocks were dropped with it.
  EXPECT_GE(BytesSent(), big.size());
}

// Two launches at once of what nobody has: one receives, the other waits for it.
TEST_F(SmallNet, ConcurrentLaunchesShareOneTransfer) {
  const std::string big = Content(20 * kBlockBytes);
  Write("big", big);
  const Image image = MakeFor({"big"});
  auto other = Store::Open(image.store, "-n1");
  ASSERT_TRUE(other);
  auto incoming = (*other)->Begin(image.files[0].digest);
  ASSERT_TRUE(incoming && *incoming);
  Launch(image, 1);
  ASSERT_TRUE(Until([&] { return nodes_[1].planned; }));
  ASSERT_TRUE((*incoming)->Write(0, big));
  ASSERT_TRUE((*incoming)->Publish(dir_ + "/other"));
  ASSERT_TRUE(AllPlaced());
  EXPECT_EQ(Received(1, "big"), big);
  EXPECT_EQ(BytesSent(), 0u);
}

TEST_F(SmallNet, WhatAnotherLaunchGivesUpIsReceived) {
  const std::string big = Content(2 * kBlockBytes);
  Write("big", big);
  const Image image = MakeFor({"big"});
  auto other = Store::Open(image.store, "-n1");
  auto incoming = (*other)->Begin(image.files[0].digest);
  Launch(image, 1);
  ASSERT_TRUE(Until([&] { return source_->account().end.count() > 0; }));
  incoming->reset();
  ASSERT_TRUE(AllPlaced());
  EXPECT_EQ(Received(1, "big"), big);
}

TEST_F(SmallNet, ThousandsOfFiles) {
  std::vector<std::string> names;
  for (int i = 0; i < 2000; ++i) {
    names.push_back("f" + std::to_string(i));
    Write(names.back(), "content " + std::to_string(i));
  }
  Launch(MakeFor(names), 2);
  ASSERT_TRUE(AllPlaced());
  for (const int i : {0, 1, 1000, 1999}) {
    EXPECT_EQ(Received(2, names[static_cast<size_t>(i)]), "content " + std::to_string(i));
  }
}

TEST_F(SmallNet, TwoNamesOfOneContent) {
  Write("a", Content(kBlockBytes));
  Write("b", Content(kBlockBytes));
  Launch(MakeFor({"a", "b"}), 1);
  ASSERT_TRUE(AllPlaced());
  EXPECT_EQ(Received(1, "a"), Received(1, "b"));
  EXPECT_LT(BytesSent(), 2 * kBlockBytes);
}

// RHODOS' order rule: pieces that nobody announced are kept for a while, not for ever.
TEST_F(SmallNet, PiecesBeforeTheLaunchAreDroppedInTheEndAndTheHeadIsTold) {
  Write("big", Content(kBlockBytes));
  Image image = MakeFor({"big"});
  image.hold = std::chrono::milliseconds(1);
  Launch(image, 1);
  ASSERT_TRUE(AllPlaced());
  const TransferId unknown = {1, 2, 3};
  const TransferKey key = MakeTransferKey(key_.bytes, unknown);
  const std::string id(reinterpret_cast<const char*>(unknown.data()), unknown.size());
  ASSERT_TRUE(nodes_[1].images->OnMessage(kImagePieceKind, id + SealPiece(key, unknown, 0, "x")));
  ASSERT_TRUE(Until([&] { return failed_.has_value(); }));
  EXPECT_EQ(*failed_at_, NodeId{1});
  EXPECT_NE(failed_->detail.find("was not told of"), std::string::npos) << failed_->detail;
}

TEST_F(SmallNet, PiecesBeforeTheirRouteAreKept) {
  const std::string big = Content(kPieceBytes);
  Write("big", big);
  image_ = std::make_shared<const Image>(MakeFor({"big"}));
  Begin(1);
  const TransferId id = {7};
  const TransferKey key = MakeTransferKey(key_.bytes, id);
  const std::string name(reinterpret_cast<const char*>(id.data()), id.size());
  ASSERT_TRUE(nodes_[1].images->OnMessage(kImagePieceKind, name + SealPiece(key, id, 0, big)));
  // Its own look at the files comes first.
  ASSERT_TRUE(Until([&] { return nodes_[1].planned; }));
  ImageRoute route;
  route.job = kJob;
  route.transfer = id;
  route.coming = BlockSet(1);
  route.coming.Add(0);
  ASSERT_TRUE(nodes_[1].images->OnMessage(kImageRouteKind, ToWire(route)));
  ASSERT_TRUE(AllPlaced());
  EXPECT_EQ(Received(1, "big"), big);
}

TEST_F(SmallNet, NonsenseIsRefused) {
  Write("big", "x");
  Launch(MakeFor({"big"}), 1);
  EXPECT_FALSE(nodes_[1].images->OnMessage(kImagePieceKind, "short"));
  EXPECT_FALSE(nodes_[1].images->OnMessage(kImagePieceKind, std::string(200, '\xff')));
  EXPECT_FALSE(nodes_[1].images->OnMessage(kImageRouteKind, "\xff\xff"));
  EXPECT_FALSE(nodes_[1].images->OnMessage(kImageNeedKind, ""));
  EXPECT_FALSE(source_->OnMessage(NodeId{1}, kImageNeedKind, "\xff"));
  EXPECT_FALSE(source_->OnMessage(NodeId{1}, kImagePieceKind, ""));
  ASSERT_TRUE(AllPlaced());
}

}  // namespace
}  // namespace rex::testing
