// Tables that agents would have, told by each other along lines and trees.
#include "sched/gossip/gossip_table.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace rex {
namespace {

using Table = GossipTable<int, std::less<>>;
using Entry = Table::Entry;

std::string Shown(const Table& table) {
  std::string text;
  for (const Entry& entry : table.Entries()) {
    text += (text.empty() ? "" : " ") + std::to_string(Index(entry.node)) + ":" +
            std::to_string(entry.load);
  }
  return text;
}

Entry Told(uint32_t node, uint64_t version, int load) { return {NodeId{node}, version, 0, load}; }

// Nodes in a line, 0 - 1 - 2 …
class GossipLine {
 public:
  explicit GossipLine(uint32_t count, GossipLimits limits = {}) {
    for (uint32_t i = 0; i < count; ++i) tables_.emplace_back(NodeId{i}, limits);
    for (uint32_t i = 1; i < count; ++i) {
      tables_[i].AddPeer(NodeId{i - 1});
      tables_[i - 1].AddPeer(NodeId{i});
    }
  }
  // How many messages were sent.
  size_t Round() {
    struct Sent {
      uint32_t from;
      NodeId to;
      std::vector<Entry> news;
    };
    std::vector<Sent> sent;
    for (uint32_t i = 0; i < tables_.size(); ++i) {
      tables_[i].BeginRound();
      for (const NodeId peer : tables_[i].NextPeers()) {
        sent.push_back({i, peer, tables_[i].NewsFor(peer)});
      }
    }
    for (const Sent& m : sent) tables_[Index(m.to)].Merge(NodeId{m.from}, m.news);
    return sent.size();
  }
  Table& operator[](size_t i) { return tables_[i]; }

