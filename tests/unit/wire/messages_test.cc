#include "launcher/wire/messages.h"

#include <gtest/gtest.h>

#include "launcher/wire/launch.pb.h"

namespace rex {
namespace {

JobSpec FullJob() {
  JobSpec job;
  job.apps = {{{"./a", "x y", ""}, 3, "/tmp", {"A=1", "B="}}, {{"b"}, 2, "", {}}};
  job.env = {"HOME=/root", "EMPTY="};
  job.cwd = "/work dir";
  job.stdin_rank = 4;
  job.stdout_pipe = true;
  job.grace = std::chrono::milliseconds(1500);
  job.timeout = std::chrono::milliseconds(0x7fffffff);
  job.report_state = true;
  job.oversubscribe = true;
  job.verbose = true;
  job.umask = 0777;
  job.open_files = UINT64_MAX;
  job.open_files_hard = UINT64_MAX;
  job.timer_slack = std::chrono::microseconds(5000);
  job.no_template = true;
  return job;
}

pb::LaunchJob FullPb() {
  pb::LaunchJob m;
  EXPECT_TRUE(m.ParseFromString(ToWire(FullJob())));
  return m;
}

// What FromWire says about a LaunchJob changed by `change`: the error's text, or "".
template <typename Change>
std::string Refusal(Change change) {
  pb::LaunchJob m = FullPb();
  change(m);
  const auto job = FromWire<JobSpec>(m.SerializeAsString());
  if (job) return "";
  EXPECT_EQ(job.error().code, Errc::kProtocol);
  return job.error().text;
}

TEST(LaunchJob, RoundTrip) {
  const JobSpec job = FullJob();
  const auto back = FromWire<JobSpec>(ToWire(job));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->apps.size(), 2u);
  EXPECT_EQ(back->apps[0].argv, job.apps[0].argv);
  EXPECT_EQ(back->apps[0].ranks, 3u);
  EXPECT_EQ(back->apps[0].wdir, "/tmp");
  EXPECT_EQ(back->apps[0].env, job.apps[0].env);
  EXPECT_EQ(back->apps[1].wdir, "");
  EXPECT_EQ(back->env, job.env);
  EXPECT_EQ(back->cwd, job.cwd);
  EXPECT_EQ(back->stdin_rank, 4);
  EXPECT_TRUE(back->stdout_pipe);
  EXPECT_EQ(back->grace, job.grace);
  EXPECT_EQ(back->timeout, job.timeout);
  EXPECT_TRUE(back->report_state);
  EXPECT_TRUE(back->oversubscribe);
  EXPECT_TRUE(back->verbose);
  EXPECT_EQ(back->umask, 0777u);
  EXPECT_EQ(back->open_files, UINT64_MAX);
  EXPECT_EQ(back->timer_slack, job.timer_slack);
  EXPECT_TRUE(back->no_template);
  EXPECT_EQ(back->TotalRanks(), 5u);
}

// File names and environments are bytes; nobody promises an encoding.
TEST(LaunchJob, TextNeedNotBeUtf8) {
  JobSpec job = FullJob();
  job.apps[0] = {{"./\xe9t\xe9", "\xff\xfe"}, 3, "/tmp/\x80", {"A=\xc3"}};
  job.env = {"L=\xed\xa0\x80"};
  job.cwd = "/\xe9";
  const auto back = FromWire<JobSpec>(ToWire(job));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->apps[0].argv, job.apps[0].argv);
  EXPECT_EQ(back->apps[0].env, job.apps[0].env);
  EXPECT_EQ(back->apps[0].wdir, job.apps[0].wdir);
  EXPECT_EQ(back->env, job.env);
  EXPECT_EQ(back->cwd, job.cwd);
}

TEST(LaunchJob, StdinForAllAndForNone) {
  for (const int32_t rank : {kStdinAll, kStdinNone, 0}) {
    JobSpec job = FullJob();
    job.stdin_rank = rank;
    const auto back = FromWire<JobSpec>(ToWire(job));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->stdin_rank, rank);
  }
}

