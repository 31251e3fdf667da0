// What ranks are told: environment, job, app, node and process values; modex; MPI itself.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "tests/integration/pmix_host/host_fixture.h"
#include "tests/support/paths.h"

namespace rex::pmix {
namespace {

using HostJobs = HostFixture;

void ExpectAllGood(const std::vector<RankResult>& results) {
  for (const auto& r : results) {
    EXPECT_TRUE(WIFEXITED(r.wait_status) && WEXITSTATUS(r.wait_status) == 0)
        << "rank " << r.rank << " status " << r.wait_status << " stderr: " << r.err;
  }
}

TEST_F(HostJobs, EnvironmentNamesTheRank) {
  StartHost();
  const auto job = Register(MakeJob("envjob", {2, 2}));
  ASSERT_EQ(job.status, kSuccess) << job.error;
  EXPECT_EQ(EnvValue(job, 3, "PMIX_NAMESPACE"), "envjob");
  EXPECT_EQ(EnvValue(job, 3, "PMIX_RANK"), "3");
  EXPECT_EQ(EnvValue(job, 3, "OMPI_COMM_WORLD_RANK"), "3");
  EXPECT_EQ(EnvValue(job, 3, "OMPI_COMM_WORLD_SIZE"), "4");
  EXPECT_EQ(EnvValue(job, 3, "OMPI_COMM_WORLD_LOCAL_SIZE"), "4");
  EXPECT_EQ(EnvValue(job, 3, "OMPI_COMM_WORLD_LOCAL_RANK"), "3");
  EXPECT_EQ(EnvValue(job, 3, "OMPI_UNIVERSE_SIZE"), "6");
  EXPECT_EQ(EnvValue(job, 3, "OMPI_COMMAND"), "prog1");
  EXPECT_EQ(EnvValue(job, 0, "OMPI_COMMAND"), "prog0");
  EXPECT_EQ(EnvValue(job, 0, "OMPI_ARGV"), "one two");
  EXPECT_EQ(EnvValue(job, 0, "OMPI_APP_CTX_NUM_PROCS"), "2 2");
  EXPECT_EQ(EnvValue(job, 0, "OMPI_FIRST_RANKS"), "0 2");
  EXPECT_EQ(EnvValue(job, 0, "OMPI_MCA_ess"), "^singleton");
  EXPECT_EQ(EnvValue(job, 0, "OMPI_MCA_orte_launch"), "(none)");
  EXPECT_NE(EnvValue(job, 0, "OMPI_MCA_orte_local_daemon_uri"), "(none)");
  const std::string key = EnvValue(job, 0, "OMPI_MCA_orte_precondition_transports");
  EXPECT_EQ(key.size(), 33u) << key;
  EXPECT_EQ(key.find('-'), 16u);
}

TEST_F(HostJobs, NoSettingOfTheHostReachesRanks) {
  StartHost();
  const auto job = Register(MakeJob("clean", {2}));
  auto all = job.common_env;
  for (const auto& rank : job.ranks) all.insert(all.end(), rank.env.begin(), rank.env.end());
  for (const auto& entry : all) {
    EXPECT_FALSE(entry.starts_with("PMIX_MCA_") || entry.starts_with("HWLOC_")) << entry;
  }
}

TEST_F(HostJobs, CommonAndOwnEnvironmentDoNotOverlap) {
  StartHost();
  const auto job = Register(MakeJob("split", {4}));
  ASSERT_EQ(job.ranks.size(), 4u);
  const auto name = [](const std::string& entry) { return entry.substr(0, entry.find('=')); };
  std::set<std::string> common;
  for (const auto& entry : job.common_env) EXPECT_TRUE(common.insert(name(entry)).second) << entry;
  for (const auto& rank : job.ranks) {
    EXPECT_FALSE(rank.env.empty());
    for (const auto& entry : rank.env) EXPECT_FALSE(common.contains(name(entry))) << entry;
  }
}

TEST_F(HostJobs, KeysOfAJobOfTwoApps) {
  StartHost();
  const auto spec = MakeJob("keys", {1, 3});
  const auto job = Register(spec);
  const auto results = RunRanks(job, {REX_TEST_PROBE, "keys"});
  ExpectAllGood(results);
  ASSERT_EQ(results.size(), 4u);
  for (const auto& r : results) {
    auto got = Lines(r.out);
    const std::string rank = std::to_string(r.rank);
    const std::map<std::string, std::string> want = {
        {"univ_size", "6"},
        {"job_size", "4"},
        {"local_size", "4"},
        {"node_size", "4"},
        {"max_procs", "6"},
        {"num_nodes", "1"},
        {"num_apps", "2"},
        {"local_peers", "0,1,2,3"},
        {"localldr", "0"},
        {"jobid", "keys"},
        {"nsdir", spec.job_dir},
        {"tmpdir", spec.job_dir},
        {"rmclean", "1"},
        {"procdir", spec.job_dir + "/" + rank},
        {"rank", rank},
        {"local_rank", rank},
        {"node_rank", rank},
        {"global_rank", rank},
        {"nodeid", "0"},
        {"hostname", spec.nodes[0].name},
        {"appnum", r.rank == 0 ? "0" : "1"},
        {"appldr", r.rank == 0 ? "0" : "1"},
        {"app_rank", r.rank == 0 ? "0" : std::to_string(r.rank - 1)}};
    for (const auto& [name, value] : want) EXPECT_EQ(got[name], value) << name << " of " << rank;
    EXPECT_TRUE(got["locality"].starts_with("!")) << "an unbound rank has none";
    struct stat file {};
    if (!rex::testing::IsSanitized()) {  // a sanitizer's shadow takes the addresses of the image
      ASSERT_EQ(::stat(got["shmem_file"].c_str(), &file), 0) << got["shmem_file"];
      EXPECT_EQ(file.st_mode & 0777, 0600u);
    }
    EXPECT_EQ(::stat(got["procdir"].c_str(), &file), 0);
  }
}

TEST_F(HostJobs, BoundRanksHaveACpusetAndALocality) {
  StartHost();
  auto spec = MakeJob("bound", {2});
  spec.cpusets = {"0", "1"};
  const auto results = RunRanks(Register(spec), {REX_TEST_PROBE, "keys"});
  ExpectAllGood(results);
  EXPECT_EQ(Lines(results[1].out)["cpuset"], "hwloc:1");
  EXPECT_NE(Lines(results[1].out)["locality"].find("HT"), std::string::npos) << results[1].out;
}

TEST_F(HostJobs, AppValues) {
  StartHost();
  const auto job = Register(MakeJob("apps", {1, 3}));
  const auto results = RunRanks(job, {REX_TEST_PROBE, "apps", "1"});
  ExpectAllGood(results);
  auto got = Lines(results[0].out);
  EXPECT_EQ(got["app_size"], "3");
  EXPECT_EQ(got["appldr"], "1");
  EXPECT_EQ(got["app_argv"], "prog1 one two");
  EXPECT_EQ(got["wdir"], "/");
}

TEST_F(HostJobs, TwoJobsHaveTheirOwnUniverse) {
  StartHost();
  auto first = MakeJob("first", {1});
  auto second = MakeJob("second", {1});
  first.slots = 11;
  second.slots = 22;
  const auto a = Register(first);
  const auto b = Register(second);
  EXPECT_EQ(Lines(RunRanks(a, {REX_TEST_PROBE, "keys"})[0].out)["univ_size"], "11");
  EXPECT_EQ(Lines(RunRanks(b, {REX_TEST_PROBE, "keys"})[0].out)["univ_size"], "22");
}

TEST_F(HostJobs, RanksOfOtherNodesAreKnown) {
  StartHost();
  auto spec = MakeJob("wide", {4});
  spec.nodes[0].runs = {{0, 1}, {2, 1}};
  spec.nodes.push_back({"other-node", {{1, 1}, {3, 1}}});
  const auto job = Register(spec);
  ASSERT_EQ(job.status, kSuccess) << job.error;
  ASSERT_EQ(job.ranks.size(), 2u);
  EXPECT_EQ(job.ranks[1].rank, 2u);
  const auto results = RunRanks(job, {REX_TEST_PROBE, "keys"});
  ExpectAllGood(results);
  auto got = Lines(results[1].out);
  EXPECT_EQ(got["local_peers"], "0,2");
  EXPECT_EQ(got["local_rank"], "1");
  EXPECT_EQ(got["num_nodes"], "2");
}

// Ranks dealt out over nodes, one run a node. Registering is for the local ranks; the maps name
// all.
TEST_F(HostJobs, ThousandsOfRanksOfOtherNodesAreKnown) {
  constexpr uint32_t kNodes = 8;
  constexpr uint32_t kRanks = 10'000;
  StartHost();
  auto spec = MakeJob("huge", {kRanks});
  const std::string here = spec.nodes[0].name;
  spec.nodes.clear();
  for (uint32_t n = 0; n < kNodes; ++n) {
    spec.nodes.push_back(
        {n == 5 ? here : "node" + std::to_string(n), {{n, kRanks / kNodes, kNodes}}});
  }
  spec.local_node = 5;
  EXPECT_LT(EncodeHostMessage(spec).size(), 1000u);
  const auto job = Register(spec);
  ASSERT_EQ(job.status, kSuccess) << job.error;
  ASSERT_EQ(job.ranks.size(), kRanks / kNodes);
  EXPECT_EQ(job.ranks[1].rank, 13u);
  EXPECT_EQ(EnvValue(job, 13, "OMPI_COMM_WORLD_LOCAL_RANK"), "1");
  EXPECT_EQ(EnvValue(job, 13, "OMPI_COMM_WORLD_SIZE"), std::to_string(kRanks));
}

TEST_F(HostJobs, AFenceCarriesEveryRanksData) {
  StartHost();
  const auto job = Register(MakeJob("modex", {4}));
  const auto results = RunRanks(job, {REX_TEST_PROBE, "modex", "300"});
  ExpectAllGood(results);
  const auto fences = Seen<Fence>();
  ASSERT_FALSE(fences.empty());
  EXPECT_TRUE(fences[0].collect);
  EXPECT_GT(fences[0].data.size(), 4 * 300u);
  ASSERT_FALSE(Seen<FenceReleased>().empty());
  EXPECT_GE(Seen<FenceReleased>()[0].at, fences[0].at);
  EXPECT_EQ(Seen<FenceReleased>()[0].participants, fences[0].participants);
}

TEST_F(HostJobs, AFenceOfMegabytes) {
  StartHost();
  const auto job = Register(MakeJob("bigmodex", {2}));
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "modex", "3000000"}));
}

