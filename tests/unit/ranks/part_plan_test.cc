// What a node makes of LaunchPart: directories, environments, what the host is told, who is blamed.
#include "launcher/ranks/part_plan.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "launcher/base/private_dir.h"
#include "launcher/ranks/env_list.h"

namespace rex {
namespace {

class PartPlanTest : public ::testing::Test {
 protected:
  PartPlanTest() {
    char pattern[] = "/tmp/rex-part-plan-XXXXXX";
    dir_ = ::mkdtemp(pattern);
    const char* home = std::getenv("HOME");
    if (home != nullptr) home_before_ = home;
    ::setenv("HOME", dir_.c_str(), 1);
  }
  ~PartPlanTest() override {
    if (home_before_) {
      ::setenv("HOME", home_before_->c_str(), 1);
    } else {
      ::unsetenv("HOME");
    }
    RemoveTree(dir_);
  }

  static AppSpec App(uint32_t ranks, const std::string& program = "/bin/true") {
    AppSpec app;
    app.argv = {program};
    app.ranks = ranks;
    return app;
  }
  // Ranks of all apps dealt out over three nodes.
  static LaunchPart Launch(JobSpec spec,
                           std::vector<MapRun> runs = {
                               {NodeId{1}, 0, 2, 3}, {NodeId{2}, 1, 2, 3}, {NodeId{4}, 2, 2, 3}}) {
    if (spec.cwd.empty()) spec.cwd = "/";
    LaunchPart launch;
    launch.name_space = "rex-test";
    launch.map = std::make_shared<const JobMap>(*JobMap::Make(runs, spec.TotalRanks(), 5));
    for (const NodeId node : launch.map->nodes()) {
      launch.node_names.push_back("n" + std::to_string(Index(node)));
    }
    launch.slots = 3;
    launch.spec = std::make_shared<const JobSpec>(std::move(spec));
    return launch;
  }
  NodeFacts Node(uint32_t id) const {
    NodeFacts node;
    node.id = NodeId{id};
    node.name = "n" + std::to_string(id);
    node.slots = 2;
    node.session_dir = dir_;
    node.shm_dir = dir_ + "/shm";
    return node;
  }
  static JobSpec Spec(std::vector<AppSpec> apps) {
    JobSpec spec;
    spec.apps = std::move(apps);
    return spec;
  }
  static PartPlan Plan(const LaunchPart& launch, const NodeFacts& node) {
    CoreLeases none(kNoLeases);
    auto plan = PlanPart(launch, node, &none);
    if (const Failure* failure = std::get_if<Failure>(&plan)) {
      ADD_FAILURE() << failure->detail;
      return {};
    }
    return std::get<PartPlan>(std::move(plan));
  }
  static Failure FailureOf(const LaunchPart& launch, const NodeFacts& node) {
    CoreLeases none(kNoLeases);
    auto plan = PlanPart(launch, node, &none);
    const Failure* failure = std::get_if<Failure>(&plan);
    return failure != nullptr ? *failure : Failure{};
  }
  static std::string ValueOf(const AppPlan& app, const std::string& name) {
    for (const std::string& entry : app.env) {
      if (entry.starts_with(name + "=")) return entry.substr(name.size() + 1);
    }
    return "(not set)";
  }