TEST(LaunchJob, EveryBoundIsChecked) {
  EXPECT_EQ(Refusal([](pb::LaunchJob&) {}), "");
  EXPECT_EQ(Refusal([](auto& m) { m.clear_apps(); }), "bad field apps");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_apps(0)->clear_argv(); }), "bad field App.argv");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_apps(0)->set_argv(0, ""); }), "bad field App.argv");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_apps(0)->set_argv(1, std::string("a\0b", 3)); }),
            "bad field App.argv");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_apps(0)->set_ranks(0); }), "") << "the head counts";
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_apps(0)->set_ranks(kMaxRanks + 1); }),
            "bad field App.ranks");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_apps(0)->set_ranks(kMaxRanks); }),
            "bad field apps.ranks");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_apps(0)->set_ranks(kMaxRanks - 2); }), "");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_apps(0)->set_wdir("tmp"); }), "bad field App.wdir");
  EXPECT_EQ(Refusal([](auto& m) { m.mutable_apps(0)->set_env(0, std::string("A=\0", 3)); }),
            "bad field App.env");
  EXPECT_EQ(Refusal([](auto& m) { m.set_env(0, std::string("A=\0", 3)); }), "bad field env");
  EXPECT_EQ(Refusal([](auto& m) { m.set_cwd(""); }), "bad field cwd");
  EXPECT_EQ(Refusal([](auto& m) { m.set_cwd("here"); }), "bad field cwd");
  EXPECT_EQ(Refusal([](auto& m) { m.set_stdin_rank(5); }), "bad field stdin_rank");
  EXPECT_EQ(Refusal([](auto& m) { m.set_stdin_rank(-3); }), "bad field stdin_rank");
  EXPECT_EQ(Refusal([](auto& m) { m.set_grace_ms(0x80000000u); }), "bad field grace_ms");
  EXPECT_EQ(Refusal([](auto& m) { m.set_timeout_ms(0x80000000u); }), "bad field timeout_ms");
  EXPECT_EQ(Refusal([](auto& m) { m.set_umask(01000); }), "bad field umask");
  EXPECT_EQ(Refusal([](auto& m) { m.set_open_files(0); }), "bad field open_files");
  EXPECT_EQ(Refusal([](auto& m) {
              m.set_open_files(2);
              m.set_open_files_hard(1);
            }),
            "bad field open_files_hard");
}

JobSpec JobWithNodes() {
  JobSpec job = FullJob();
  job.dvm.nodes = {{"n1", false, 4, "joe", 2222, 5}, {"localhost", true, 0, "", 0}};
  job.dvm.bootstrap = Bootstrap::kVirtual;
  job.dvm.tree = TreeRequest::kTwoLevel;
  job.dvm.ship = ShipRequest::kNever;
  job.check = true;
  job.dvm.ssh = {"ssh", "-F", "config"};
  job.dvm.rexd = "/opt/rex/libexec/rex/rexd";
  job.dvm.start_timeout = std::chrono::seconds(7);
  job.dvm.node_timeout = std::chrono::seconds(8);
  job.dvm.allow_missing = true;
  job.dvm.max_modex_bytes = 9;
  job.local_memory = true;
  job.leases = "/run/leases";
  job.node_env = true;
  job.apps[0].ranks = 0;
  job.apps[0].per_node = 2;
  job.apps[0].nodes = {1};
  return job;
}

