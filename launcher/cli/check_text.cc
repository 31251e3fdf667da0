#include "launcher/cli/check_text.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <vector>

#include "launcher/observe/timeline.h"

namespace rex {

namespace {

constexpr size_t kMostWays = 4;  // named in the summary

std::string Join(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

std::string Count(size_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

std::string Line(const CheckProblem& problem) {
  const std::string remedy = problem.remedy.empty() ? "" : "; " + problem.remedy;
  return problem.node + ": " + (problem.note ? "note: " : "") + problem.about + ": " +
         problem.text + remedy + "\n";
}

std::string Gib(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / (1 << 30));
  return text;
}

std::string Versions(const CheckedNode& node) {
  std::vector<std::string> parts = {"rex " + node.rex, "glibc " + node.glibc};
  parts.push_back(node.openmpi.empty() ? "no Open MPI" : node.openmpi);
  parts.push_back(node.libpmix.empty() ? "no libpmix" : node.libpmix);
  return Join(parts, ", ");
}

std::string WaysBack(const CheckReport& report) {
  std::vector<std::string> ways;
  size_t others = 0;
  for (const CheckedNode& node : report.nodes) {
    if (node.here || node.way_back.empty()) continue;
    if (ways.size() == kMostWays) {
      ++others;
    } else {
      ways.push_back(node.name + " by " + node.way_back);
    }
  }
  if (others > 0) ways.push_back("and " + std::to_string(others) + " more");
  return ways.empty() ? "" : "; way back: " + Join(ways, ", ");
}

std::string AllWell(const CheckReport& report) {
  uint64_t slots = 0;
  uint64_t temp = UINT64_MAX;
  uint64_t shm = UINT64_MAX;
  std::chrono::microseconds clock{0};
  for (const CheckedNode& node : report.nodes) {
    slots += node.slots;
    temp = std::min(temp, node.temp_free);
    shm = std::min(shm, node.shm_free);
    clock = std::max(clock, std::chrono::abs(node.clock.value_or(std::chrono::microseconds(0))));
  }
  char milliseconds[32];
  std::snprintf(milliseconds, sizeof milliseconds, "%.1f",
                static_cast<double>(clock.count()) / 1e3);
  return Count(report.nodes.size(), "node") + (report.nodes.size() == 1 ? " is" : " are") +
         " well: " + std::to_string(slots) + " slots; " + Versions(report.nodes.front()) +
         "; clocks within " + milliseconds + " ms; at least " + Gib(temp) + " free in " +
         report.nodes.front().temp + " and " + Gib(shm) + " in /dev/shm" + WaysBack(report) + "\n";
}

size_t Problems(const CheckReport& report) {
  return static_cast<size_t>(std::count_if(report.problems.begin(), report.problems.end(),
                                           [](const CheckProblem& p) { return !p.note; }));
}

std::string Text(const std::string& text) { return text.empty() ? "null" : JsonString(text); }

std::string NodeJson(const CheckedNode& node) {
  const auto known = [&](const std::string& text) { return node.answered ? text : "null"; };
  std::string out = "{\"name\":" + JsonString(node.name);
  out += std::string(",\"here\":") + (node.here ? "true" : "false");
  out += std::string(",\"answered\":") + (node.answered ? "true" : "false");
  out += ",\"slots\":" + (node.slots == 0 ? "null" : std::to_string(node.slots));
  out += ",\"cores\":" + known(std::to_string(node.cores));
  out += ",\"hostname\":" + Text(node.hostname);
  out += ",\"rex\":" + Text(node.rex);
  out += ",\"glibc\":" + Text(node.glibc);
  out += ",\"openmpi\":" + Text(node.openmpi);
  out += ",\"libpmix\":" + Text(node.libpmix);
  out += ",\"way_back\":" + Text(node.way_back);
  const bool clock = node.clock.has_value();
  out += ",\"clock_us\":" + (clock ? std::to_string(node.clock->count()) : "null");
  out += ",\"clock_error_us\":" + (clock ? std::to_string(node.clock_error.count()) : "null");
  out += ",\"temp\":" + Text(node.temp);
  out += ",\"temp_free\":" + known(std::to_string(node.temp_free));
  out += ",\"shm_free\":" + known(std::to_string(node.shm_free));
  return out + "}";
}

std::string ProblemJson(const CheckProblem& problem) {
  return "{\"node\":" + JsonString(problem.node) + ",\"about\":" + JsonString(problem.about) +
         ",\"text\":" + JsonString(problem.text) + ",\"remedy\":" + Text(problem.remedy) +
         ",\"note\":" + (problem.note ? "true" : "false") + "}";
}

}  // namespace

std::string CheckLines(const CheckReport& report) {
  std::string out;
  std::set<std::string> bad;
  for (const CheckProblem& problem : report.problems) {
    out += Line(problem);
    if (!problem.note) bad.insert(problem.node);
  }
  if (bad.empty()) return out + AllWell(report);
  return out + std::to_string(bad.size()) + " of " + Count(report.nodes.size(), "node") +
         (bad.size() == 1 ? " has " : " have ") + Count(Problems(report), "problem") + "\n";
}

std::string CheckJson(const CheckReport& report) {
  std::vector<std::string> problems;
  std::vector<std::string> nodes;
  for (const CheckProblem& problem : report.problems) problems.push_back(ProblemJson(problem));
  for (const CheckedNode& node : report.nodes) nodes.push_back(NodeJson(node));
  return std::string("{\"well\":") + (Problems(report) == 0 ? "true" : "false") +
         ",\n\"problems\":[" + Join(problems, ",\n") + "],\n\"nodes\":[" + Join(nodes, ",\n") +
         "]}\n";
}

}  // namespace rex
