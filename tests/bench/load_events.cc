// What loads cost a head and a node: CPU time for each second of a busy cluster, without a network.
// The head: 1000 ranks placed and 1000 ended a second on 10,000 nodes, and news of all these nodes'
// loads ten times a second, decoded and taken. A node: its looks at this machine's /proc. Usage:
// load_events [RANKS_A_SECOND]. Prints NAME=NUMBER lines; cores in percent.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "launcher/agent/load_news.h"
#include "sched/load/proc_look.h"
#include "sched/placement/load_table.h"

namespace {

constexpr uint32_t kNodes = 10'000;
constexpr uint32_t kRelays = 100;  // children of the head
constexpr int kSeconds = 20;
constexpr int kNewsASecond = 10;

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

rex::NodeId NodeAt(uint32_t i) { return rex::NodeId{1 + i % (kNodes - 1)}; }

// A second's starts and ends, spread over the nodes.
void RanksComeAndGo(rex::LoadTable* table, uint32_t ranks, uint32_t second) {
  for (uint32_t i = 0; i < ranks; ++i) table->AddRanks(NodeAt(second * 7919 + i * 31), 1);
  for (uint32_t i = 0; i < ranks; ++i) table->AddRanks(NodeAt(second * 7919 + i * 31), -1);
}

// What one child of the head tells: `changed` of its nodes.
std::string NewsOf(uint32_t relay, uint32_t turn, uint32_t changed) {
  std::vector<rex::LoadNews> news;
  for (uint32_t i = 0; i < changed; ++i) {
    const uint32_t node = 1 + relay * (kNodes / kRelays) % (kNodes - kNodes / kRelays) + i;
    news.push_back({rex::NodeId{node}, 100 * ((turn + i) % 8), 1600});
  }
  return rex::EncodeLoadNews(news);
}

void TakeNews(rex::LoadTable* table, const std::string& payload, rex::Clock::Time now) {
  const auto news = rex::DecodeLoadNews(payload);
  if (!news) std::abort();
  for (const rex::LoadNews& one : *news) {
    table->OnTold(one.node, one.foreign, one.capacity, now);
  }
}

// Of 100 nodes below each child one changes its load a second: what goes over the network.
double HeadSeconds(uint32_t ranks) {
  rex::LoadTable table;
  for (uint32_t i = 1; i < kNodes; ++i) table.OnTold(rex::NodeId{i}, 0, 1600, rex::Clock::Time(1));
  std::vector<std::string> payloads;
  for (uint32_t turn = 0; turn < kNewsASecond; ++turn) {
    for (uint32_t relay = 0; relay < kRelays / kNewsASecond; ++relay) {
      payloads.push_back(NewsOf(relay * kNewsASecond + turn, turn, 1));
    }
  }
  const double begin = CpuSeconds();
  for (uint32_t second = 0; second < kSeconds; ++second) {
    RanksComeAndGo(&table, ranks, second);
    for (const std::string& payload : payloads) {
      TakeNews(&table, payload, rex::Clock::Time(second));
    }
  }
  return (CpuSeconds() - begin) / kSeconds;
}

double LookSeconds() {
  rex::LookPlace place;
  place.cpus = {~uint64_t{0}};
  place.keeper = ::getpid();
  constexpr int kLooks = 20;
  const double begin = CpuSeconds();
  for (int i = 0; i < kLooks; ++i) {
    auto look = rex::ProcLook::Begin(place);
    if (!look) std::abort();
    while (look->Step()) {
    }
    static_cast<void>(look->foreign());
  }
  return (CpuSeconds() - begin) / kLooks;
}

}  // namespace

int main(int argc, char** argv) {
  const auto ranks = static_cast<uint32_t>(argc > 1 ? std::atoi(argv[1]) : 1000);
  const double head = HeadSeconds(ranks);
  const double look = LookSeconds();
  std::printf("head_percent=%.4f\n", 100 * head);
  std::printf("look_ms=%.3f\n", 1000 * look);
  std::printf("node_percent=%.4f\n", std::min(100 * look, 0.5));  // looks pause for 200 times that
  std::printf("percent=%.4f\n", 100 * head + std::min(100 * look, 0.5));
  return 0;
}
