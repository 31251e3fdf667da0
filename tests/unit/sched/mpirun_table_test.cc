// Ranks go where mpirun 4.1.4 puts them, and are bound as it binds them: every request of
// tests/unit/sched/mpirun/requests.txt, with the answers that mpirun itself gave (ask_mpirun).
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "sched/placement/node_places.h"
#include "sched/placement/placement.h"
#include "sched/policy/policy_words.h"

namespace rex {
namespace {

struct Answer {
  std::string nodes;
  std::string words;
  std::string places;
};

std::string Trim(const std::string& text) {
  const size_t from = text.find_first_not_of(' ');
  return from == std::string::npos ? "" : text.substr(from, text.find_last_not_of(' ') - from + 1);
}

std::vector<Answer> Answers() {
  std::ifstream file(std::string(REX_MPIRUN_DIR) + "/answers.txt");
  std::vector<Answer> answers;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    std::istringstream in(line);
    std::string part[3];
    for (std::string& text : part) std::getline(in, text, '|');
    answers.push_back({Trim(part[0]), Trim(part[1]), Trim(part[2])});
  }
  return answers;
}

std::shared_ptr<const Hardware> HardwareNamed(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const Hardware>> known;
  auto& hardware = known[name];
  if (hardware) return hardware;
  std::ifstream file(std::string(REX_MPIRUN_DIR) + "/topologies/" + name + ".xml");
  std::stringstream xml;
  xml << file.rdbuf();
  const auto topology = Topology::FromXml(xml.str());
  EXPECT_TRUE(topology) << name;
  hardware = std::make_shared<const Hardware>(HardwareOf(*topology));
  const auto again = DecodeHardware(EncodeHardware(*hardware));
  EXPECT_TRUE(again && *again == *hardware) << EncodeHardware(*hardware);
  return hardware;
}

// What rex does otherwise on purpose, or where mpirun crashes: request, rex's answer, and why.
struct Difference {
  const char* request;
  const char* places;
  const char* why;
};
constexpr const char* kNoCores = "hardware threads stand in for cores that hwloc does not show";
constexpr const char* kPprFills = "without -np ppr fills the nodes; mpirun starts as many as slots";
constexpr const char* kSeqBinds = "seq binds as other mappings do; mpirun only on its own node";
constexpr const char* kSaysWhy = "a line says what is wrong; mpirun crashes";
constexpr Difference kOnPurpose[] = {
    {"nocores | -np 2", "here=0 here=1", kNoCores},
    {"nocores | -np 4", "here=0-7 here=0-7 here=0-7 here=0-7", kNoCores},
    {"nocores | -np 2 --bind-to core", "here=0 here=1", kNoCores},
    {"nocores | -np 4 --map-by core", "here=0 here=1 here=2 here=3", kNoCores},
    {"nocores | -np 4 --map-by hwthread", "here=0 here=1 here=2 here=3", kNoCores},
    {"nocores | -np 4 --map-by socket", "here=0-3 here=4-7 here=0-3 here=4-7", kNoCores},
    {"a=two:2 b=nocores:4 | -np 6", "a=0-1 a=0-1 b=0-7 b=0-7 b=0-7 b=0-7", kNoCores},
    {"a=two:2 b=nocores:4 | -np 6 --map-by core", "a=0 a=1 b=0 b=1 b=2 b=3", kNoCores},
    {"smt | -np 5 --map-by board", "here=0-31 here=0-31 here=0-31 here=0-31 here=0-31",
     "a board is the node"},
    {"smt | -np 3 --cpu-set 20-25", "REFUSED", kSaysWhy},
    {"numa4 | --map-by ppr:1:numa", "here=0-3 here=4-7 here=8-11 here=12-15", kPprFills},
    {"numa4 | --map-by ppr:1:l3cache", "here=0-3 here=4-7 here=8-11 here=12-15", kPprFills},
    {"numa4 | --map-by ppr:1:l2cache", "here=0",
     "a node without such objects counts as one; mpirun has no rank to place"},
    {"numa4 | --map-by ppr:2:core", "REFUSED", kPprFills},
    {"numa4 | --map-by ppr:2:core:OVERSUBSCRIBE",
     "here=- here=- here=- here=- here=- here=- here=- here=- here=- here=- here=- here=- here=- "
     "here=- here=- here=- here=- here=- here=- here=- here=- here=- here=- here=- here=- here=- "
     "here=- here=- here=- here=- here=- here=-",
     kPprFills},
    {"smt | --map-by ppr:1:hwthread", "REFUSED", kPprFills},
    {"smt | --map-by ppr:1:core --bind-to hwthread",
     "here=0 here=1 here=2 here=3 here=4 here=5 here=6 here=7 here=8 here=9 here=10 here=11 "
     "here=12 here=13 here=14 here=15",
     kPprFills},
    {"smt | --map-by ppr:1:skt", "here=0,16 here=8,24", kPprFills},
    {"numa4 | --npersocket 2 --map-by socket", "REFUSED", "mpirun ignores --npersocket here"},
    {"numa4 | -np 6 --npersocket 2 --map-by slot", "REFUSED", "mpirun ignores --npersocket here"},
    {"numa4 | -np 2 -rf {rank 1=localhost slot=3/rank 0=localhost slot=5,7}", "here=5,7 here=3",
     "ranks may be named in any order; mpirun crashes"},
    {"numa4 | -rf {rank 0=localhost slot=99}", "REFUSED", kSaysWhy},
    {"numa4 | -rf {rank 0=localhost slot=4:0}", "REFUSED", kSaysWhy},
    {"numa4 | -rf {rank 0=localhost}", "REFUSED", kSaysWhy},
    {"a=numa4:16 b=numa4:16 | -np 4 --map-by seq --hostfile {a/b/b/a}", "a=0-3 b=0-3 b=4-7 a=4-7",
     kSeqBinds},
    {"a=numa4:16 b=numa4:16 | -np 3 --map-by seq --hostfile {a/b/b/a}", "a=0-3 b=0-3 b=4-7",
     kSeqBinds},
    {"a=numa4:16 b=numa4:16 | --map-by seq --hostfile {b/b/a} --bind-to core", "b=0 b=1 a=0",
     "without -np a rank for each line; mpirun wants as many lines as slots"},
};

struct Case {
  PlacementRequest request;
  std::vector<std::vector<std::string>> slot_lists;  // by app
};

// "a=TOPOLOGY:SLOTS …", or one topology's name.
std::vector<PlacementNode> NodesOf(const std::string& text, bool threads) {
  std::vector<PlacementNode> nodes;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    const size_t equals = word.find('=');
    PlacementNode node;
    node.id = NodeId(static_cast<uint32_t>(nodes.size()));
    if (equals == std::string::npos) {
      node.name = "here";
      node.hardware = HardwareNamed(word);
      node.slots =
          threads ? static_cast<uint32_t>(node.hardware->cpus.size()) : node.hardware->Cores();
    } else {
      const size_t colon = word.find(':');
      node.name = word.substr(0, equals);
      node.hardware = HardwareNamed(word.substr(equals + 1, colon - equals - 1));
      node.slots = static_cast<uint32_t>(std::stoul(word.substr(colon + 1)));
    }
    nodes.push_back(std::move(node));
  }
  return nodes;
}

