// Where ranks run, as they see it themselves: mapped, bound, counted, under templates and without.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class PlacesTest : public RexTest {
 protected:
  void SetUp() override {
    cpu_set_t usable;
    ASSERT_EQ(::sched_getaffinity(0, sizeof usable, &usable), 0);
    cpus_ = static_cast<unsigned>(CPU_COUNT(&usable));
    if (cpus_ < 2) GTEST_SKIP() << "one processor only";
  }

  // "0 0", "1 1": each rank with the processors that it may use, sorted.
  std::vector<std::string> PlacesOf(std::vector<std::string> args) {
    args.insert(
        args.end(),
        {"sh", "-c", "echo $PMIX_RANK $(grep Cpus_allowed_list /proc/self/status | cut -f2)"});
    const CommandResult result = Rex(args);
    EXPECT_TRUE(ExitedWith(result, 0));
    return SortedLines(result.out);
  }

  unsigned cpus_ = 0;
};

using Lines = std::vector<std::string>;

TEST_F(PlacesTest, TwoRanksHaveACoreEachByDefault) {
  const Lines places = PlacesOf({"-n", "2"});
  ASSERT_EQ(places.size(), 2u);
  EXPECT_NE(places[0].substr(2), places[1].substr(2));
  EXPECT_EQ(PlacesOf({"-n", "2", "--template", "none"}), places) << "however they are born";
}

TEST_F(PlacesTest, BindToNoneLeavesThemAll) {
  const Lines places = PlacesOf({"-n", "2", "--bind-to", "none"});
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(places[0].substr(2), places[1].substr(2));
}

TEST_F(PlacesTest, MoreRanksThanSlotsAreNotBound) {
  const std::string many = std::to_string(cpus_ + 1);
  const Lines places = PlacesOf({"-n", many, "-q"});
  ASSERT_EQ(places.size(), cpus_ + 1);
  EXPECT_EQ(PlacesOf({"-n", many, "-q", "--bind-to", "none"}), places);
}

TEST_F(PlacesTest, RankFilesNameEachRanksCore) {
  const std::string file =
      WriteFile("ranks", "# backwards\nrank 0=localhost slot=1\nrank 1=localhost slot=0\n");
  const Lines places = PlacesOf({"--rankfile", file});
  const Lines straight = PlacesOf({"-n", "2", "--map-by", "core"});
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(places[0].substr(2), straight[1].substr(2));
  EXPECT_EQ(places[1].substr(2), straight[0].substr(2));
  EXPECT_EQ(PlacesOf({"-n", "1", "-rf", file}), Lines{places[0]});
}

TEST_F(PlacesTest, CpuListsHoldForEveryRank) {
  const Lines places = PlacesOf({"-n", "2", "--cpu-set", "1"});
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(places[0].substr(2), places[1].substr(2));
  EXPECT_EQ(places[0].substr(2), PlacesOf({"-n", "2", "--map-by", "core"})[1].substr(2));
}

TEST_F(PlacesTest, EveryProgramMayHaveItsOwn) {
  const std::string show = "echo $PMIX_RANK $(grep Cpus_allowed_list /proc/self/status | cut -f2)";
  const CommandResult result = Rex({"-n", "1", "--map-by", "core", "--bind-to", "core", "sh", "-c",
                                    show, ":", "-n", "1", "--bind-to", "none", "sh", "-c", show});
  ASSERT_TRUE(ExitedWith(result, 0));
  const Lines places = SortedLines(result.out);
  ASSERT_EQ(places.size(), 2u) << result;
  EXPECT_EQ(places[0], PlacesOf({"-n", "1", "--bind-to", "core"})[0]);
  EXPECT_EQ(places[1].substr(2), PlacesOf({"-n", "1", "--bind-to", "none"})[0].substr(2));
}

TEST_F(PlacesTest, AJobThatLeavesACoreFreeIsBoundAsWell) {
  const std::string all = PlacesOf({"-n", "1", "--bind-to", "none"})[0];
  const std::string one = PlacesOf({"-n", "1"})[0];
  EXPECT_NE(one, all);
  EXPECT_EQ(one, PlacesOf({"-n", "1", "--map-by", "core"})[0]) << "the first core, as mpirun";
}

