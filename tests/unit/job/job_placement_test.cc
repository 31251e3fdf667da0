#include "launcher/job/job_placement.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

JobNode Node(uint32_t id, uint32_t cores) {
  JobNode node;
  node.id = NodeId(id);
  node.name = "n" + std::to_string(id);
  node.cores = cores;
  node.slots = cores;
  node.hardware = std::make_shared<const Hardware>(PlainHardware(cores));
  return node;
}

JobSpec Spec(uint32_t ranks, std::vector<std::string> env = {}) {
  JobSpec spec;
  spec.apps.push_back({.argv = {"a"}, .ranks = ranks});
  spec.env = std::move(env);
  return spec;
}

PlacedJob Placed(const JobSpec& spec, const std::vector<JobNode>& nodes) {
  auto placed = PlaceJob(spec, nodes, 5);
  if (const Failure* failure = std::get_if<Failure>(&placed)) {
    ADD_FAILURE() << failure->detail;
    return {};
  }
  return std::get<PlacedJob>(std::move(placed));
}

// What the user is told without --verbose.
std::string Told(const PlacedJob& job) {
  std::string text;
  for (const Notice& notice : job.notices) {
    if (notice.level == Notice::Level::kInfo) text += notice.text + "|";
  }
  return text;
}

TEST(PlaceJob, DefaultsAreThoseOfMpirun) {
  const PlacedJob two = Placed(Spec(2), {Node(0, 4)});
  EXPECT_EQ(two.spec->apps[0].place.bind_object, HwObject::kCore);
  const PlacedJob four = Placed(Spec(4), {Node(0, 4)});
  EXPECT_EQ(four.spec->apps[0].place.bind_object, HwObject::kNuma);
  EXPECT_EQ(Told(four), "");
  const PlacedJob five = Placed(Spec(5), {Node(0, 4)});
  EXPECT_EQ(five.spec->apps[0].place.bind, BindTo::kNone);
  EXPECT_EQ(Told(five),
            "5 ranks share 4 cores of this machine; they yield while they wait (--oversubscribe "
            "hides this line)|");
}

TEST(PlaceJob, OmpNumThreadsIsHonouredWhereThereAreEnoughCores) {
  const std::vector<JobNode> nodes = {Node(0, 4), Node(1, 4)};
  JobSpec spec = Spec(4, {"OMP_NUM_THREADS=2,4"});
  spec.apps[0].per_node = 2;
  const PlacedJob fits = Placed(spec, nodes);
  EXPECT_EQ(Told(fits),
            "each rank is bound to 2 cores, as OMP_NUM_THREADS says (--bind-to none: to none)|");
  EXPECT_EQ(fits.spec->apps[0].place.cpus_per_rank, 2u);
  EXPECT_EQ(fits.spec->apps[0].place.bind_object, HwObject::kCore);
  spec.apps[0].env = {"OMP_NUM_THREADS=3"};
  const PlacedJob full = Placed(spec, nodes);
  EXPECT_EQ(Told(full),
            "ranks are not bound: the threads of OMP_NUM_THREADS=3 are more than the 4 cores of "
            "node n0|");
  EXPECT_EQ(full.spec->apps[0].place.bind, BindTo::kNone);
}

TEST(PlaceJob, OmpNumThreadsIsLeftToWhoSaysMore) {
  JobSpec spec = Spec(2, {"OMP_NUM_THREADS=2"});
  spec.apps[0].place.bind = BindTo::kNone;
  EXPECT_EQ(Told(Placed(spec, {Node(0, 4)})), "");
  for (const char* value : {"1", "x", "", "99999"}) {
    EXPECT_EQ(Told(Placed(Spec(2, {"OMP_NUM_THREADS=" + std::string(value)}), {Node(0, 4)})), "")
        << value;
  }
}

TEST(PlaceJob, VirtualNodesShareTheirCores) {
  JobSpec spec = Spec(4);
  spec.dvm.bootstrap = Bootstrap::kVirtual;
  const PlacedJob job = Placed(spec, {Node(1, 2), Node(2, 2)});
  EXPECT_EQ(Told(job),
            "4 ranks share 2 cores of this machine; they yield while they wait (--oversubscribe "
            "hides this line)|");
  EXPECT_EQ(job.spec->apps[0].place.bind, BindTo::kNone);
  spec.apps[0].place.bind = BindTo::kObject;
  EXPECT_EQ(Placed(spec, {Node(1, 2), Node(2, 2)}).spec->apps[0].place.bind, BindTo::kObject)
      << "asked for";
}

TEST(CountThreads, ChangesSlotsThatAreCountedOnly) {
  JobSpec spec = Spec(1);
  const auto hardware = DecodeHardware("p 0-3;n 4*1;s 4*1;3;2;1;c 2*2;d");
  std::vector<JobNode> nodes = {Node(0, 2), Node(1, 2)};
  for (JobNode& node : nodes) node.hardware = std::make_shared<const Hardware>(*hardware);
  nodes[1].counted = false;
  CountThreads(spec, &nodes);
  EXPECT_EQ(nodes[0].slots, 2u);
  spec.apps[0].place.hwthread_cpus = true;
  CountThreads(spec, &nodes);
  EXPECT_EQ(nodes[0].slots, 4u);
  EXPECT_EQ(nodes[1].slots, 2u);
}

}  // namespace
}  // namespace rex