std::vector<std::string> WordsOf(const std::string& text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    const size_t end = text[at] == '{' ? text.find('}', at) + 1 : text.find(' ', at);
    words.push_back(text.substr(at, end - at));
    at = std::min(end, text.size());
  }
  return words;
}

// Numbers the nodes that rank files and hostfiles of seq name.
uint32_t NodeNamed(const std::vector<PlacementNode>& nodes, const std::string& name) {
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].name == name || name == "localhost") return i;
  }
  ADD_FAILURE() << name;
  return 0;
}

std::string FixedOf(const std::string& file, bool rankfile, Case* c) {
  PlacementApp& app = c->request.apps.back();
  std::map<int, std::pair<uint32_t, std::string>> ranks;
  std::istringstream in(file.substr(1, file.size() - 2));
  for (std::string line; std::getline(in, line, '/');) {
    const auto& nodes = c->request.nodes;
    if (!rankfile) {
      ranks[static_cast<int>(ranks.size())] = {NodeNamed(nodes, line), ""};
      continue;
    }
    int rank = 0;
    char host[64] = "";
    char slots[64] = "";
    if (std::sscanf(line.c_str(), "rank %d=%63s slot=%63s", &rank, host, slots) != 3) return line;
    ranks[rank] = {NodeNamed(nodes, host), slots};
  }
  std::vector<std::string> lists;
  for (const auto& [rank, place] : ranks) {
    app.fixed.push_back(place.first);
    if (rankfile) lists.push_back(place.second);
  }
  c->slot_lists.back() = lists;
  app.policy.map = rankfile ? MapBy::kRankfile : MapBy::kSeq;
  return "";
}