TEST_F(PlacesTest, OmpNumThreadsGetsThatManyCores) {
  const CommandResult fits =
      Rex({"-n", "1", "-x", "OMP_NUM_THREADS=2", "--report-bindings", "true"});
  ASSERT_TRUE(ExitedWith(fits, 0));
  EXPECT_TRUE(Contains(fits.err, "each rank is bound to 2 cores, as OMP_NUM_THREADS says")) << fits;
  const std::string many = std::to_string(cpus_ + 1);
  const CommandResult full = Rex({"-n", "1", "-x", "OMP_NUM_THREADS=" + many, "true"});
  ASSERT_TRUE(ExitedWith(full, 0));
  EXPECT_TRUE(Contains(full.err, "ranks are not bound: the threads of OMP_NUM_THREADS=" + many))
      << full;
}

TEST_F(PlacesTest, BoundRanksThatShareACoreYield) {
  const CommandResult result =
      Rex({"-n", "2", "--cpu-set", "0", "sh", "-c", "echo $OMPI_MCA_mpi_yield_when_idle"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "1\n1\n");
}

// Without a template Open MPI yields only behind MPI_Init, and spawned children meet slowly.
TEST_F(PlacesTest, YieldingHoldsFromTheStart) {
  struct Case {
    const char* birth;
    const char* asked;
    const char* line;
  };
  for (const Case& c :
       {Case{"auto", "1", "yields before=1 after=1"}, Case{"none", "1", "yields before=0 after=1"},
        Case{"auto", "0", "yields before=0 after=0"}}) {
    const CommandResult result =
        Rex({"-n", "2", "--template", c.birth, "--mca", "mpi_yield_when_idle", c.asked,
             ProgramPath("mpi_early_yield")});
    ASSERT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(CountOf(result.out, c.line), 2U) << c.birth << c.asked << result;
  }
}

TEST_F(PlacesTest, LocalMemoryIsSetBeforeTheProgramRuns) {
  if (::access("/proc/self/numa_maps", R_OK) != 0) GTEST_SKIP() << "a kernel without NUMA";
  for (const char* birth : {"auto", "none"}) {
    const CommandResult result =
        Rex({"-n", "1", "--bind-to", "core", "--template", birth, "--mca",
             "hwloc_base_mem_alloc_policy", "local_only", "head", "-1", "/proc/self/numa_maps"});
    ASSERT_TRUE(ExitedWith(result, 0));
    EXPECT_TRUE(Contains(result.out, " bind:")) << birth << result;
  }
}

TEST_F(PlacesTest, WhatCanNotBeIsSaidAndNothingStarts) {
  struct Case {
    std::vector<std::string> args;
    int code;
    std::string says;
  };
  const std::string file =
      WriteFile("ranks", "rank 0=localhost slot=0\nrank 1=localhost slot=9999\n");
  const std::string broken = WriteFile("broken", "rank 0=localhost slot=0\n\nrank 1=localhost\n");
  const std::string pe = std::to_string(cpus_ + 1);
  const Case cases[] = {
      {{"--map-by", "sockets"}, 2, "'sockets' is not something to map by; write slot, node"},
      {{"--map-by", "slot:PE=" + pe}, 122, "PE=" + pe + ": fewer than " + pe + " usable cores"},
      {{"--map-by", "core:PE=2"}, 122, "PE=2: one core does not have 2 cores; map by something"},
      {{"--rankfile", file}, 122, "rank 1: there is no core number 9999; usable are"},
      {{"--rankfile", broken}, 2, broken + ":3: rank 1 has no slot=CPUS"},
      {{"--rankfile", file, "--map-by", "core"}, 2, "--rankfile and --map-by exclude each other"},
      {{"--npersocket", "1", "--map-by", "core"}, 2, "--npersocket and --map-by exclude each"},
      {{"--cpu-set", "x"}, 2, "'x' is not a cpu's number or a range of them"},
      {{"--nodes-json", file}, 2, "it is not JSON"},
  };
  for (const Case& c : cases) {
    std::vector<std::string> args = c.args;
    args.insert(args.end(), {"echo", "started"});
    const CommandResult result = Rex(args);
    EXPECT_TRUE(ExitedWith(result, c.code)) << c.says;
    EXPECT_TRUE(Contains(result.err, c.says)) << c.says;
    EXPECT_EQ(result.out, "") << c.says;
  }
}

TEST_F(PlacesTest, ADescribedClusterIsPlacedOn) {
  const std::string file = WriteFile(
      "nodes.json", R"([{"hostname": "n[1-3]", "slots": 2, "topology": "package:2 core:2 pu:1"}])");
  const CommandResult result = Rex({"--do-not-launch", "--nodes-json", file, "--display", "map",
                                    "-n", "5", "--map-by", "socket", "no-such-program"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.err, "Data for node: n3\tNum slots: 2\tMax slots: 0\tNum procs: 1"))
      << result;
  EXPECT_TRUE(Contains(result.err,
                       "Process rank: 1 Bound: socket 1[core 2[hwt 0]], "
                       "socket 1[core 3[hwt 0]]:[./.][B/B]"))
      << result;
}

// ---- GPUs

constexpr char kGpuMachines[] = "/tests/unit/sched/gpus/";

TEST_F(PlacesTest, GpusAreTheNearestToEachRanksCores) {
  const std::string nodes =
      WriteFile("gpus.json", "[{\"hostname\": \"g1\", \"topology\": \"" + SourceDir() +
                                 kGpuMachines + "nvidia.xml\"}]");
  const auto show = [&](std::vector<std::string> args) {
    args.insert(args.end(), {"--do-not-launch", "--nodes-json", nodes, "--display", "map", "a"});
    return Rex(args);
  };
  const CommandResult near = show({"-n", "2", "--map-by", "socket", "--gpus-per-rank", "1"});
  ASSERT_TRUE(ExitedWith(near, 0));
  EXPECT_TRUE(Contains(near.err, ":[B/B/B/B][./././.]; GPUs 0 (0000:1b:00.0)\n")) << near;
  EXPECT_TRUE(Contains(near.err, ":[./././.][B/B/B/B]; GPUs 2 (0000:9d:00.0)\n")) << near;
  const CommandResult full = show({"-n", "3", "--gpus-per-rank", "2"});
  EXPECT_TRUE(ExitedWith(full, kExitNoResources));
  EXPECT_TRUE(StderrNames(full, {"g1",
                                 "the ranks there need 6 GPUs (--gpus-per-rank), and it has "
                                 "4; start fewer ranks on it (-N), or lower"}));
}

// The machine is replaced by a file, so ranks can't be bound to its cores.
TEST_F(PlacesTest, RanksAreToldTheirGpus) {
  CommandOptions machine;
  machine.set_env = {{"HWLOC_XMLFILE", SourceDir() + kGpuMachines + "nvidia.xml"}};
  const std::vector<std::string> show = {
      "--report-bindings",
      "--bind-to",
      "none",
      "sh",
      "-c",
      "echo $PMIX_RANK $CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER"};
  const auto told = [&](std::vector<std::string> args) {
    args.insert(args.end(), show.begin(), show.end());
    return Rex(args, machine);
  };
  for (const char* birth : {"auto", "none"}) {
    const CommandResult each = told({"-n", "2", "--gpus-per-rank", "2", "--template", birth});
    ASSERT_TRUE(ExitedWith(each, 0));
    EXPECT_EQ(SortedLines(each.out), (Lines{"0 0,1 PCI_BUS_ID", "1 2,3 PCI_BUS_ID"}));
    EXPECT_TRUE(Contains(each.err, "; GPUs 2 (0000:9d:00.0), 3 (0000:c3:00.0)\n")) << each;
  }
  machine.set_env["CUDA_VISIBLE_DEVICES"] = "3,GPU-8f";
  EXPECT_EQ(SortedLines(told({"-n", "2", "--gpus-per-rank", "1"}).out),
            (Lines{"0 3 PCI_BUS_ID", "1 GPU-8f PCI_BUS_ID"}));
  EXPECT_EQ(told({"-n", "1"}).out, "0 3,GPU-8f\n") << "nothing was asked for";
  const CommandResult full = told({"-n", "3", "--gpus-per-rank", "1"});
  EXPECT_TRUE(ExitedWith(full, kExitNoResources));
  EXPECT_TRUE(StderrNames(full, {"need 3 GPUs", "it has 2 (CUDA_VISIBLE_DEVICES=3,GPU-8f)"}));
  const CommandResult none = Rex({"-n", "1", "--gpus-per-rank", "x", "true"});
  EXPECT_TRUE(ExitedWith(none, kExitUsage));
  EXPECT_TRUE(Contains(none.err, "option '--gpus-per-rank' (word 3): 'x' is not a number of GPUs"));
}

}  // namespace
}  // namespace rex::testing