 private:
  std::vector<Table> tables_;
};

TEST(GossipTable, NewsGoALinkARoundAndThenThereIsSilence) {
  GossipLine line(4);
  for (uint32_t i = 0; i < 4; ++i) line[i].SetOwn(static_cast<int>(10 + i));
  EXPECT_GT(line.Round(), 0u);
  EXPECT_EQ(Shown(line[0]), "0:10 1:11");
  line.Round();
  line.Round();
  for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ(line[i].size(), 4u);
  line.Round();
  EXPECT_EQ(line.Round(), 0u) << "nothing has changed";
  line[3].SetOwn(7);
  EXPECT_EQ(line.Round(), 1u);
  EXPECT_EQ(line.Round(), 1u) << "nobody is told what he told";
  line.Round();
  EXPECT_EQ(Shown(line[0]), "0:10 1:11 2:12 3:7");
  EXPECT_EQ(line[0].Find(NodeId{3})->age, 3u) << "rounds since it said so";
}

TEST(GossipTable, TheNewerVersionWinsInWhateverOrder) {
  Table table(NodeId{0}, {});
  EXPECT_TRUE(table.Merge(NodeId{1}, {Told(5, 2, 20)}));
  EXPECT_FALSE(table.Merge(NodeId{2}, {Told(5, 1, 10)}));
  EXPECT_FALSE(table.Merge(NodeId{2}, {Told(5, 2, 99)})) << "told already";
  EXPECT_EQ(table.Find(NodeId{5})->load, 20);
  EXPECT_TRUE(table.Merge(NodeId{2}, {Told(5, 3, 30)}));
  EXPECT_EQ(table.Find(NodeId{5})->load, 30);
}

TEST(GossipTable, NobodyElseKnowsBetterAboutOneself) {
  Table table(NodeId{0}, {});
  table.SetOwn(1);
  EXPECT_FALSE(table.Merge(NodeId{1}, {Told(0, 99, 7), Told(3, 0, 7)}));
  EXPECT_EQ(Shown(table), "0:1");
}

TEST(GossipTable, AMessageIsLimitedAndTheRestFollowsOldestFirst) {
  Table table(NodeId{0}, {.per_message = 2});
  table.AddPeer(NodeId{1});
  for (uint32_t node = 5; node < 10; ++node) table.Merge(NodeId{2}, {Told(node, 1, 0)});
  const auto nodes = [&table] {
    std::string text;
    for (const Entry& entry : table.NewsFor(NodeId{1})) text += std::to_string(Index(entry.node));
    return text;
  };
  EXPECT_EQ(nodes(), "56");
  table.Merge(NodeId{2}, {Told(5, 2, 3)});
  EXPECT_EQ(nodes(), "78");
  EXPECT_EQ(nodes(), "95");
  EXPECT_EQ(nodes(), "");
  EXPECT_TRUE(table.NewsFor(NodeId{9}).empty()) << "no peer";
}

TEST(GossipTable, WhoHasWaitedLongestIsNext) {
  Table table(NodeId{0}, {.peers_per_round = 2});
  for (uint32_t peer = 1; peer <= 3; ++peer) table.AddPeer(NodeId{peer});
  std::vector<uint32_t> told;
  for (int round = 0; round < 3; ++round) {
    table.BeginRound();
    table.SetOwn(round);
    for (const NodeId peer : table.NextPeers()) {
      told.push_back(Index(peer));
      table.NewsFor(peer);
    }
  }
  EXPECT_EQ(told, (std::vector<uint32_t>{1, 2, 3, 1, 2, 1}));
}

TEST(GossipTable, ANewPeerIsToldEverything) {
  Table table(NodeId{0}, {});
  table.SetOwn(1);
  table.Merge(NodeId{1}, {Told(5, 1, 2)});
  table.AddPeer(NodeId{2});
  EXPECT_EQ(table.NewsFor(NodeId{2}).size(), 2u);
  table.RemovePeer(NodeId{2});
  table.AddPeer(NodeId{2});
  EXPECT_EQ(table.NewsFor(NodeId{2}).size(), 2u) << "it may be another one, or have lost all";
}

TEST(GossipTable, WhatIsNotHeardOfIsForgotten) {
  GossipLine line(3, {.old_rounds = 5});
  for (uint32_t i = 0; i < 3; ++i) line[i].SetOwn(1);
  line.Round();
  line.Round();
  EXPECT_EQ(line[0].size(), 3u);
  for (int round = 0; round < 5; ++round) {
    line[1].SetOwn(1);
    line.Round();
  }
  EXPECT_EQ(Shown(line[0]), "0:1 1:1");
}

TEST(GossipTable, OfALostNodeOldNewsAreNotBelieved) {
  Table table(NodeId{0}, {});
  table.Merge(NodeId{1}, {Told(5, 4, 2)});
  table.Forget(NodeId{5});
  EXPECT_FALSE(table.Merge(NodeId{2}, {Told(5, 4, 2), Told(5, 3, 2)}));
  EXPECT_EQ(table.Find(NodeId{5}), nullptr);
  EXPECT_TRUE(table.Merge(NodeId{2}, {Told(5, 5, 2)}));
}

TEST(GossipTable, ALimitedTableKeepsTheLightest) {
  Table table(NodeId{0}, {.entries = 2});
  table.Merge(NodeId{1}, {Told(5, 1, 50), Told(6, 1, 60), Told(7, 1, 70), Told(4, 1, 40)});
  EXPECT_EQ(Shown(table), "0:0 4:40 5:50");
  table.Merge(NodeId{1}, {Told(4, 2, 99)});
  EXPECT_EQ(Shown(table), "0:0 4:99 5:50") << "what is known is corrected";
}

TEST(GossipTable, WhatPeersMustHearIsNotGivenUpBefore) {
  Table table(NodeId{0}, {.entries = 1});
  table.AddPeer(NodeId{2});
  table.Merge(NodeId{1}, {Told(5, 1, 5)});
  EXPECT_FALSE(table.Merge(NodeId{1}, {Told(6, 1, 1)}));
  EXPECT_EQ(table.NewsFor(NodeId{2}).size(), 1u);
  EXPECT_TRUE(table.Merge(NodeId{1}, {Told(6, 1, 1)}));
  EXPECT_EQ(Shown(table), "0:0 6:1");
}

TEST(GossipTable, AGuessHoldsUntilTheNodeSpeaks) {
  Table table(NodeId{0}, {});
  table.AddPeer(NodeId{2});
  table.Merge(NodeId{1}, {Told(5, 1, 1)});
  table.NewsFor(NodeId{2});
  table.Guess(NodeId{5}, 9);
  EXPECT_EQ(table.Find(NodeId{5})->load, 9);
  EXPECT_TRUE(table.NewsFor(NodeId{2}).empty()) << "it is not the node's word";
  table.Merge(NodeId{1}, {Told(5, 2, 3)});
  EXPECT_EQ(table.Find(NodeId{5})->load, 3);
}

}  // namespace
}  // namespace rex