TEST(LaunchJob, NodesRoundTrip) {
  const JobSpec job = JobWithNodes();
  const auto back = FromWire<JobSpec>(ToWire(job));
  ASSERT_TRUE(back) << back.error().text;
  ASSERT_EQ(back->dvm.nodes.size(), 2u);
  EXPECT_EQ(back->dvm.nodes[0].name, "n1");
  EXPECT_FALSE(back->dvm.nodes[0].here);
  EXPECT_EQ(back->dvm.nodes[0].slots, 4u);
  EXPECT_EQ(back->dvm.nodes[0].user, "joe");
  EXPECT_EQ(back->dvm.nodes[0].port, 2222u);
  EXPECT_EQ(back->dvm.nodes[0].max_slots, 5u);
  EXPECT_TRUE(back->dvm.nodes[1].here);
  EXPECT_EQ(back->dvm.bootstrap, Bootstrap::kVirtual);
  EXPECT_EQ(back->dvm.tree, TreeRequest::kTwoLevel);
  EXPECT_EQ(back->dvm.ship, ShipRequest::kNever);
  EXPECT_TRUE(back->check);
  EXPECT_EQ(back->dvm.ssh, job.dvm.ssh);
  EXPECT_EQ(back->dvm.rexd, job.dvm.rexd);
  EXPECT_EQ(back->dvm.start_timeout, job.dvm.start_timeout);
  EXPECT_EQ(back->dvm.node_timeout, job.dvm.node_timeout);
  EXPECT_TRUE(back->dvm.allow_missing);
  EXPECT_EQ(back->dvm.max_modex_bytes, 9u);
  EXPECT_TRUE(back->local_memory);
  EXPECT_EQ(back->leases, "/run/leases");
  EXPECT_TRUE(back->node_env);
  EXPECT_EQ(back->apps[0].ranks, 0u);
  EXPECT_EQ(back->apps[0].per_node, 2u);
  EXPECT_EQ(back->apps[0].nodes, job.apps[0].nodes);
}

TEST(LaunchJob, EveryBoundOfNodesIsChecked) {
  const auto refusal = [](auto change) {
    pb::LaunchJob m;
    EXPECT_TRUE(m.ParseFromString(ToWire(JobWithNodes())));
    change(m);
    const auto job = FromWire<JobSpec>(m.SerializeAsString());
    return job ? std::string() : job.error().text;
  };
  const std::string nul("a\0b", 3);
  EXPECT_EQ(refusal([](auto&) {}), "");
  EXPECT_EQ(refusal([](auto& m) { m.mutable_apps(0)->set_nodes(0, 2); }), "bad field App.nodes");
  EXPECT_EQ(refusal([](auto& m) { m.mutable_apps(0)->set_per_node(kMaxRanks + 1); }),
            "bad field App.per_node");
  EXPECT_EQ(refusal([](auto& m) { m.mutable_dvm()->mutable_nodes(0)->set_name(""); }),
            "bad field NodeRequest.name");
  EXPECT_EQ(refusal([&](auto& m) { m.mutable_dvm()->mutable_nodes(0)->set_name(nul); }),
            "bad field NodeRequest.name");
  EXPECT_EQ(refusal([&](auto& m) { m.mutable_dvm()->mutable_nodes(0)->set_user(nul); }),
            "bad field NodeRequest.user");
  EXPECT_EQ(refusal([](auto& m) { m.mutable_dvm()->mutable_nodes(0)->set_port(65536); }),
            "bad field NodeRequest.port");
  EXPECT_EQ(refusal([](auto& m) { m.mutable_dvm()->mutable_nodes(0)->set_slots(kMaxRanks + 1); }),
            "bad field NodeRequest.slots");
  EXPECT_EQ(
      refusal([](auto& m) { m.mutable_dvm()->mutable_nodes(0)->set_max_slots(kMaxRanks + 1); }),
      "bad field NodeRequest.max_slots");
  EXPECT_EQ(refusal([](auto& m) { m.mutable_dvm()->set_rexd("rexd"); }), "bad field Dvm.rexd");
  EXPECT_EQ(refusal([&](auto& m) { m.mutable_dvm()->set_ssh(0, nul); }), "bad field Dvm.ssh");
  EXPECT_EQ(refusal([](auto& m) { m.mutable_dvm()->set_start_timeout_s(0); }),
            "bad field Dvm.start_timeout_s");
  EXPECT_EQ(refusal([](auto& m) { m.mutable_dvm()->set_node_timeout_s(86401); }),
            "bad field Dvm.node_timeout_s");
  EXPECT_EQ(refusal([](auto& m) { m.mutable_dvm()->set_max_modex_bytes(0); }),
            "bad field Dvm.max_modex_bytes");
}

