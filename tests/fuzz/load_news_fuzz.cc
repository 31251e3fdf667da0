// load_news.h: what nodes tell of their loads.
#include "launcher/agent/load_news.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto news = DecodeLoadNews(std::string(reinterpret_cast<const char*>(data), size));
  if (!news) return 0;
  LoadRelay relay;
  for (const LoadNews& one : *news) {
    REX_CHECK(Index(one.node) < kMaxNodes && one.capacity > 0);
    relay.Add(one);
  }
  const auto again = DecodeLoadNews(EncodeLoadNews(*news));
  REX_CHECK(again.has_value() && *again == *news);
  REX_CHECK(relay.Take(Clock::Time(0)).size() == news->size());  // each node is there once
  return 0;
}

}  // namespace rex
