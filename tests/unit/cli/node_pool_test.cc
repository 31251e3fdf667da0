#include "launcher/cli/node_pool.h"

#include <gtest/gtest.h>

#include <map>

#include "launcher/cli/parameter.h"

namespace rex {
namespace {

using Files = std::map<std::string, std::string>;

struct Case {
  const char* name;
  std::vector<std::string> words;
  Environment env;
  Files files;
  std::string shown;  // "ORIGIN: hosts", "none" or the error
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

FileReader ReaderOf(const Files& files) {
  return [&files](const std::string& path) -> Result<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return Error{Errc::kNotFound, "no file '" + path + "'"};
    if (found->second == "denied") return Error{Errc::kPermission, "may not read '" + path + "'"};
    return found->second;
  };
}

Result<NodePool> Pool(std::vector<std::string> words, const Environment& env, const Files& files) {
  words.emplace_back("a");
  const FileReader reader = ReaderOf(files);
  const CommandRunner runner = [](const std::vector<std::string>&) -> Result<std::string> {
    return Error{Errc::kNotFound, "no command"};
  };
  auto line = ParseCommandLine(words, env, reader);
  if (!line) return line.error();
  line->file_settings = ReadParameterFiles(env, reader);
  return FindNodePool(*line, {env, reader, runner});
}

std::string Shown(const Result<NodePool>& pool) {
  if (!pool) return pool.error().text;
  if (pool->kind == NodePool::Kind::kNone) return "none";
  std::string text = pool->origin + ":";
  for (const HostEntry& host : pool->hosts) {
    text += " " + host.name + "/" + (host.all_cores ? "*" : std::to_string(host.slots));
  }
  return text;
}

class FindsPool : public testing::TestWithParam<Case> {};
TEST_P(FindsPool, AsTheTableSays) {
  EXPECT_EQ(Shown(Pool(GetParam().words, GetParam().env, GetParam().files)), GetParam().shown);
}

const Environment kInSlurm = {"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n[1-2]",
                              "SLURM_TASKS_PER_NODE=2(x2)", "HOME=/home/me"};
const std::string kSlurm = "Slurm job 7 (SLURM_JOB_NODELIST): n1/2 n2/2";
const Environment kHome = {"HOME=/home/me"};
const char* const kParameters = "/etc/openmpi/openmpi-mca-params.conf";
const char* const kSystem = "/etc/openmpi/openmpi-default-hostfile";

const Case kCases[] = {
    {"Nothing", {}, kHome, {}, "none"},
    {"AnAllocation", {}, kInSlurm, {{"/etc/rex/nodes", "p1"}}, kSlurm},
    {"AnAllocationBeforeHosts", {"--host", "n1"}, kInSlurm, {}, kSlurm},
    {"AnAllocationBeforeADefaultHostfile",  // as mpirun
     {"--default-hostfile", "d"},
     kInSlurm,
     {{"d", "d1"}},
     kSlurm},
    {"NoAllocation", {"--allocation", "none"}, kInSlurm, {}, "none"},
    {"AutoIsTheDefault", {"--allocation", "none", "--allocation=auto"}, kInSlurm, {}, kSlurm},
    {"ThisManagersOnly", {"--allocation", "slurm"}, kInSlurm, {}, kSlurm},
    {"AnotherManagers",
     {"--allocation", "pbs"},
     kInSlurm,
     {},
     "option '--allocation': this is not inside an allocation of PBS: the variables that it sets "
     "are missing"},
    {"AnUnknownManager",
     {"--allocation", "moab"},
     {},
     {},
     "option '--allocation' (word 1): 'moab' is not known; write 'auto', 'none' or a resource "
     "manager's name, 'flux', 'slurm', 'pals', 'pbs', 'lsf', 'gridengine'"},
    {"RasExcludes", {"--mca", "ras", "^slurm"}, kInSlurm, {}, "none"},
    {"RasExcludesOthers", {"--mca", "ras", "^tm,gridengine"}, kInSlurm, {}, kSlurm},
    {"RasNamesAnother", {"--mca", "ras", "tm"}, kInSlurm, {}, "none"},
    {"RasNamesItAndAnUnknown", {"--mca", "ras", "simulator,slurm"}, kInSlurm, {}, kSlurm},
    {"RasInTheEnvironment",
     {},
     {"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n1", "OMPI_MCA_ras=^slurm"},
     {},
     "none"},
    {"TheOptionBeforeRas",
     {"--mca", "ras", "^slurm", "--allocation", "slurm"},
     kInSlurm,
     {},
     kSlurm},
    {"VirtualNodesNeedNone", {"--virtual-nodes", "2"}, kInSlurm, {}, "none"},
    {"ADefaultHostfile",
     {"--default-hostfile", "d"},
     kHome,
     {{"d", "d1 slots=2\nd2"}},
     "d: d1/2 d2/*"},
    {"ADefaultHostfileMustBeThere",
     {"--default-hostfile", "d"},
     kHome,
     {},
     "option '--default-hostfile': no file 'd'"},
    {"ADefaultHostfileMustBeRight",
     {"--default-hostfile", "d"},
     kHome,
     {{"d", "d1 slots=x"}},
     "option '--default-hostfile': d:1:4: 'slots=x' has no number of slots, which is at least 1"},
    {"NoneAtAll", {"--default-hostfile", "none"}, kHome, {{"/etc/rex/nodes", "p1"}}, "none"},
    {"OpenMpisParameter", {"--mca", "orte_default_hostfile", "d"}, kHome, {{"d", "d1"}}, "d: d1/*"},
    {"OpenMpisParameterFile",
     {},
     kHome,
     {{kParameters, "# of the site\norte_default_hostfile = d\n"}, {"d", "d1"}},
     "d: d1/*"},
    {"OnesOwnParameterFileFirst",
     {},
     kHome,
     {{kParameters, "orte_default_hostfile = d"},
      {"/home/me/.openmpi/mca-params.conf", "orte_default_hostfile=e"},
      {"d", "d1"},
      {"e", "e1"}},
     "e: e1/*"},
    {"TheEnvironmentBeforeParameterFiles",
     {},
     {"HOME=/home/me", "OMPI_MCA_orte_default_hostfile=d"},
     {{"/home/me/.openmpi/mca-params.conf", "orte_default_hostfile=e"}, {"d", "d1"}, {"e", "e1"}},
     "d: d1/*"},
    {"ABadParameterFileIsOpenMpisBusiness", {}, kHome, {{kParameters, "nonsense"}}, "none"},
    {"AHostfileInstead",
     {"--hostfile", "h", "--default-hostfile", "d"},
     kHome,
     {{"h", "h1"}, {"d", "d1"}},
     "none"},
    {"AHostfileThatOnlyExcludes",
     {"--hostfile", "h", "--default-hostfile", "d"},
     kHome,
     {{"h", "^d1"}, {"d", "d1\nd2"}},
     "d: d1/* d2/*"},
    // kubeflow's mpi-operator: what it sets for Open MPI 4, Open MPI 5, MPICH and Intel MPI.
    {"MpiOperator",
     {},
     {"OMPI_MCA_orte_default_hostfile=/etc/mpi/hostfile"},
     {{"/etc/mpi/hostfile",
       "pi-worker-0.pi.default.svc slots=1\npi-worker-1.pi.default.svc slots=1\n"}},
     "/etc/mpi/hostfile: pi-worker-0.pi.default.svc/1 pi-worker-1.pi.default.svc/1"},
    {"MpiOperatorOld",
     {},
     {"OMPI_MCA_orte_default_hostfile=/etc/mpi/hostfile"},
     {{"/etc/mpi/hostfile", "caffe-wd-mpijob-worker-0 slots=8 max_slots=8\n"}},
     "/etc/mpi/hostfile: caffe-wd-mpijob-worker-0/8"},
    {"MpiOperatorForOpenMpi5",
     {},
     {"PRTE_MCA_prte_default_hostfile=f"},
     {{"f", "w0 slots=2"}},
     "f: w0/2"},
    {"MpiOperatorForMpich", {}, {"HYDRA_HOST_FILE=f"}, {{"f", "w0:2\nw1:3"}}, "f: w0/2 w1/3"},
    {"MpiOperatorForIntelMpi",
     {},
     {"I_MPI_HYDRA_HOST_FILE=f"},
     {{"f", "w0.pi.default.svc:2"}},
     "f: w0.pi.default.svc/2"},
    {"AVariablesFileMustBeThere",
     {},
     {"HYDRA_HOST_FILE=f"},
     {},
     "the environment variable HYDRA_HOST_FILE: no file 'f'"},
    {"OpenMpisDefault",
     {},
     kHome,
     {{kSystem, "s1"}, {"/etc/rex/nodes", "p1"}},
     std::string(kSystem) + ": s1/*"},
    {"CommentsNameNobody",
     {},
     kHome,
     {{kSystem, "# none\n"}, {"/etc/rex/nodes", "p1 slots=4"}},
     "/etc/rex/nodes: p1/4"},
    {"OnesOwnNodesFirst",
     {},
     kHome,
     {{"/home/me/.config/rex/nodes", "m1"}, {"/etc/rex/nodes", "p1"}},
     "/home/me/.config/rex/nodes: m1/*"},
    {"OnesOwnNodesElsewhere",
     {},
     {"HOME=/home/me", "XDG_CONFIG_HOME=/cfg"},
     {{"/home/me/.config/rex/nodes", "m1"}, {"/cfg/rex/nodes", "c1"}},
     "/cfg/rex/nodes: c1/*"},
    {"AHomeThatIsSomebodyElsesCountsForNothing",
     {},
     kHome,
     {{"/home/me/.config/rex/nodes", "denied"}, {"/etc/rex/nodes", "p1"}},
     "/etc/rex/nodes: p1/*"},
    {"UnreadableIsNotMissing",
     {},
     kHome,
     {{"/etc/rex/nodes", "denied"}},
     "may not read '/etc/rex/nodes'"},
};
std::string NameOf(const testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Table, FindsPool, testing::ValuesIn(kCases), NameOf);

std::string Origin(std::vector<std::string> words, const NodePool& pool,
                   const std::vector<NodeRequest>& nodes) {
  words.emplace_back("a");
  const FileReader reader = [](const std::string&) -> Result<std::string> {
    return std::string("n1");
  };
  const auto line = ParseCommandLine(words, {}, reader);
  return line ? OriginText(*line, pool, nodes, 3) : line.error().text;
}

TEST(FindNodePool, KnowsWhoseAllocationItIs) {
  EXPECT_EQ(Pool({}, kInSlurm, {})->manager, Manager::kSlurm);
  EXPECT_EQ(Pool({}, kHome, {})->manager, std::nullopt);
}

TEST(OriginText, SaysWhoNamedTheNodes) {
  const NodePool slurm = *Pool({}, kInSlurm, {});
  const std::vector<NodeRequest> two = {{.name = "n1", .slots = 2}, {.name = "n2", .slots = 2}};
  EXPECT_EQ(Origin({}, slurm, two),
            "the nodes come from Slurm job 7 (SLURM_JOB_NODELIST): 2 nodes, 4 slots");
  EXPECT_EQ(
      Origin({"--host", "n1"}, slurm, {{.name = "n1", .slots = 1}}),
      "the nodes come from Slurm job 7 (SLURM_JOB_NODELIST), chosen by --host: 1 node, 1 slot");
  EXPECT_EQ(Origin({"--hostfile", "h", "--host", "n1"}, {}, {{.name = "n1"}}),
            "the nodes come from --hostfile and --host: 1 node, with slots for their cores");
  EXPECT_EQ(Origin({"--host", "localhost:3"}, {}, {}),
            "the nodes come from --host: 1 node, this machine, 3 slots");
  EXPECT_EQ(Origin({}, {}, {}), "");
}

TEST(NodePool, OnlyRexsOwnFilesAreConfigured) {
  const auto configured = [](std::vector<std::string> words, Files files) {
    const auto pool = Pool(words, kHome, files);
    return pool && pool->configured;
  };
  EXPECT_TRUE(configured({}, {{"/etc/rex/nodes", "a"}}));
  EXPECT_TRUE(configured({}, {{"/home/me/.config/rex/nodes", "a"}}));
  EXPECT_FALSE(configured({}, {{kSystem, "a"}}));
  EXPECT_FALSE(configured({"--default-hostfile", "/etc/rex/nodes"}, {{"/etc/rex/nodes", "a"}}));
  EXPECT_FALSE(configured({}, {}));
}

}  // namespace
}  // namespace rex
