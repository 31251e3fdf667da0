// docs/states.md shows the tables of the two headers, no more and no less.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "launcher/agent/dvm_state.h"
#include "launcher/base/fd.h"
#include "launcher/job/job_state.h"
#include "launcher/job/spawn_state.h"
#include "launcher/ranks/part_state.h"

namespace rex {
namespace {

std::string Row(std::string_view from, std::string_view on, std::string_view to) {
  return "| " + std::string(from) + " | " + std::string(on) + " | " + std::string(to) + " |";
}

// The rows of the table below the heading, without its two head lines.
std::vector<std::string> TableBelow(const std::string& heading) {
  const auto page = ReadFile(REX_TEST_SOURCE_DIR "/docs/states.md");
  if (!page) return {};
  std::vector<std::string> rows;
  size_t at = page->find("\n## " + heading + "\n");
  if (at == std::string::npos) return {};
  at = page->find("\n|", at) + 1;
  while (at < page->size() && (*page)[at] == '|') {
    const size_t end = page->find('\n', at);
    rows.push_back(page->substr(at, end - at));
    at = end + 1;
  }
  if (rows.size() > 2) rows.erase(rows.begin(), rows.begin() + 2);
  return rows;
}

TEST(StatesDoc, ShowsTheHeadsTable) {
  std::vector<std::string> wanted;
  for (const JobEdge& e : kJobEdges) {
    wanted.push_back(Row(StateName(e.from), EventName(e.on), StateName(e.to)));
  }
  EXPECT_EQ(TableBelow("The job at its head"), wanted);
}

TEST(StatesDoc, ShowsTheDvmsTable) {
  std::vector<std::string> wanted;
  for (const DvmEdge& e : kDvmEdges) {
    wanted.push_back(Row(StateName(e.from), EventName(e.on), StateName(e.to)));
  }
  EXPECT_EQ(TableBelow("A DVM that stays"), wanted);
}

TEST(StatesDoc, ShowsThePartsTable) {
  std::vector<std::string> wanted;
  for (const PartEdge& e : kPartEdges) {
    wanted.push_back(Row(StateName(e.from), StepName(e.on), StateName(e.to)));
  }
  EXPECT_EQ(TableBelow("A node's part of it"), wanted);
}

TEST(StatesDoc, ShowsTheTableOfASpawn) {
  std::vector<std::string> wanted;
  for (const SpawnEdge& e : kSpawnEdges) {
    wanted.push_back(Row(StateName(e.from), EventName(e.on), StateName(e.to)));
  }
  EXPECT_EQ(TableBelow("A request to spawn"), wanted);
}

}  // namespace
}  // namespace rex
