// GPUs on topologies of servers and a workstation (gpus/*.xml), and whose they are.
#include "sched/placement/gpus.h"

#include <gtest/gtest.h>

#include "launcher/base/fd.h"

namespace rex {
namespace {

Topology Machine(const std::string& name) {
  const auto xml = ReadFile(std::string(REX_GPUS_DIR) + "/" + name + ".xml");
  EXPECT_TRUE(xml) << name;
  auto topology = Topology::FromXml(*xml);
  EXPECT_TRUE(topology) << name;
  return *std::move(topology);
}

std::string Shown(const std::vector<Gpu>& gpus) {
  std::string text;
  for (const Gpu& gpu : gpus) {
    text += (text.empty() ? "" : " ") + gpu.id + "=" + gpu.address + "@" + CpuList(gpu.near);
  }
  return text;
}

CpuWords Cpu(uint32_t cpu) { return {uint64_t{1} << cpu}; }

std::string Assigned(const std::vector<Gpu>& gpus, const std::vector<GpuWant>& ranks) {
  const auto assigned = AssignGpus(gpus, ranks);
  if (!assigned) return assigned.error().text;
  std::string text;
  for (const auto& mine : *assigned) {
    text += text.empty() ? "" : " ";
    for (const uint32_t i : mine) text += gpus[i].id;
    if (mine.empty()) text += "-";
  }
  return text;
}

TEST(Gpus, AreOfKnownVendorsByAddress) {
  EXPECT_EQ(Shown(GpusOf(Machine("nvidia"))),
            "0=0000:1b:00.0@0-3 1=0000:43:00.0@0-3 2=0000:9d:00.0@4-7 3=0000:c3:00.0@4-7")
      << "neither the board's VGA chip nor the switch nor the network";
  EXPECT_EQ(Shown(GpusOf(Machine("amd"))),
            "0=0000:c1:00.0@12-15 1=0000:c6:00.0@12-15 2=0000:c9:00.0@4-7 3=0000:ce:00.0@4-7 "
            "4=0000:d1:00.0@0-3 5=0000:d6:00.0@0-3 6=0000:d9:00.0@8-11 7=0000:de:00.0@8-11");
}

TEST(Gpus, AProcessorsOwnGraphicsCountOnlyAlone) {
  EXPECT_EQ(Shown(GpusOf(Machine("intel"))), "1=0000:29:00.0@0-3")
      << "Level Zero counts the other one";
  EXPECT_EQ(Shown(GpusOf(Machine("integrated"))), "0=0000:00:02.0@0-3");
}

TEST(Gpus, AMachineMayHaveNone) {
  const auto plain = Topology::FromSynthetic("pack:1 core:2 pu:1");
  ASSERT_TRUE(plain);
  EXPECT_TRUE(GpusOf(*plain).empty());
}

TEST(AssignGpus, TheNearestThatAreLeft) {
  const std::vector<Gpu> amd = GpusOf(Machine("amd"));
  EXPECT_EQ(Assigned(amd, {{1, Cpu(0)}, {1, Cpu(4)}, {1, Cpu(8)}, {1, Cpu(12)}}), "4 2 6 0");
  EXPECT_EQ(Assigned(amd, {{2, Cpu(0)}, {2, Cpu(1)}}), "45 01") << "its own are gone";
  const std::vector<Gpu> nvidia = GpusOf(Machine("nvidia"));
  EXPECT_EQ(Assigned(nvidia, {{3, Cpu(0)}, {1, Cpu(4)}}), "013 2") << "near ones first, for all";
}

TEST(AssignGpus, UnboundRanksTakeThemInOrder) {
  const std::vector<Gpu> gpus = GpusOf(Machine("nvidia"));
  EXPECT_EQ(Assigned(gpus, {{1, {}}, {0, {}}, {2, {}}}), "0 - 12");
}

TEST(AssignGpus, TooFewAreRefused) {
  EXPECT_EQ(Assigned(GpusOf(Machine("nvidia")), {{2, {}}, {3, {}}}),
            "the ranks there need 5 GPUs (--gpus-per-rank), and it has 4");
}

TEST(VisibleGpus, OnlyWhatIsListedAndByItsName) {
  const std::vector<Gpu> gpus = GpusOf(Machine("nvidia"));
  EXPECT_EQ(Shown(VisibleGpus(gpus, "3,1")), "3=0000:c3:00.0@4-7 1=0000:43:00.0@0-3");
  EXPECT_EQ(Shown(VisibleGpus(gpus, "GPU-8f3a, 0")), "GPU-8f3a=@ 0=0000:1b:00.0@0-3");
  EXPECT_EQ(Shown(VisibleGpus(gpus, "2,-1,0")), "2=0000:9d:00.0@4-7") << "as CUDA reads it";
  EXPECT_EQ(Shown(VisibleGpus(gpus, "NoDevFiles")), "");
  EXPECT_EQ(Shown(VisibleGpus(gpus, "")), "");
  EXPECT_EQ(Shown(VisibleGpus({}, "0")), "");
}

TEST(GpuVariables, AreThoseOfTheVendor) {
  using Lines = std::vector<std::string>;
  const auto some = [](const char* machine, size_t first) {
    const std::vector<Gpu> all = GpusOf(Machine(machine));
    return std::vector<Gpu>(all.begin() + static_cast<ptrdiff_t>(first), all.end());
  };
  EXPECT_EQ(GpuVariables(some("nvidia", 2)), (Lines{"CUDA_VISIBLE_DEVICES=2,3"}));
  EXPECT_EQ(GpuOrderVariables(GpuVendor::kNvidia), (Lines{"CUDA_DEVICE_ORDER=PCI_BUS_ID"}));
  EXPECT_EQ(GpuVariables(some("amd", 6)),
            (Lines{"ROCR_VISIBLE_DEVICES=6,7", "HIP_VISIBLE_DEVICES=0,1"}));
  EXPECT_EQ(GpuVariables(some("intel", 0)), (Lines{"ZE_AFFINITY_MASK=1"}));
}

}  // namespace
}  // namespace rex