// Every field other than its default.
PlacePolicy FullPlace() {
  return {.map = MapBy::kPpr,
          .map_object = HwObject::kCore,
          .ppr = {{2, false, HwObject::kL2Cache}, {4, true, HwObject::kNuma}},
          .map_is_default = true,
          .span = true,
          .device = "ib0",
          .rank = RankBy::kObject,
          .rank_object = HwObject::kSocket,
          .rank_order = RankOrder::kFill,
          .bind = BindTo::kCpuList,
          .bind_object = HwObject::kHwthread,
          .bind_is_default = true,
          .overload = true,
          .ordered = true,
          .cpu_list = "0,2-5",
          .cpus_per_rank = 3,
          .hwthread_cpus = true};
}

JobSpec JobWithPlaces() {
  JobSpec job = FullJob();
  job.apps.resize(1);
  job.apps[0].ranks = 2;
  job.stdin_rank = 0;
  job.apps[0].place = FullPlace();
  job.apps[0].fixed = {1, 0};
  job.apps[0].slot_lists = {"0:1", ""};
  job.do_not_launch = true;
  job.described = {{"n1", 4, 0, 150}, {"n2", 0, 1}};
  job.topologies = {"pu:2", "<xml/>"};
  return job;
}

TEST(LaunchJob, PlacesRoundTrip) {
  const auto back = FromWire<JobSpec>(ToWire(JobWithPlaces()));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->apps[0].place, FullPlace());
  EXPECT_EQ(back->apps[0].fixed, (std::vector<uint32_t>{1, 0}));
  EXPECT_EQ(back->apps[0].slot_lists, (std::vector<std::string>{"0:1", ""}));
  ASSERT_EQ(back->described.size(), 2u);
  EXPECT_EQ(back->described[0].name, "n1");
  EXPECT_EQ(back->described[0].slots, 4u);
  EXPECT_EQ(back->described[0].load, 150u);
  EXPECT_EQ(back->described[1].topology, 1u);
  EXPECT_EQ(back->topologies, (std::vector<std::string>{"pu:2", "<xml/>"}));
}

