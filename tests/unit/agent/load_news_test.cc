#include "launcher/agent/load_news.h"

#include <gtest/gtest.h>

#include "launcher/agent/load.pb.h"
#include "tests/support/fake_clock.h"

namespace rex {
namespace {

using testing::FakeClock;

LoadNews News(uint32_t node, uint32_t foreign) { return {NodeId{node}, foreign, 200}; }

TEST(LoadNews, GoesThereAndBack) {
  const std::vector<LoadNews> news = {{NodeId{1}, 0, 1}, {NodeId{70}, 12'300, 6'400}};
  const auto back = DecodeLoadNews(EncodeLoadNews(news));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(*back, news);
}

TEST(LoadNews, EveryTruncationIsRefusedOrShorter) {
  const std::string whole = EncodeLoadNews({News(1, 100), News(2, 300)});
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(DecodeLoadNews(whole.substr(0, length))) << length;
  }
}

TEST(LoadNews, FieldsOutOfRangeAreNamed) {
  const auto refusal = [](uint32_t node, uint32_t foreign, uint32_t capacity) {
    pb::LoadNews m;
    m.add_nodes(node);
    m.add_foreign(foreign);
    m.add_capacity(capacity);
    const auto news = DecodeLoadNews(m.SerializeAsString());
    return news ? "taken" : news.error().text;
  };
  EXPECT_EQ(refusal(1, 0, 100), "taken");
  EXPECT_EQ(refusal(kMaxNodes, 0, 100), "bad field LoadNews.nodes");
  EXPECT_EQ(refusal(1, UINT32_MAX, 100), "bad field LoadNews.foreign");
  EXPECT_EQ(refusal(1, 0, 0), "bad field LoadNews.capacity");
  EXPECT_EQ(refusal(1, 0, UINT32_MAX), "bad field LoadNews.capacity");
  EXPECT_FALSE(DecodeLoadNews(""));
  EXPECT_FALSE(DecodeLoadNews(EncodeLoadNews({News(1, 0), News(1, 100)})));
}

TEST(LoadRelay, TheFirstNewsGoAtOnce) {
  FakeClock clock;
  LoadRelay relay;
  EXPECT_FALSE(relay.Due());
  relay.Add(News(1, 100));
  ASSERT_TRUE(relay.Due());
  EXPECT_LE(*relay.Due(), clock.Now());
  EXPECT_EQ(relay.Take(clock.Now()), (std::vector<LoadNews>{News(1, 100)}));
  EXPECT_FALSE(relay.Due());
}

TEST(LoadRelay, LaterOnesWaitAndTheLastCounts) {
  FakeClock clock;
  LoadRelay relay;
  relay.Add(News(1, 100));
  relay.Take(clock.Now());
  const Clock::Time sent = clock.Now();
  clock.Advance(std::chrono::milliseconds(30));
  relay.Add(News(2, 100));
  relay.Add(News(1, 200));
  relay.Add(News(2, 0));
  EXPECT_EQ(relay.Due(), sent + LoadRelay::kPause);
  clock.Advance(std::chrono::milliseconds(70));
  EXPECT_EQ(relay.Take(clock.Now()), (std::vector<LoadNews>{News(1, 200), News(2, 0)}));
}

// A thousand starts and ends a second, anywhere below: ten messages a second.
TEST(LoadRelay, ManyChangesAreFewMessages) {
  FakeClock clock;
  LoadRelay relay;
  int messages = 0;
  for (uint32_t i = 0; i < 2000; ++i) {
    relay.Add(News(i % 50, i));
    if (*relay.Due() <= clock.Now()) {
      relay.Take(clock.Now());
      ++messages;
    }
    clock.Advance(std::chrono::microseconds(500));
  }
  EXPECT_EQ(messages, 10);
}

}  // namespace
}  // namespace rex
