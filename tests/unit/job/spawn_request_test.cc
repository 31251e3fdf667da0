// What a spawn's directives do, each key by itself.
#include "launcher/job/spawn_request.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

using Info = pmix::SpawnInfo;

class SpawnRequestTest : public ::testing::Test {
 protected:
  SpawnRequestTest() {
    parent_.apps.push_back({{"./parent"}, 2, "", {"P=1"}, "", 0, {}});
    parent_.cwd = "/work";
    parent_.env = {"PATH=/bin", "A=1"};
    parent_.stdin_rank = 0;
    parent_.umask = 077;
    nodes_ = {{kHeadNode, "n0.cluster", 4, 4, false, 0}, {NodeId{1}, "n1", 4, 4, false, 0}};
  }
  static Info Text(const std::string& key, const std::string& text) {
    Info info;
    info.key = key;
    info.type = Info::Type::kText;
    info.text = text;
    return info;
  }
  static Info Number(const std::string& key, int64_t number) {
    Info info;
    info.key = key;
    info.type = Info::Type::kNumber;
    info.number = number;
    return info;
  }
  static Info Envar(const std::string& key, const std::string& name, const std::string& value) {
    Info info;
    info.key = key;
    info.type = Info::Type::kEnvar;
    info.text = name;
    info.value = value;
    return info;
  }
  std::variant<SpawnPlan, SpawnRefusal> Plan(std::vector<Info> job, std::vector<Info> app = {}) {
    pmix::Spawn spawn;
    spawn.infos = std::move(job);
    spawn.apps.push_back({"./child", {"child", "x"}, {"E=1"}, "/work", 4, std::move(app)});
    return PlanSpawn(spawn, {parent_, parent_.apps[0], nodes_,
                             [](const std::string& path) -> Result<std::string> {
                               if (path == "/work/hosts") return std::string("n1 slots=2\n");
                               return Error{Errc::kNotFound, "no file " + path};
                             }});
  }
  SpawnPlan Good(std::vector<Info> job, std::vector<Info> app = {}) {
    auto plan = Plan(std::move(job), std::move(app));
    if (const auto* refusal = std::get_if<SpawnRefusal>(&plan)) {
      ADD_FAILURE() << refusal->text;
      return {};
    }
    return std::get<SpawnPlan>(std::move(plan));
  }
  // The status and, in its text, `part`.
  void Refused(const Info& info, int32_t status, const std::string& part) {
    for (const bool of_job : {true, false}) {
      const auto plan = of_job ? Plan({info}) : Plan({}, {info});
      const auto* refusal = std::get_if<SpawnRefusal>(&plan);
      ASSERT_NE(refusal, nullptr) << info.key;
      EXPECT_EQ(refusal->status, status) << refusal->text;
      EXPECT_NE(refusal->text.find(part), std::string::npos) << refusal->text;
    }
  }

  JobSpec parent_;
  std::vector<JobNode> nodes_;
};

TEST_F(SpawnRequestTest, WithoutDirectivesTheParentsWaysAndItsOwnProgram) {
  const JobSpec spec = Good({}).spec;
  ASSERT_EQ(spec.apps.size(), 1U);
  EXPECT_EQ(spec.apps[0].argv, (std::vector<std::string>{"./child", "x"}));
  EXPECT_EQ(spec.apps[0].ranks, 4U);
  EXPECT_EQ(spec.apps[0].env, (std::vector<std::string>{"P=1", "E=1"}));
  EXPECT_EQ(spec.apps[0].wdir, "");  // the job's directory, which may be missing on a node
  EXPECT_EQ(spec.env, parent_.env);
  EXPECT_EQ(spec.umask, 077U);
  EXPECT_EQ(spec.stdin_rank, kStdinNone);
}

TEST_F(SpawnRequestTest, Hosts) {
  EXPECT_EQ(Good({}, {Text("pmix.host", "n1")}).spec.apps[0].nodes, std::vector<uint32_t>{1});
  EXPECT_EQ(Good({}, {Text("pmix.host", "n1:2,n0")}).spec.apps[0].nodes,
            (std::vector<uint32_t>{1, 0}));
  EXPECT_EQ(Good({}, {Text("pmix.host", "localhost")}).spec.apps[0].nodes,
            std::vector<uint32_t>{0});
  EXPECT_EQ(Good({Text("pmix.addhost", "n1")}).spec.apps[0].nodes, std::vector<uint32_t>{1});
  EXPECT_EQ(Good({Text("pmix.hostfile", "hosts")}).spec.apps[0].nodes, std::vector<uint32_t>{1});
  EXPECT_EQ(Good({Text("pmix.addhostfile", "/work/hosts")}).spec.apps[0].nodes,
            std::vector<uint32_t>{1});
  Refused(Text("pmix.host", "n2"), pmix::kErrNotFound, "'n2'");
  Refused(Text("pmix.addhost", "n2"), pmix::kErrNotFound, "--host");
  Refused(Text("pmix.host", "n1:x"), pmix::kErrBadParam, "n1:x");
  Refused(Text("pmix.host", "^n1"), pmix::kErrNotSupported, "^NAME");
  Refused(Text("pmix.hostfile", "missing"), pmix::kErrNotFound, "/work/missing");
}