TEST(LaunchJob, EveryBoundOfPlacesIsChecked) {
  const auto refusal = [](auto change) {
    pb::LaunchJob m;
    EXPECT_TRUE(m.ParseFromString(ToWire(JobWithPlaces())));
    change(m, *m.mutable_apps(0)->mutable_place());
    const auto job = FromWire<JobSpec>(m.SerializeAsString());
    return job ? std::string() : job.error().text;
  };
  const std::string nul("a\0b", 3);
  EXPECT_EQ(refusal([](auto&, auto&) {}), "");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_map(9); }), "bad field Place.map");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_map_object(7); }), "bad field Place.map");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_map(1); }), "bad field Place.ppr");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.clear_ppr(); }), "bad field Place.ppr");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.add_ppr(1); }), "bad field Place.ppr");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_ppr(0, 0); }), "bad field Place.ppr");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_ppr(1, 8); }), "bad field Place.ppr");
  EXPECT_EQ(refusal([](auto&, auto& p) {
              for (int i = 0; i < 40; ++i) p.add_ppr(1);
            }),
            "bad field Place.ppr");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_rank(4); }), "bad field Place.rank");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_rank_object(7); }), "bad field Place.rank");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_rank_order(3); }), "bad field Place.rank");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_bind(4); }), "bad field Place.bind");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_bind_object(7); }), "bad field Place.bind");
  EXPECT_EQ(refusal([&](auto&, auto& p) { p.set_device(nul); }), "bad field Place.device");
  EXPECT_EQ(refusal([&](auto&, auto& p) { p.set_cpu_list(nul); }), "bad field Place.cpu_list");
  EXPECT_EQ(refusal([](auto&, auto& p) { p.set_cpus_per_rank(kMaxCpusPerRank + 1); }),
            "bad field Place.cpus_per_rank");
  EXPECT_EQ(refusal([](auto& m, auto&) { m.mutable_apps(0)->set_fixed(0, 2); }),
            "bad field App.fixed");
  EXPECT_EQ(refusal([](auto& m, auto&) { m.mutable_apps(0)->add_fixed(0); }),
            "bad field App.fixed");
  EXPECT_EQ(refusal([](auto& m, auto&) { m.mutable_apps(0)->add_slot_lists(""); }),
            "bad field App.slot_lists");
  EXPECT_EQ(refusal([&](auto& m, auto&) { m.mutable_apps(0)->set_slot_lists(0, nul); }),
            "bad field App.slot_lists");
  EXPECT_EQ(refusal([](auto& m, auto&) { m.set_do_not_launch(false); }), "bad field described");
  EXPECT_EQ(refusal([](auto& m, auto&) { m.mutable_described(0)->set_name(""); }),
            "bad field DescribedNode.name");
  EXPECT_EQ(refusal([](auto& m, auto&) { m.mutable_described(0)->set_slots(kMaxRanks + 1); }),
            "bad field DescribedNode.slots");
  EXPECT_EQ(refusal([](auto& m, auto&) { m.mutable_described(0)->set_topology(2); }),
            "bad field DescribedNode.topology");
  EXPECT_EQ(refusal([](auto& m, auto&) { m.mutable_described(0)->set_load(kMostMaxLoad + 1); }),
            "bad field DescribedNode.load");
  EXPECT_EQ(refusal([&](auto& m, auto&) { m.set_topologies(0, nul); }), "bad field topologies");
}

TEST(LaunchJob, TooManyAppsAreRefused) {
  JobSpec job = FullJob();
  job.stdin_rank = 0;
  job.apps.assign(kMaxApps, AppSpec{{"a"}, 1, "", {}});
  EXPECT_TRUE(FromWire<JobSpec>(ToWire(job)));
  job.apps.push_back(AppSpec{{"a"}, 1, "", {}});
  EXPECT_FALSE(FromWire<JobSpec>(ToWire(job)));
}

// Every truncation is refused or yields a message that passes every check: nothing else happens.
template <typename T>
void TryEveryTruncation(const std::string& whole) {
  ASSERT_TRUE(FromWire<T>(whole).has_value());
  for (size_t n = 0; n < whole.size(); ++n) {
    const auto m = FromWire<T>(whole.substr(0, n));
    if (!m) {
      EXPECT_EQ(m.error().code, Errc::kProtocol) << n;
    }
  }
  EXPECT_FALSE(FromWire<T>(whole + "\xff").has_value());
}

JobEnded FullEnd() {
  JobEnded end;
  end.exit_code = 139;
  end.failure = {FailureKind::kRankSignal,
                 JobPhase::kInit,
                 3,
                 "n1",
                 1234,
                 11,
                 true,
                 0,
                 "./app",
                 "what",
                 "do",
                 2};
  end.phases = {{"births", std::chrono::microseconds(-5), std::chrono::microseconds(7), "n1",
                 "agent", "note"}};
  end.state_report = {"rank 0: running", ""};
  return end;
}

TEST(Progress, RoundTripsAndIsBounded) {
  const Progress sent{JobPhase::kBirths, 3, 4};
  const auto back = FromWire<Progress>(ToWire(sent));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->phase, sent.phase);
  EXPECT_EQ(back->done, 3u);
  EXPECT_EQ(back->total, 4u);
  EXPECT_FALSE(FromWire<Progress>(ToWire(Progress{JobPhase::kInit, 5, 4})));
  EXPECT_FALSE(FromWire<Progress>(ToWire(Progress{static_cast<JobPhase>(5), 1, 4})));
  EXPECT_FALSE(FromWire<Progress>(ToWire(Progress{JobPhase::kInit, 1, kMaxRanks + 1})));
}