  std::string dir_;
  std::optional<std::string> home_before_;
};

TEST_F(PartPlanTest, ANodeHasTheRanksThatTheMapGivesIt) {
  const PartPlan plan = Plan(Launch(Spec({App(6)})), Node(2));
  EXPECT_EQ(plan.ranks, (std::vector<Rank>{1, 4}));
  EXPECT_EQ(plan.apps[0].path, "/bin/true");
}

// ---- processors

JobSpec Bound(JobSpec spec, HwObject object) {
  for (AppSpec& app : spec.apps) {
    app.place.map = MapBy::kSlot;
    app.place.bind = BindTo::kObject;
    app.place.bind_object = object;
  }
  return spec;
}

NodeFacts WithCores(NodeFacts node, uint32_t cores) {
  node.slots = cores;
  node.hardware = std::make_shared<const Hardware>(PlainHardware(cores));
  return node;
}

TEST_F(PartPlanTest, RanksAreBoundByTheNodesOwnHardware) {
  const LaunchPart launch = Launch(Bound(Spec({App(6)}), HwObject::kCore));
  const PartPlan plan = Plan(launch, WithCores(Node(2), 2));  // ranks 1 and 4
  EXPECT_EQ(plan.bindings, (std::vector<std::vector<uint64_t>>{{1}, {2}}));
  EXPECT_FALSE(plan.oversubscribed);
  EXPECT_NE(plan.digest, Plan(launch, WithCores(Node(4), 2)).digest);
  const Failure failure = FailureOf(launch, WithCores(Node(2), 1));
  EXPECT_EQ(failure.kind, FailureKind::kNoResources);
  EXPECT_NE(failure.detail.find("core:overload-allowed"), std::string::npos) << failure.detail;
}

TEST_F(PartPlanTest, RanksThatShareACoreAreToldToYield) {
  JobSpec spec = Spec({App(6)});
  EXPECT_FALSE(Plan(Launch(spec), WithCores(Node(2), 2)).oversubscribed);
  EXPECT_TRUE(Plan(Launch(spec), WithCores(Node(2), 1)).oversubscribed);
  spec.apps[0].slot_lists = std::vector<std::string>(6, "3");
  EXPECT_TRUE(Plan(Launch(spec), WithCores(Node(2), 4)).oversubscribed)
      << "both are bound to core 3";
}

// Each of them has few ranks, and all have the same cores.
TEST_F(PartPlanTest, VirtualNodesCountTheRanksOfAll) {
  LaunchPart launch = Launch(Spec({App(6)}));
  launch.virtual_nodes = true;
  const PartPlan plan = Plan(launch, WithCores(Node(2), 4));
  EXPECT_TRUE(plan.oversubscribed) << "6 ranks on 4 cores";
  EXPECT_EQ(ValueOf(plan.apps[0], "OMPI_MCA_mpi_yield_when_idle"), "1");
  EXPECT_FALSE(Plan(launch, WithCores(Node(2), 6)).oversubscribed);
  launch = Launch(Bound(Spec({App(6)}), HwObject::kCore));
  launch.virtual_nodes = true;
  EXPECT_TRUE(Plan(launch, WithCores(Node(2), 6)).oversubscribed) << "all bind to the first two";
}

// ---- directories

TEST_F(PartPlanTest, ACurrentDirectoryThatIsNotThereIsReplacedByHome) {
  JobSpec spec = Spec({App(6)});
  spec.cwd = dir_ + "/missing";
  const PartPlan plan = Plan(Launch(spec), Node(2));
  EXPECT_EQ(plan.apps[0].wdir, dir_);
  EXPECT_EQ(ValueOf(plan.apps[0], "PWD"), dir_);
  ASSERT_FALSE(plan.notices.empty());
  EXPECT_NE(plan.notices[0].text.find("n2"), std::string::npos) << plan.notices[0].text;
  EXPECT_NE(plan.notices[0].text.find(spec.cwd), std::string::npos);
}

TEST_F(PartPlanTest, OnTheHeadsNodeItMustBeThere) {
  JobSpec spec = Spec({App(2)});
  spec.cwd = dir_ + "/missing";
  const Failure failure = FailureOf(Launch(spec, {{NodeId{0}, 0, 2, 1}}), Node(0));
  EXPECT_EQ(failure.kind, FailureKind::kWdirMissing);
}

TEST_F(PartPlanTest, ADirectoryThatTheUserNamedMustBeThereEverywhere) {
  AppSpec app = App(6);
  app.wdir = dir_ + "/missing";
  const Failure failure = FailureOf(Launch(Spec({app})), Node(4));
  EXPECT_EQ(failure.kind, FailureKind::kWdirMissing);
  EXPECT_EQ(failure.rank, 2U) << "the lowest rank of the app on this node";
}

// ---- blame

TEST_F(PartPlanTest, AMissingProgramIsBlamedOnTheLowestRankHere) {
  const Failure failure =
      FailureOf(Launch(Spec({App(2), App(4, "/no/such")})), Node(2));  // ranks 1 and 4 are here
  EXPECT_EQ(failure.kind, FailureKind::kProgramNotFound);
  EXPECT_EQ(failure.rank, 4U);
}

TEST_F(PartPlanTest, AProgramWithoutRanksHereIsNotLookedFor) {
  // Ranks 0 and 1 are the first app's; node 4 has ranks 2 and 5.
  const PartPlan plan = Plan(Launch(Spec({App(2, "/no/such"), App(4)})), Node(4));
  EXPECT_EQ(plan.apps[0].path, "");
  EXPECT_EQ(plan.apps[1].path, "/bin/true");
  EXPECT_EQ(plan.AppOf(5).argv[0], "/bin/true");
}

TEST_F(PartPlanTest, LackOfDescriptorsIsSaidBeforeBirths) {
  NodeFacts node = Node(2);
  node.open_files = 100;
  const Failure failure = FailureOf(Launch(Spec({App(6)})), node);
  EXPECT_EQ(failure.kind, FailureKind::kNoResources);
}

// ---- environment

TEST_F(PartPlanTest, LaterSettingsWinInTheirOrder) {
  AppSpec app = App(6);
  app.env = {"A=app"};
  JobSpec spec = Spec({app});
  spec.env = {"A=job", "B=job", "PWD=/wrong"};
  const PartPlan plan = Plan(Launch(spec), Node(1));
  EXPECT_EQ(ValueOf(plan.apps[0], "A"), "app");
  EXPECT_EQ(ValueOf(plan.apps[0], "B"), "job");
  EXPECT_EQ(ValueOf(plan.apps[0], "PWD"), "/");
}

TEST_F(PartPlanTest, TheUsersSettingsWinOverDefaults) {
  JobSpec spec = Spec({App(6)});
  spec.env = {"OMPI_MCA_btl_vader_backing_directory=/mine"};
  const PartPlan plan = Plan(Launch(spec), Node(1));
  EXPECT_EQ(ValueOf(plan.apps[0], "OMPI_MCA_btl_vader_backing_directory"), "/mine");
}

TEST_F(PartPlanTest, TheNodesOwnEnvironmentComesOnlyWhenAskedFor) {
  ::setenv("REX_PART_PLAN_SECRET", "1", 1);
  ::setenv("PART_PLAN_OWN", "node", 1);
  JobSpec spec = Spec({App(6)});
  EXPECT_EQ(ValueOf(Plan(Launch(spec), Node(1)).apps[0], "PART_PLAN_OWN"), "(not set)");
  spec.node_env = true;
  const PartPlan plan = Plan(Launch(spec), Node(1));
  EXPECT_EQ(ValueOf(plan.apps[0], "PART_PLAN_OWN"), "node");
  EXPECT_EQ(ValueOf(plan.apps[0], "REX_PART_PLAN_SECRET"), "(not set)");
  spec.env = {"PART_PLAN_OWN=job"};
  EXPECT_EQ(ValueOf(Plan(Launch(spec), Node(1)).apps[0], "PART_PLAN_OWN"), "job");
  ::unsetenv("REX_PART_PLAN_SECRET");
  ::unsetenv("PART_PLAN_OWN");
}

TEST_F(PartPlanTest, RanksYieldWhereTheyShareCores) {
  NodeFacts narrow = Node(1);
  narrow.slots = 1;
  const LaunchPart launch = Launch(Spec({App(6)}));
  EXPECT_EQ(ValueOf(Plan(launch, narrow).apps[0], "OMPI_MCA_mpi_yield_when_idle"), "1");
  EXPECT_EQ(ValueOf(Plan(launch, Node(2)).apps[0], "OMPI_MCA_mpi_yield_when_idle"), "(not set)");
}

TEST_F(PartPlanTest, VirtualNodesReachEachOtherByLoopback) {
  LaunchPart launch = Launch(Spec({App(6)}));
  const std::string name = "OMPI_MCA_btl_tcp_if_include";
  EXPECT_EQ(ValueOf(Plan(launch, Node(1)).apps[0], name), "(not set)");
  launch.virtual_nodes = true;
  EXPECT_EQ(ValueOf(Plan(launch, Node(1)).apps[0], name), "lo");
}

TEST(MergeEnvironments, KeepsTheOrderOfFirstAppearance) {
  const std::vector<std::string> a = {"X=1", "Y=1"}, b = {"Z=2", "X=2"};
  EXPECT_EQ(MergeEnvironments({&a, &b}), (std::vector<std::string>{"X=2", "Y=1", "Z=2"}));
}

TEST(ValueOf, TheLastAssignmentCounts) {
  const std::vector<std::string> env = {"A=1", "AB=2", "A=3", "C="};
  EXPECT_EQ(ValueOf(env, "A"), "3");
  EXPECT_EQ(ValueOf(env, "C"), "");
  EXPECT_FALSE(ValueOf(env, "B"));
}

// ---- what the host is told

TEST_F(PartPlanTest, TheHostLearnsTheWholeMap) {
  const LaunchPart launch = Launch(Spec({App(2), App(4)}));
  const NodeFacts node = Node(2);
  const pmix::RegisterJob job = RegistrationOf(launch, Plan(launch, node), node);
  EXPECT_EQ(job.name_space, "rex-test");
  EXPECT_EQ(job.local_node, 1U);
  EXPECT_EQ(job.slots, 6U) << "never fewer than ranks";
  ASSERT_EQ(job.nodes.size(), 3U);
  const std::vector<std::string> names = {"n1", "n2", "n4"};
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(job.nodes[i].name, names[i]);
    ASSERT_EQ(job.nodes[i].runs.size(), 1U);
    EXPECT_EQ(job.nodes[i].runs[0].first, i);
    EXPECT_EQ(job.nodes[i].runs[0].count, 2U);
    EXPECT_EQ(job.nodes[i].runs[0].stride, 3U);
  }
  ASSERT_EQ(job.apps.size(), 2U);
  EXPECT_EQ(job.apps[1].first_rank, 2U);
  EXPECT_EQ(job.apps[1].ranks, 4U);
  EXPECT_EQ(job.apps[0].wdir, "/");
}

TEST_F(PartPlanTest, AFenceIsTheWholeJobsWhenAllRanksOrTheWildcardAreNamed) {
  const LaunchPart launch = Launch(Spec({App(6)}));
  EXPECT_TRUE(IsWholeJob(launch, {{"rex-test", pmix::kRankWildcard}}));
  EXPECT_FALSE(IsWholeJob(launch, {{"other", pmix::kRankWildcard}}));
  std::vector<pmix::ProcId> all;
  for (Rank rank = 0; rank < 6; ++rank) {
    EXPECT_FALSE(IsWholeJob(launch, all));
    all.push_back({"rex-test", rank});
  }
  EXPECT_TRUE(IsWholeJob(launch, all));
}

}  // namespace
}  // namespace rex
