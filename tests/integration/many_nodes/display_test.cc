// What is shown of a job over nodes: map, allocation, topology, bindings, phases.
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/integration/many_nodes/nodes_test.h"

namespace rex::testing {
namespace {

class NodesDisplayTest : public NodesTest {
 protected:
  // `--do-not-launch` with these options; no rank may have run.
  CommandResult Show(std::vector<std::string> options) {
    const std::string witness = left().work_dir() + "/ran";
    options.insert(options.begin(), {"--virtual-nodes", "3", "-n", "4", "--do-not-launch"});
    options.insert(options.end(), {"touch", witness});
    const CommandResult result = Rex(options);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(ReadFile(witness).has_value(), false) << "a rank has run";
    return result;
  }
};

// The blocks and their order are mpirun 4.1's.
TEST_F(NodesDisplayTest, TheMapNamesEveryRankBelowItsNode) {
  const CommandResult result = Show({"--display-map"});
  EXPECT_EQ(CountOf(result.err, "JOB MAP"), 1U) << result;
  size_t at = 0;
  for (const char* text :
       {"Data for node: node1", "Process rank: 0 ", "Process rank: 3 ", "Data for node: node2",
        "Process rank: 1 ", "Data for node: node3", "Process rank: 2 "}) {
    const size_t found = result.err.find(text, at);
    ASSERT_NE(found, std::string::npos) << "no '" << text << "' after byte " << at << result;
    at = found;
  }
  EXPECT_EQ(CountOf(result.err, "Num procs: 2"), 1U) << result;
}

TEST_F(NodesDisplayTest, TheAllocationNamesEveryNode) {
  const CommandResult result = Show({"--display-allocation"});
  EXPECT_EQ(CountOf(result.err, "ALLOCATED NODES"), 1U) << result;
  for (const char* node : {"node1: slots=", "node2: slots=", "node3: slots="}) {
    EXPECT_TRUE(Contains(result.err, node));
  }
}

TEST_F(NodesDisplayTest, TheTopologyOfEveryNode) {
  const CommandResult result = Show({"--display-topo"});
  EXPECT_EQ(CountOf(result.err, "Topology of node node"), 3U) << result;
}

TEST_F(NodesDisplayTest, BindingsAreEachNodesOwn) {
  const CommandResult result = Rex(On("2", "2",
                                      {"--bind-to", "core", "--report-bindings", "sh", "-c",
                                       "grep Cpus_allowed_list /proc/self/status"}));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(
      StderrNames(result, {"[node1:", "MCW rank 0 bound to", "[node2:", "MCW rank 1 bound to"}));
  // The first rank of each node has that node's first core; the nodes are one machine here.
  const auto lines = Lines(result.out);
  ASSERT_EQ(lines.size(), 2U) << result;
  EXPECT_EQ(lines[0], lines[1]);
}

// All virtual nodes have this machine's cores, however few ranks each has.
TEST_F(NodesDisplayTest, RanksOfVirtualNodesThatShareCoresYield) {
  const std::string nodes = std::to_string(::sysconf(_SC_NPROCESSORS_ONLN) + 1);
  const CommandResult result =
      Rex(On(nodes, nodes, {"sh", "-c", "echo $OMPI_MCA_mpi_yield_when_idle"}));
  ASSERT_TRUE(ExitedWith(result, 0));
  for (const std::string& line : Lines(result.out)) EXPECT_EQ(line, "1");
  EXPECT_TRUE(Contains(result.err, nodes + " ranks share")) << result;
}

TEST_F(NodesDisplayTest, VerboseNamesEveryRanksNode) {
  const CommandResult result = Rex(On("2", "2", {"--verbose", Program(), "exit", "0"}));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {"rank 0 on node node1: pid", "rank 1 on node node2: pid"}));
}

TEST_F(NodesDisplayTest, TheTimelineHasEveryNodesPhases) {
  const std::string file = left().work_dir() + "/trace.json";
  const CommandResult result = Rex(On("3", "3", {"--timeline", file, ProgramPath("mpi_hello")}));
  ASSERT_TRUE(ExitedWith(result, 0));
  const auto trace = nlohmann::json::parse(ReadWorkFile("trace.json"), nullptr, false);
  ASSERT_TRUE(trace.is_object()) << ReadWorkFile("trace.json");
  size_t births = 0, nodes = 0;
  for (const auto& event : trace["traceEvents"]) {
    if (event.value("ph", "") != "X") continue;
    births += event.value("name", "") == "births" ? 1 : 0;
    nodes += event.value("name", "") == "nodes" ? 1 : 0;
    EXPECT_GE(event.value("dur", -1.0), 0.0) << event.dump();
  }
  EXPECT_EQ(births, 3U) << trace.dump(1);
  EXPECT_EQ(nodes, 1U) << trace.dump(1);
}

}  // namespace
}  // namespace rex::testing