TEST(JobEnded, TextNeedNotBeUtf8) {
  JobEnded end = FullEnd();
  end.failure.program = "./\xe9t\xe9";
  end.failure.detail = "cannot open '\xff'";
  end.state_report = {"\x80"};
  const auto back = FromWire<JobEnded>(ToWire(end));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->failure.program, end.failure.program);
  EXPECT_EQ(back->failure.detail, end.failure.detail);
  EXPECT_EQ(back->state_report, end.state_report);
}

// So that the difference of any two is a number.
TEST(JobEnded, TimesAreBounded) {
  constexpr std::chrono::microseconds kMost(int64_t{1} << 53);
  const auto accepted = [](std::chrono::microseconds begin, std::chrono::microseconds end_time) {
    JobEnded end = FullEnd();
    end.phases[0].begin = begin;
    end.phases[0].end = end_time;
    return FromWire<JobEnded>(ToWire(end)).has_value();
  };
  EXPECT_TRUE(accepted(-kMost, kMost));
  EXPECT_FALSE(accepted(-kMost - std::chrono::microseconds(1), kMost));
  EXPECT_FALSE(accepted(-kMost, kMost + std::chrono::microseconds(1)));
  EXPECT_FALSE(accepted(std::chrono::microseconds::min(), std::chrono::microseconds::max()));
}

TEST(Messages, EveryTruncation) {
  TryEveryTruncation<Hello>(ToWire(Hello{"1.2.3"}));
  TryEveryTruncation<JobSpec>(ToWire(FullJob()));
  TryEveryTruncation<SignalRanks>(ToWire(SignalRanks{10}));
  TryEveryTruncation<EndJob>(ToWire(EndJob{15}));
  TryEveryTruncation<Credit>(ToWire(Credit{1 << 20}));
  TryEveryTruncation<Notice>(ToWire(Notice{Notice::Level::kDetail, "text"}));
  TryEveryTruncation<JobStarted>(ToWire(JobStarted{"ns", {{1, "n1", 77, "exec"}}, 4}));
  TryEveryTruncation<JobEnded>(ToWire(FullEnd()));
}

TEST(Hello, NeedsAShortVersion) {
  EXPECT_EQ(FromWire<Hello>(ToWire(Hello{"0.1"}))->version, "0.1");
  EXPECT_FALSE(FromWire<Hello>(ToWire(Hello{""})));
  EXPECT_TRUE(FromWire<Hello>(ToWire(Hello{std::string(64, 'v')})));
  EXPECT_FALSE(FromWire<Hello>(ToWire(Hello{std::string(65, 'v')})));
}

TEST(Signals, OnlyRealNumbers) {
  for (const int signo : {1, 64}) {
    EXPECT_EQ(FromWire<SignalRanks>(ToWire(SignalRanks{signo}))->signo, signo);
    EXPECT_EQ(FromWire<EndJob>(ToWire(EndJob{signo}))->signo, signo);
  }
  for (const int signo : {0, 65, -1}) {
    EXPECT_FALSE(FromWire<SignalRanks>(ToWire(SignalRanks{signo})));
    EXPECT_FALSE(FromWire<EndJob>(ToWire(EndJob{signo})));
  }
}

TEST(Credit, IsNeitherNothingNorEndless) {
  const uint64_t most = uint64_t{1} << 32;
  EXPECT_EQ(FromWire<Credit>(ToWire(Credit{most}))->bytes, most);
  EXPECT_FALSE(FromWire<Credit>(ToWire(Credit{most + 1})));
  EXPECT_FALSE(FromWire<Credit>(ToWire(Credit{0})));
}