// What the command line would make of mpirun's words. The error, or "".
std::string Understand(const Answer& answer, Case* c) {
  const auto words = WordsOf(answer.words);
  const bool threads = answer.words.find("hwthread-cpus") != std::string::npos ||
                       answer.words.find("--bind-to hwthread") != std::string::npos;
  c->request.nodes = NodesOf(answer.nodes, threads);
  c->request.apps.emplace_back();
  c->request.apps.back().ranks = 0;
  c->slot_lists.emplace_back();
  MapModifiers modifiers;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    PlacementApp& app = c->request.apps.back();
    PlacePolicy& policy = app.policy;
    const std::string value = i + 1 < words.size() ? words[i + 1] : "";
    Status taken = Ok{};
    ++i;
    if (word == "-np") {
      app.ranks = static_cast<uint32_t>(std::stoul(value));
    } else if (word == "--map-by" && value == "seq") {
      policy.map = MapBy::kSeq;
    } else if (word == "--map-by") {
      taken = TakeMapBy(value, &policy, &modifiers);
    } else if (word == "--rank-by") {
      taken = TakeRankBy(value, &policy);
    } else if (word == "--bind-to") {
      taken = TakeBindTo(value, &policy);
    } else if (word == "--ppr") {
      taken = TakePpr(value, &policy);
    } else if (word == "--npersocket") {
      if (answer.words.find("--map-by") != std::string::npos) return "they exclude each other";
      taken = TakePpr(value + ":socket", &policy);
    } else if (word == "--npernode" || word == "-N") {
      app.per_node = static_cast<uint32_t>(std::stoul(value));
    } else if (word == "--cpu-set" || word == "--cpu-list") {
      taken = TakeCpuList(value, &policy);
    } else if (word == "--cpus-per-proc" || word == "--cpus-per-rank") {
      policy.cpus_per_rank = static_cast<uint32_t>(std::stoul(value));
    } else if (word == "-rf" || word == "--hostfile") {
      const std::string bad = FixedOf(value, word == "-rf", c);
      if (!bad.empty()) return bad;
    } else {
      --i;
      if (word == "--oversubscribe") {
        c->request.oversubscribe = true;
      } else if (word == "--use-hwthread-cpus") {
        policy.hwthread_cpus = true;
      } else if (word == "--pernode") {
        app.per_node = 1;
      } else if (word == "--bind-to-core") {
        taken = TakeBindTo("core", &policy);
      } else if (word == "--bind-to-socket") {
        taken = TakeBindTo("socket", &policy);
      } else if (word.starts_with("--by")) {
        taken = TakeMapBy(word.substr(4), &policy, &modifiers);
      } else if (word == ":") {
        const PlacePolicy same = policy;
        c->request.apps.emplace_back();
        c->request.apps.back().policy = same;
        c->slot_lists.emplace_back();
      } else {
        return "not understood: " + word;
      }
    }
    if (!taken) return taken.error().text;
  }
  c->request.oversubscribe |= modifiers.oversubscribe;
  for (PlacementApp& app : c->request.apps) {
    if (!app.fixed.empty() && app.ranks > app.fixed.size()) return "a rank without a place";
    if (!app.fixed.empty() && app.ranks > 0) app.fixed.resize(app.ranks);
  }
  return "";
}

