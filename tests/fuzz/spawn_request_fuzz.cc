// What a rank may ask of PMIx_Spawn. Input: an encoded message of the host.
#include "launcher/job/spawn_request.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

JobSpec Parent() {
  JobSpec spec;
  spec.apps.push_back({{"./parent"}, 1, "", {"P=1"}, "", 0, {}});
  spec.cwd = "/work";
  spec.env = {"PATH=/bin"};
  return spec;
}

void CheckPlan(const SpawnPlan& plan, const pmix::Spawn& spawn) {
  REX_CHECK(plan.spec.apps.size() == spawn.apps.size());
  REX_CHECK(!plan.nodes.empty());
  for (size_t i = 0; i < spawn.apps.size(); ++i) {
    const AppSpec& app = plan.spec.apps[i];
    REX_CHECK(app.ranks == spawn.apps[i].ranks && !app.argv.empty());
    REX_CHECK(app.wdir.empty() || app.wdir[0] == '/');
    for (const uint32_t node : app.nodes) REX_CHECK(node < plan.nodes.size());
    for (const std::string& entry : app.env) {
      REX_CHECK(entry.find('=') != std::string::npos && entry[0] != '=');
    }
  }
  const int64_t stdin_rank = plan.spec.stdin_rank;
  REX_CHECK(stdin_rank < static_cast<int64_t>(plan.spec.TotalRanks()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto message =
      pmix::DecodeHostMessage(std::string(reinterpret_cast<const char*>(data), size));
  if (!message) return 0;
  const auto* spawn = std::get_if<pmix::Spawn>(&*message);
  if (spawn == nullptr) return 0;
  const JobSpec parent = Parent();
  const std::vector<JobNode> nodes = {{kHeadNode, "n0", 4, 4, false, 0},
                                      {NodeId{1}, "n1", 4, 4, false, 0}};
  const auto planned = PlanSpawn(
      *spawn, {parent, parent.apps[0], nodes, [](const std::string& path) -> Result<std::string> {
                 return path + "\nn1 slots=2\n";
               }});
  if (const auto* refusal = std::get_if<SpawnRefusal>(&planned)) {
    REX_CHECK(refusal->status < 0 && !refusal->text.empty());
    return 0;
  }
  CheckPlan(std::get<SpawnPlan>(planned), *spawn);
  return 0;
}

}  // namespace rex