TEST(Notice, RoundTripOfEachLevel) {
  for (const auto level : {Notice::Level::kInfo, Notice::Level::kWarning, Notice::Level::kDetail,
                           Notice::Level::kPlain}) {
    const auto back = FromWire<Notice>(ToWire(Notice{level, "a b"}));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->level, level);
    EXPECT_EQ(back->text, "a b");
  }
  pb::Notice m;
  m.set_level(static_cast<pb::Notice::Level>(4));
  EXPECT_FALSE(FromWire<Notice>(m.SerializeAsString()));
}

TEST(JobStarted, RoundTripAndBound) {
  const auto back = FromWire<JobStarted>(ToWire(JobStarted{"ns", {{1, "n1", 77, "exec"}}, 4}));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->name_space, "ns");
  EXPECT_EQ(back->total, 4u);
  ASSERT_EQ(back->ranks.size(), 1u);
  EXPECT_EQ(back->ranks[0].rank, 1u);
  EXPECT_EQ(back->ranks[0].node, "n1");
  EXPECT_EQ(back->ranks[0].pid, 77);
  EXPECT_EQ(back->ranks[0].birth, "exec");
  EXPECT_FALSE(FromWire<JobStarted>(ToWire(JobStarted{"ns", {}, kMaxRanks + 1})));
}

TEST(JobEnded, RoundTrip) {
  const JobEnded end = FullEnd();
  const auto back = FromWire<JobEnded>(ToWire(end));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->exit_code, 139);
  EXPECT_EQ(back->failure.kind, FailureKind::kRankSignal);
  EXPECT_EQ(back->failure.rank, 3u);
  EXPECT_EQ(back->failure.node, "n1");
  EXPECT_EQ(back->failure.pid, 1234);
  EXPECT_EQ(back->failure.signo, 11);
  EXPECT_TRUE(back->failure.core_dumped);
  EXPECT_EQ(back->failure.program, "./app");
  EXPECT_EQ(back->failure.detail, "what");
  EXPECT_EQ(back->failure.remedy, "do");
  EXPECT_EQ(back->failure.others, 2u);
  EXPECT_EQ(back->failure.phase, JobPhase::kInit);
  ASSERT_EQ(back->phases.size(), 1u);
  EXPECT_EQ(back->phases[0].name, "births");
  EXPECT_EQ(back->phases[0].begin.count(), -5);
  EXPECT_EQ(back->phases[0].end.count(), 7);
  EXPECT_EQ(back->phases[0].process, "agent");
  EXPECT_EQ(back->phases[0].note, "note");
  EXPECT_EQ(back->state_report, end.state_report);
}

TEST(JobEnded, EveryFailureKindAndNoOther) {
  for (int kind = 0; kind <= kLastFailureKind; ++kind) {
    JobEnded end;
    end.failure.kind = static_cast<FailureKind>(kind);
    const auto back = FromWire<JobEnded>(ToWire(end));
    ASSERT_TRUE(back) << kind;
    EXPECT_EQ(back->failure.kind, end.failure.kind);
  }
  pb::JobEnded m;
  m.mutable_failure()->set_kind(static_cast<pb::Failure::Kind>(kLastFailureKind + 1));
  EXPECT_FALSE(FromWire<JobEnded>(m.SerializeAsString()));
  EXPECT_EQ(pb::Failure::Kind_MAX, kLastFailureKind);
}

TEST(JobEnded, Bounds) {
  JobEnded end = FullEnd();
  end.exit_code = 256;
  EXPECT_FALSE(FromWire<JobEnded>(ToWire(end)));
  end = FullEnd();
  end.failure.signo = 65;
  EXPECT_FALSE(FromWire<JobEnded>(ToWire(end)));
  end = FullEnd();
  end.failure.code = -3;  // abort codes are any int
  EXPECT_EQ(FromWire<JobEnded>(ToWire(end))->failure.code, -3);
}

