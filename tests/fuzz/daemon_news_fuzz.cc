// A line of the keeper about an ended daemon. Input: the line.
#include "launcher/cli/daemon_news.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto end = rex::ParseDaemonEnd(line);
  if (!end) return 0;
  REX_CHECK(!end->name.empty() && end->name.size() < size && end->pid >= 0);
  REX_CHECK(end->status.signal >= 0 && end->status.signal <= 64);
  REX_CHECK(end->status.code >= 0 && end->status.code <= 255);
  const bool killed = end->status.signal != 0;
  const std::string again = end->name + (killed ? " signal " : " exit ") +
                            std::to_string(killed ? end->status.signal : end->status.code) +
                            " pid " + std::to_string(end->pid);
  const auto second = rex::ParseDaemonEnd(again);
  REX_CHECK(second && second->name == end->name && second->pid == end->pid);
  REX_CHECK(second->status.signal == end->status.signal && second->status.code == end->status.code);
  REX_CHECK(!rex::LostHeadLines({*end}, "reason").empty());
  return 0;
}