TEST_F(SpawnRequestTest, Directories) {
  EXPECT_EQ(Good({}, {Text("pmix.wdir", "/other")}).spec.apps[0].wdir, "/other");
  EXPECT_EQ(Good({}, {Text("pmix.wdir", "sub")}).spec.apps[0].wdir, "/work/sub");
}

TEST_F(SpawnRequestTest, Mapping) {
  const auto place = [this](const Info& info) { return Good({info}).spec.apps[0].place; };
  EXPECT_EQ(place(Text("pmix.mapby", "node")).map, MapBy::kNode);
  EXPECT_EQ(place(Text("pmix.mapby", "socket")).map_object, HwObject::kSocket);
  EXPECT_EQ(place(Text("pmix.mapby", "slot:PE=2")).cpus_per_rank, 2U);
  EXPECT_EQ(place(Text("pmix.mapby", "ppr:3:node")).ppr[0].count, 3U);
  EXPECT_EQ(place(Text("pmix.ppr", "2:socket")).ppr[0].object, HwObject::kSocket);
  EXPECT_EQ(place(Text("pmix.rankby", "socket")).rank_object, HwObject::kSocket);
  EXPECT_TRUE(Good({Text("pmix.mapby", "slot:OVERSUBSCRIBE")}).spec.oversubscribe);
  EXPECT_TRUE(Good({Text("pmix.mapby", ":NOOVERSUBSCRIBE")}).spec.refuse_oversubscribe);
  EXPECT_TRUE(Good({Number("pmix.noover", 1)}).spec.refuse_oversubscribe);
  EXPECT_EQ(Good({Text("pmix.ppr", "2:n")}).spec.apps[0].per_node, 2U);
  Good({Text("pmix.mapper", "round_robin")});
  Refused(Text("pmix.mapby", "moon"), pmix::kErrNotSupported, "'moon'");
  Refused(Text("pmix.mapby", "seq"), pmix::kErrNotSupported, "'seq'");
  Refused(Text("pmix.mapby", "rankfile"), pmix::kErrNotSupported, "'rankfile'");
  Refused(Text("pmix.rankby", "moon"), pmix::kErrNotSupported, "rank_by");
  Refused(Text("pmix.ppr", "2:moon"), pmix::kErrNotSupported, "2:moon");
  Refused(Text("pmix.ppr", "x:n"), pmix::kErrBadParam, "x:n");
  Refused(Text("pmix.ppr", "0:n"), pmix::kErrBadParam, "0:n");
  Refused(Text("pmix.mapper", "seq"), pmix::kErrNotSupported, "seq");
}

TEST_F(SpawnRequestTest, NolocalLeavesOutTheNodeOfTheHead) {
  EXPECT_EQ(Good({Text("pmix.mapby", "slot:NOLOCAL")}).spec.apps[0].nodes,
            std::vector<uint32_t>{1});
  const auto both = Good({Text("pmix.mapby", ":NOLOCAL")}, {Text("pmix.host", "n1,n0")});
  EXPECT_EQ(both.spec.apps[0].nodes, std::vector<uint32_t>{1});
  nodes_.pop_back();
  Refused(Text("pmix.mapby", "slot:NOLOCAL"), pmix::kErrNotFound, "NOLOCAL");
}

TEST_F(SpawnRequestTest, Binding) {
  const auto place = [this](const Info& info) { return Good({info}).spec.apps[0].place; };
  EXPECT_EQ(place(Text("pmix.bindto", "none")).bind, BindTo::kNone);
  EXPECT_EQ(place(Text("pmix.bindto", "core")).bind, BindTo::kObject);
  EXPECT_EQ(place(Text("pmix.bindto", "numa")).bind_object, HwObject::kNuma);
  EXPECT_EQ(place(Text("pmix.cpulist", "0,2-5")).cpu_list, "0,2-5");
  Refused(Text("pmix.bindto", "moon"), pmix::kErrNotSupported, "moon");
}

