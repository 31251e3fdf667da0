// Ranks go where mpirun 4.1.4 puts them, and are bound as it binds them: every request of
// tests/unit/sched/mpirun/requests.txt, with the answers that mpirun itself gave (ask_mpirun). From
// the words of the command line to the processors of each rank: only processes are left out.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "launcher/cli/job_request.h"
#include "launcher/cli/parse.h"
#include "launcher/job/job_placement.h"
#include "launcher/part/node_apps.h"
#include "sched/placement/node_places.h"

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
constexpr const char* kThreads =
    "--map-by hwthread makes threads the slots, as --bind-to hwthread does";
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
    {"smt | -np 20 --map-by hwthread",
     "here=0 here=16 here=1 here=17 here=2 here=18 here=3 here=19 here=4 here=20 here=5 here=21 "
     "here=6 here=22 here=7 here=23 here=8 here=24 here=9 here=25",
     kThreads},
    {"asymmetric | -np 12 --map-by hwthread --rank-by core",
     "here=0 here=2 here=4 here=6 here=8 here=10 here=1 here=3 here=5 here=7 here=9 here=11",
     kThreads},
    {"hybrid | -np 8 --map-by hwthread", "here=0 here=1 here=2 here=3 here=4 here=6 here=8 here=10",
     kThreads},
    {"restricted | -np 9 --map-by hwthread",
     "here=1 here=2 here=3 here=4 here=5 here=10 here=11 here=12 here=13", kThreads},
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
    {"numa4 | -np 2 --host localhost:4 -rf {rank 0=+n0 slot=0/rank 1=+n0 slot=1}", "here=0 here=1",
     "+n counts the job's nodes; mpirun wants an allocation for it"},
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

// The words of a request, for rexlaunch: "{X/Y}" becomes the name of a file with lines X and Y, and
// each program is "p".
struct Words {
  std::vector<std::string> words;
  std::map<std::string, std::string> files;
};

Words WordsOf(const std::string& text) {
  Words out;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    const bool file = text[at] == '{';
    const size_t end = std::min(file ? text.find('}', at) + 1 : text.find(' ', at), text.size());
    std::string word = text.substr(at, end - at);
    at = end;
    if (file) {
      std::string lines = word.substr(1, word.size() - 2) + "\n";
      std::replace(lines.begin(), lines.end(), '/', '\n');
      word = "file" + std::to_string(out.files.size());
      out.files[word] = lines;
    }
    if (word == ":") out.words.push_back("p");
    out.words.push_back(word);
  }
  out.words.push_back("p");
  return out;
}

// The nodes of a request: "a=TOPOLOGY:SLOTS …", or the topology of this machine.
struct Cluster {
  std::map<std::string, std::shared_ptr<const Hardware>> hardware;  // by name
  NodePool pool;
  bool here = false;
};

Cluster ClusterOf(const std::string& text) {
  Cluster cluster;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    const size_t equals = word.find('=');
    const size_t colon = word.find(':');
    if (equals == std::string::npos) {
      cluster.here = true;
      cluster.hardware["here"] = HardwareNamed(word);
      continue;
    }
    HostEntry host;
    host.name = word.substr(0, equals);
    host.slots = static_cast<uint32_t>(std::stoul(word.substr(colon + 1)));
    cluster.hardware[host.name] = HardwareNamed(word.substr(equals + 1, colon - equals - 1));
    cluster.pool.kind = NodePool::Kind::kFile;
    cluster.pool.hosts.push_back(std::move(host));
  }
  return cluster;
}

// What rexlaunch asks for.
Result<JobSpec> SpecOf(const Answer& answer, const Cluster& cluster) {
  const Words words = WordsOf(answer.words);
  const FileReader read_file = [&words](const std::string& name) -> Result<std::string> {
    return words.files.at(name);
  };
  auto line = ParseCommandLine(words.words, {}, read_file);
  if (!line) return line.error();
  Surroundings here;
  here.cwd = "/";
  here.is_this_machine = [&cluster](const std::string& name) {
    return cluster.here && name == "localhost";
  };
  if (cluster.here) here.cores = cluster.hardware.at("here")->Cores();
  return MakeJobSpec(*line, here, {}, line->rankfile.empty() ? cluster.pool : NodePool());
}

// The nodes of the job as its head would know them.
std::vector<JobNode> NodesOf(const JobSpec& spec, const Cluster& cluster) {
  std::vector<JobNode> nodes;
  const auto add = [&](const std::string& name, uint32_t slots) {
    JobNode node;
    node.id = NodeId(static_cast<uint32_t>(nodes.size()));
    node.name = name;
    node.hardware = cluster.hardware.at(name);
    node.cores = node.hardware->Cores();
    node.counted = slots == 0;
    node.slots = node.counted ? node.cores : slots;
    node.slots_from_cores = false;  // mpirun refuses more ranks than cores
    nodes.push_back(std::move(node));
  };
  if (spec.dvm.nodes.empty()) add("here", spec.slots);
  for (const NodeRequest& node : spec.dvm.nodes) add(node.name, node.slots);
  CountThreads(spec, &nodes);
  return nodes;
}

std::string CpusText(const CpuWords& cpus) { return cpus.empty() ? "-" : CpuList(cpus); }

// "a=0-1 b=-", or "REFUSED" and why.
std::string PlacesOf(const Answer& answer) {
  const Cluster cluster = ClusterOf(answer.nodes);
  const auto spec = SpecOf(answer, cluster);
  if (!spec) return "REFUSED " + spec.error().text;
  const std::vector<JobNode> nodes = NodesOf(*spec, cluster);
  const auto placed = PlaceJob(*spec, nodes, static_cast<uint32_t>(nodes.size()));
  if (const Failure* failure = std::get_if<Failure>(&placed)) return "REFUSED " + failure->detail;
  const PlacedJob& job = std::get<PlacedJob>(placed);
  std::map<uint32_t, std::string> places;
  for (const JobNode& node : nodes) {
    const auto plan = PlanNode(*node.hardware, NodeAppsOf(*job.spec, *job.map, node.id));
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
  const std::string places = PlacesOf(GetParam());
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