TEST(Output, GoldenBytes) {
  EXPECT_EQ(EncodeOutput({0x00030201, OutputStream::kStderr, true}, "ab"),
            std::string("\x01\x02\x03\x00\x02\x01\x00\x00\x01\x00\x00\x00"
                        "ab",
                        14));
  EXPECT_EQ(EncodeOutput({7, OutputStream::kStdout, false, 0x0403}, ""),
            std::string("\x07\x00\x00\x00\x01\x00\x00\x00\x03\x04\x00\x00", 12));
}

TEST(Output, RoundTripAndTruncations) {
  const std::string whole = EncodeOutput({kMaxRanks - 1, OutputStream::kStdout, false}, "line\n");
  std::string_view bytes;
  const auto header = DecodeOutput(whole, &bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->rank, kMaxRanks - 1);
  EXPECT_EQ(header->stream, OutputStream::kStdout);
  EXPECT_FALSE(header->end);
  EXPECT_EQ(bytes, "line\n");
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_EQ(DecodeOutput(std::string_view(whole).substr(0, n), &bytes).has_value(),
              n >= kOutputHeaderBytes);
  }
}

TEST(Output, EveryBadHeaderByteIsRefused) {
  const std::string good = EncodeOutput({1, OutputStream::kStdout, false}, "x");
  std::string_view bytes;
  const auto refused = [&](size_t at, char value) {
    std::string bad = good;
    bad[at] = value;
    return !DecodeOutput(bad, &bytes);
  };
  EXPECT_TRUE(refused(3, 1));     // rank 2^24
  EXPECT_TRUE(refused(2, 0x10));  // rank kMaxRanks + 1
  EXPECT_FALSE(refused(2, 0x0f));
  EXPECT_TRUE(refused(8, 0));    // job 0
  EXPECT_FALSE(refused(11, 1));  // job 2^24 + 1
  EXPECT_TRUE(refused(4, 0));
  EXPECT_TRUE(refused(4, 3));
  EXPECT_TRUE(refused(5, 2));
  EXPECT_TRUE(refused(6, 1));
  EXPECT_TRUE(refused(7, 1));
}

TEST(LaunchJob, LoadsRoundTripAndAreBounded) {
  JobSpec job = FullJob();
  EXPECT_EQ(FromWire<JobSpec>(ToWire(job))->load.max_load, kNoMaxLoad);
  job.load = {.lightest_first = true, .max_load = 0, .wait = std::chrono::seconds(60)};
  job.dvm.pool = job.show_json = true;
  const auto back = FromWire<JobSpec>(ToWire(job));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_TRUE(back->load.lightest_first);
  EXPECT_EQ(back->load.max_load, 0u);
  EXPECT_EQ(back->load.wait, std::chrono::seconds(60));
  EXPECT_TRUE(back->dvm.pool);
  EXPECT_TRUE(back->show_json);
  job.load.max_load = kMostMaxLoad + 1;
  EXPECT_EQ(FromWire<JobSpec>(ToWire(job)).error().text, "bad field Load.max_load");
  job.load.max_load = 0;
  job.load.wait = std::chrono::hours(25);
  EXPECT_EQ(FromWire<JobSpec>(ToWire(job)).error().text, "bad field Load.wait_s");
}

TEST(LaunchJob, LoadsAreWantedWhereTheyDecide) {
  JobSpec job;
  job.apps.resize(1);
  EXPECT_FALSE(job.WantsLoads());
  job.apps[0].place.map = MapBy::kLoad;
  EXPECT_TRUE(job.WantsLoads());
  job.apps[0].place.map = MapBy::kSlot;
  job.load.max_load = 0;
  EXPECT_TRUE(job.WantsLoads());
  job.load = {.lightest_first = true};
  EXPECT_TRUE(job.WantsLoads());
  job.load = {};
  job.show_allocation = true;
  EXPECT_TRUE(job.WantsLoads());
}

}  // namespace
}  // namespace rex