TEST_F(SpawnRequestTest, Environment) {
  using Env = std::vector<std::string>;
  EXPECT_EQ(Good({Envar("pmix.envar.set", "E", "2")}).spec.apps[0].env, (Env{"P=1", "E=2"}));
  EXPECT_EQ(Good({Envar("pmix.envar.add", "E", "2")}).spec.apps[0].env, (Env{"P=1", "E=1"}));
  EXPECT_EQ(Good({Envar("pmix.envar.add", "A", "2")}).spec.apps[0].env, (Env{"P=1", "E=1"}));
  EXPECT_EQ(Good({Envar("pmix.envar.prepnd", "PATH", "/x")}).spec.apps[0].env,
            (Env{"P=1", "E=1", "PATH=/x:/bin"}));
  EXPECT_EQ(Good({Envar("pmix.envar.appnd", "E", "2")}).spec.apps[0].env, (Env{"P=1", "E=1:2"}));
  EXPECT_EQ(Good({Text("pmix.envar.unset", "A")}).spec.env, Env{"PATH=/bin"});
  EXPECT_EQ(Good({Text("pmix.prefix", "/opt/mpi")}).spec.apps[0].env,
            (Env{"P=1", "E=1", "PATH=/opt/mpi/bin:/bin", "LD_LIBRARY_PATH=/opt/mpi/lib"}));
  Refused(Text("pmix.prefix", "mpi"), pmix::kErrBadParam, "absolute");
  Refused(Envar("pmix.envar.set", "A=B", "2"), pmix::kErrBadParam, "A=B");
}

TEST_F(SpawnRequestTest, Stdin) {
  EXPECT_EQ(Good({Number("pmix.stdin", 3)}).spec.stdin_rank, 3);
  EXPECT_EQ(Good({Number("pmix.stdin", pmix::kRankWildcard)}).spec.stdin_rank, kStdinAll);
  EXPECT_EQ(Good({Number("pmix.stdin", 0xffffffff)}).spec.stdin_rank, kStdinNone);
  EXPECT_EQ(Good({Text("pmix.stdin", "all")}).spec.stdin_rank, kStdinAll);
  Refused(Number("pmix.stdin", 4), pmix::kErrBadParam, "rank 4");
  Refused(Text("pmix.stdin", "some"), pmix::kErrBadParam, "some");
}

TEST_F(SpawnRequestTest, FilesAreNotBroughtToOtherNodes) {
  Refused(Number("pmix.preloadbin", 1), pmix::kErrNotSupported, "pmix.preloadbin");
  Refused(Text("pmix.preloadfiles", "f"), pmix::kErrNotSupported, "pmix.preloadfiles");
  Good({Number("pmix.preloadbin", 0)});
  nodes_.pop_back();  // one machine has them
  Good({Number("pmix.preloadbin", 1), Text("pmix.preloadfiles", "f")});
}

TEST_F(SpawnRequestTest, TheRest) {
  EXPECT_TRUE(Good({Number("pmix.dispmap", 1)}).spec.show_map);
  EXPECT_TRUE(Good({Number("pmix.repbind", 1)}).spec.show_bindings);
  Good({Number("pmix.nonpmi", 1), Text("pmix.pers", "ompi"), Number("pmix.notecomp", 0)});
  Refused(Text("pmix.pers", "slurm"), pmix::kErrNotSupported, "slurm");
  Refused(Number("pmix.notecomp", 1), pmix::kErrNotSupported, "pmix.notecomp");
  Refused(Number("pmix.mapby", 1), pmix::kErrBadParam, "pmix.mapby");
  Refused(Number("no.such.key", 1), pmix::kErrNotSupported, "no.such.key");
  Info optional = Number("no.such.key", 1);
  optional.optional = true;
  Good({optional});
}

TEST_F(SpawnRequestTest, FailuresHaveAStatus) {
  const auto status = [](FailureKind kind) {
    Failure failure;
    failure.kind = kind;
    return StatusOfSpawnFailure(failure);
  };
  EXPECT_EQ(status(FailureKind::kProgramNotFound), pmix::kErrJobExeNotFound);
  EXPECT_EQ(status(FailureKind::kProgramNotRunnable), pmix::kErrJobExeNotRunnable);
  EXPECT_EQ(status(FailureKind::kWdirMissing), pmix::kErrJobWdirNotFound);
  EXPECT_EQ(status(FailureKind::kNoResources), pmix::kErrOutOfResource);
  EXPECT_EQ(status(FailureKind::kNodeLost), pmix::kErrUnreach);
  EXPECT_EQ(status(FailureKind::kInternal), pmix::kError);
  Failure rank;
  rank.kind = FailureKind::kRankExit;
  EXPECT_FALSE(IsSpawnFailure(rank));
}

}  // namespace
}  // namespace rex