TEST_F(HostJobs, AFailedFenceReachesTheRanks) {
  StartHost();
  intercept_ = [this](const HostMessage& message) {
    const auto* fence = std::get_if<Fence>(&message);
    if (fence != nullptr) Send(FenceDone{fence->request, kErrTimeout, ""});
    return fence != nullptr;
  };
  const auto job = Register(MakeJob("badfence", {2}));
  for (const auto& r : RunRanks(job, {REX_TEST_PROBE, "modex", "10"})) {
    EXPECT_EQ(WEXITSTATUS(r.wait_status), 1);
    EXPECT_NE(r.err.find("TIMEOUT"), std::string::npos) << r.err;
  }
}

TEST_F(HostJobs, MpiRunsWithTwoApps) {
  StartHost();
  const auto job = Register(MakeJob("mpijob", {1, 3}));
  const auto results = RunRanks(job, {REX_TEST_MPI_PROBE});
  ExpectAllGood(results);
  for (const auto& r : results) {
    const std::string want = "rank=" + std::to_string(r.rank) +
                             " size=4 sum=6 shared=4 app=" + (r.rank == 0 ? "0" : "1") +
                             " universe=6\n";
    EXPECT_EQ(r.out, want) << r.err;
    EXPECT_EQ(r.err, "");
  }
  EXPECT_EQ(Seen<ClientEvent>().size(), 8u);
}

}  // namespace
}  // namespace rex::pmix