std::string CpusText(const CpuWords& cpus) { return cpus.empty() ? "-" : CpuList(cpus); }

std::vector<NodeApp> NodeAppsOf(const Case& c, const Placement& placement, NodeId node) {
  std::vector<NodeApp> apps;
  uint32_t first = 0;
  for (size_t i = 0; i < placement.app_ranks.size(); ++i) {
    NodeApp app{.policy = &placement.policies[i]};
    for (uint32_t rank = first; rank < first + placement.app_ranks[i]; ++rank) {
      if (placement.node_of_rank[rank] != node) continue;
      app.ranks.push_back(rank);
      if (!c.slot_lists[i].empty()) app.slot_lists.push_back(c.slot_lists[i][rank - first]);
    }
    first += placement.app_ranks[i];
    apps.push_back(std::move(app));
  }
  return apps;
}

// "a=0-1 b=-", or "REFUSED" and why.
std::string PlacesOf(const Case& c) {
  const auto placement = Place(c.request);
  if (!placement) return "REFUSED " + placement.error().text;
  std::map<uint32_t, std::string> places;
  for (const PlacementNode& node : c.request.nodes) {
    const auto plan = PlanNode(*node.hardware, NodeAppsOf(c, *placement, node.id));
    if (!plan) return "REFUSED " + plan.error().text;
    for (const NodeRank& rank : plan->ranks) {
      places[rank.rank] = node.name + "=" + CpusText(rank.cpus);
    }
  }
  std::string text;
  for (const auto& [rank, place] : places) text += (text.empty() ? "" : " ") + place;
  return text;
}

class PlacesRanksAsMpirun : public testing::TestWithParam<Answer> {};

TEST_P(PlacesRanksAsMpirun, AndBindsThem) {
  Case c;
  const std::string error = Understand(GetParam(), &c);
  const std::string places = error.empty() ? PlacesOf(c) : "REFUSED " + error;
  std::string expected = GetParam().places;
  std::string why;
  for (const Difference& difference : kOnPurpose) {
    if (difference.request != Trim(GetParam().nodes + " | " + GetParam().words)) continue;
    EXPECT_NE(expected, difference.places) << "no difference any more";
    expected = difference.places;
    why = difference.why;
  }
  if (expected.starts_with("REFUSED")) {
    EXPECT_TRUE(places.starts_with("REFUSED")) << places << "\n" << why;
  } else {
    EXPECT_EQ(places, expected) << why;
  }
}

TEST(MpirunTable, EveryDifferenceOnPurposeIsARequest) {
  const std::vector<Answer> answers = Answers();
  EXPECT_GE(answers.size(), 250u);
  for (const Difference& difference : kOnPurpose) {
    const bool found = std::any_of(answers.begin(), answers.end(), [&](const Answer& answer) {
      return difference.request == Trim(answer.nodes + " | " + answer.words);
    });
    EXPECT_TRUE(found) << difference.request;
  }
}

INSTANTIATE_TEST_SUITE_P(Requests, PlacesRanksAsMpirun, testing::ValuesIn(Answers()),
                         [](const auto& test) {
                           std::string name = test.param.nodes + "_" + test.param.words;
                           for (char& ch : name) {
                             if (std::isalnum(static_cast<unsigned char>(ch)) == 0) ch = '_';
                           }
                           return std::to_string(test.index) + "_" + name;
                         });

}  // namespace
}  // namespace rex
