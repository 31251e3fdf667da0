#include "launcher/cli/described_cluster.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

Result<DescribedCluster> Parsed(std::string_view text) {
  static const FileReader read_file = [](const std::string& name) -> Result<std::string> {
    if (name == "dir/big.xml") return std::string("<topology/>");
    return Error{Errc::kNotFound, "no file '" + name + "'"};
  };
  return ParseDescribedCluster(text, "dir/nodes.json", read_file);
}

TEST(DescribedCluster, NodesAndTopologiesThatTheyShare) {
  const auto cluster = Parsed(R"({"nodes": [
    {"hostname": "n[1-2]", "slots": 4, "topology": "core:4 pu:1"},
    {"hostname": "big", "topology": "big.xml"},
    {"hostname": "n9", "topology": "core:4 pu:1"}]})");
  ASSERT_TRUE(cluster) << cluster.error().text;
  ASSERT_EQ(cluster->nodes.size(), 4u);
  EXPECT_EQ(cluster->nodes[1].name, "n2");
  EXPECT_EQ(cluster->nodes[1].slots, 4u);
  EXPECT_EQ(cluster->nodes[2].topology, 1u);
  EXPECT_EQ(cluster->nodes[3].slots, 0u);
  EXPECT_EQ(cluster->nodes[3].topology, 0u);
  EXPECT_EQ(cluster->topologies, (std::vector<std::string>{"core:4 pu:1", "<topology/>"}));
}

TEST(DescribedCluster, ErrorsNameTheNode) {
  const auto error = [](std::string_view text) {
    const auto cluster = Parsed(text);
    return cluster ? "taken" : cluster.error().text;
  };
  EXPECT_EQ(error("{"), "dir/nodes.json: it is not JSON");
  EXPECT_EQ(error("{}").substr(0, 42), "dir/nodes.json: there is no list of nodes;");
  EXPECT_EQ(error("[]").substr(0, 42), "dir/nodes.json: there is no list of nodes;");
  EXPECT_EQ(error("[1]"), "dir/nodes.json: node 1: it is not an object in braces");
  EXPECT_EQ(error(R"([{"hostname": "a", "topology": "pu:1"}, {"topology": "pu:1"}])"),
            "dir/nodes.json: node 2: it has no \"hostname\"");
  EXPECT_EQ(
      error(R"([{"hostname": "a"}])"),
      "dir/nodes.json: node 1: it has no \"topology\", for example \"package:2 core:4 pu:1\"");
  EXPECT_EQ(error(R"([{"hostname": "a", "topology": "x.xml"}])"),
            "dir/nodes.json: node 1: topology: no file 'dir/x.xml'");
  EXPECT_EQ(error(R"([{"hostname": "a", "topology": "pu:1", "slots": -1}])"),
            "dir/nodes.json: node 1: \"slots\" is not a number from 1 to 1048576");
  EXPECT_EQ(
      error(R"([{"hostname": "a", "topology": "pu:1"}, {"hostname": "a", "topology": "pu:1"}])"),
      "dir/nodes.json: node 2: the hostname 'a' is there twice");
  EXPECT_NE(error(R"([{"hostname": "a[", "topology": "pu:1"}])"), "taken");
}

TEST(DescribedCluster, LoadsAreHundredths) {
  const auto cluster = Parsed(R"([{"hostname": "a", "topology": "pu:1", "load": 1.25},
                                  {"hostname": "b", "topology": "pu:1"}])");
  ASSERT_TRUE(cluster) << cluster.error().text;
  EXPECT_TRUE(cluster->has_loads);
  EXPECT_EQ(cluster->nodes[0].load, 125u);
  EXPECT_EQ(cluster->nodes[1].load, 0u);
  for (const char* load : {"-1", "10001", "\"1\"", "null"}) {
    const auto bad =
        Parsed(R"([{"hostname": "a", "topology": "pu:1", "load": )" + std::string(load) + "}]");
    ASSERT_FALSE(bad) << load;
    EXPECT_EQ(bad.error().text,
              "dir/nodes.json: node 1: \"load\" is not a number from 0 to 10000, of threads per "
              "core");
  }
}

}  // namespace
}  // namespace rex
