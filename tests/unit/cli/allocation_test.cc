// Each manager's allocation, from samples of its documentation.
#include "launcher/cli/allocation/allocation.h"

#include <gtest/gtest.h>

#include <map>

namespace rex {
namespace {

struct World {
  Environment env;
  std::map<std::string, std::string> files;     // by path
  std::map<std::string, std::string> commands;  // by their words
};

FileReader ReaderOf(const World& world) {
  return [&world](const std::string& path) -> Result<std::string> {
    const auto found = world.files.find(path);
    if (found != world.files.end()) return found->second;
    return Error{Errc::kNotFound, "cannot open '" + path + "': No such file or directory"};
  };
}

CommandRunner RunnerOf(const World& world) {
  return [&world](const std::vector<std::string>& words) -> Result<std::string> {
    std::string command;
    for (const std::string& word : words) command += (command.empty() ? "" : " ") + word;
    const auto found = world.commands.find(command);
    if (found != world.commands.end()) return found->second;
    return Error{Errc::kNotFound, "start '" + command + "': No such file or directory"};
  };
}

Result<std::optional<Allocation>> Found(const World& world, const ManagerChoice& choice = {}) {
  const FileReader reader = ReaderOf(world);
  const CommandRunner runner = RunnerOf(world);
  return FindAllocation(choice, {world.env, reader, runner});
}

ManagerChoice Only(Manager manager) {
  ManagerChoice choice{.allowed = {}, .required = true};
  choice.allowed.set(static_cast<size_t>(manager));
  return choice;
}

// "Slurm job 7 (SLURM_JOB_NODELIST): n1/2 n2/*", "none" or the error.
std::string Shown(const Result<std::optional<Allocation>>& found) {
  if (!found) return found.error().text;
  if (!*found) return "none";
  std::string text = Describe(**found) + ":";
  for (const AllocatedNode& node : (*found)->nodes) {
    text += " " + node.name + "/" + (node.slots == 0 ? "*" : std::to_string(node.slots));
  }
  if (!(*found)->own_name.empty()) text += " at " + (*found)->own_name;
  if ((*found)->cpus_per_slot > 0) text += " x" + std::to_string((*found)->cpus_per_slot);
  return text;
}

struct Case {
  const char* name;
  World world;
  std::string shown;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
class FindsAllocation : public testing::TestWithParam<Case> {};
TEST_P(FindsAllocation, AsTheTableSays) {
  EXPECT_EQ(Shown(Found(GetParam().world)), GetParam().shown);
}
std::string NameOf(const testing::TestParamInfo<Case>& info) { return info.param.name; }

const std::string kIgnore = "; --allocation none ignores it";

// sbatch(1), srun(1): SLURM_JOB_NODELIST, SLURM_TASKS_PER_NODE ("2(x3),1"),
// SLURM_JOB_CPUS_PER_NODE, SLURM_CPUS_PER_TASK, SLURM_STEP_NUM_TASKS, SLURM_HET_SIZE.
const Case kSlurm[] = {
    {"BatchScript",  // what `env` showed in a real one, in part
     {{"SLURM_NODELIST=gnode[10,20,25,37]", "SLURMD_NODENAME=gnode10", "SLURM_NTASKS_PER_NODE=4",
       "SLURM_NNODES=4", "SLURM_JOBID=200505", "SLURM_NTASKS=4", "SLURM_TASKS_PER_NODE=1(x4)",
       "SLURM_JOB_ID=200505", "SLURM_CPUS_PER_TASK=1", "SLURM_NODEID=0", "SLURM_PROCID=0",
       "SLURM_JOB_NODELIST=gnode[10,20,25,37]", "SLURM_LOCALID=0", "SLURM_JOB_CPUS_PER_NODE=4(x4)",
       "SLURM_JOB_NUM_NODES=4"}},
     "Slurm job 200505 (SLURM_JOB_NODELIST): gnode10/1 gnode20/1 gnode25/1 gnode37/1 at gnode10 "
     "x1"},
    {"TasksPerNode",
     {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n[1-4]", "SLURM_TASKS_PER_NODE=2(x3),1"}},
     "Slurm job 7 (SLURM_JOB_NODELIST): n1/2 n2/2 n3/2 n4/1"},
    {"OldNames",
     {{"SLURM_JOBID=7", "SLURM_NODELIST=n1,n2", "SLURM_TASKS_PER_NODE=3(x2)"}},
     "Slurm job 7 (SLURM_JOB_NODELIST): n1/3 n2/3"},
    {"WithoutTasksCpusCount",
     {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n[1-3]", "SLURM_JOB_CPUS_PER_NODE=72(x2),36",
       "SLURM_CPUS_PER_TASK=8"}},
     "Slurm job 7 (SLURM_JOB_NODELIST): n1/9 n2/9 n3/4 x8"},
    {"WithoutCountsCores",
     {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n[1-2]"}},
     "Slurm job 7 (SLURM_JOB_NODELIST): n1/* n2/*"},
    {"AStepOfOneTaskHasCountsOfItsOwn",  // srun --pty bash inside salloc -N 2
     {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n[1-2]", "SLURM_TASKS_PER_NODE=1", "SLURM_STEP_ID=0",
       "SLURM_STEP_NUM_TASKS=1", "SLURM_PROCID=0", "SLURM_JOB_CPUS_PER_NODE=4(x2)"}},
     "Slurm job 7 (SLURM_JOB_NODELIST): n1/4 n2/4"},
    {"OneOfSeveralTasks",
     {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n1", "SLURM_STEP_NUM_TASKS=4", "SLURM_PROCID=0"}},
     "Slurm started rexlaunch several times at once (by srun with several tasks); start it once: "
     "without srun inside salloc or sbatch, or with srun -n 1. --allocation none lets each one run "
     "by itself"},
    {"TheSecondTask",
     {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n1", "SLURM_PROCID=1"}},
     "Slurm started rexlaunch several times at once (by srun with several tasks); start it once: "
     "without srun inside salloc or sbatch, or with srun -n 1. --allocation none lets each one run "
     "by itself"},
    {"Heterogeneous",
     {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n1", "SLURM_HET_SIZE=2",
       "SLURM_JOB_NODELIST_HET_GROUP_0=n1"}},
     "SLURM_HET_SIZE=2: heterogeneous Slurm jobs are not supported; ask for one kind of node, or "
     "name the nodes by --host or --hostfile and say --allocation none"},
    {"TooFewCounts",
     {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n[1-3]", "SLURM_TASKS_PER_NODE=2(x2)"}},
     "SLURM_TASKS_PER_NODE: it has counts for 2 nodes, but SLURM_JOB_NODELIST has 3" + kIgnore},
    {"BadCounts",
     {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n1", "SLURM_TASKS_PER_NODE=two"}},
     "SLURM_TASKS_PER_NODE: 'two' is not a count; expected for example 2(x3)" + kIgnore},
    {"BadList",
     {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n[1-3"}},
     "SLURM_JOB_NODELIST: 'n[1-3' has no ']'" + kIgnore},
    {"OutsideOfAJob", {{"SLURM_JOB_NODELIST=n1"}}, "none"},
    {"EmptyVariables", {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST="}}, "none"},
};
INSTANTIATE_TEST_SUITE_P(Slurm, FindsAllocation, testing::ValuesIn(kSlurm), NameOf);

// qsub(1) of PBS Professional and Torque: the node file has a line for each MPI process (mpiprocs)
// or each virtual processor (ppn). pbs_mpirun of Cobalt: the same under its own names.
const Case kPbs[] = {
    {"SelectOfTwoChunks",
     {{"PBS_JOBID=1234.server", "PBS_NODEFILE=/var/spool/pbs/aux/1234.server",
       "PBS_ENVIRONMENT=PBS_BATCH"},
      {{"/var/spool/pbs/aux/1234.server",
        "node01.example.org\nnode01.example.org\nnode02.example.org\nnode02.example.org\n"}}},
     "PBS job 1234.server (PBS_NODEFILE): node01.example.org/2 node02.example.org/2"},
    {"LinesOfANodeNeedNotBeTogether",
     {{"PBS_JOBID=5", "PBS_NODEFILE=f"}, {{"f", "b\r\na\r\n\r\nb\r\n"}}},
     "PBS job 5 (PBS_NODEFILE): b/2 a/1"},
    {"Cobalt",
     {{"COBALT_JOBID=5", "COBALT_NODEFILE=f"}, {{"f", "a\nb\n"}}},
     "PBS job 5 (COBALT_NODEFILE): a/1 b/1"},
    {"NoFileHere",
     {{"PBS_JOBID=5", "PBS_NODEFILE=f"}},
     "PBS_NODEFILE: cannot open 'f': No such file or directory (the file is only on the job's "
     "first node)" +
         kIgnore},
    {"EmptyFile",
     {{"PBS_JOBID=5", "PBS_NODEFILE=f"}, {{"f", "\n"}}},
     "PBS_NODEFILE f: no node is named in it" + kIgnore},
    {"BadName",
     {{"PBS_JOBID=5", "PBS_NODEFILE=f"}, {{"f", "-oProxyCommand=x\n"}}},
     "PBS_NODEFILE f: '-oProxyCommand=x' is not a host's name: it begins with '-'" + kIgnore},
    {"NoNodeFile", {{"PBS_JOBID=5"}}, "none"},
};
INSTANTIATE_TEST_SUITE_P(Pbs, FindsAllocation, testing::ValuesIn(kPbs), NameOf);

// "Platform LSF: How LSF runs parallel jobs": LSB_MCPU_HOSTS="host_nameA num_processors1 host_nameB
// num_processors2..."; "Automatic generation of the job host file".
const Case kLsf[] = {
    {"HostsWithCounts",
     {{"LSB_JOBID=99", "LSB_MCPU_HOSTS=hostA 3 hostB 2 ", "LSB_HOSTS=hostA hostA hostA hostB hostB",
       "LSB_DJOB_HOSTFILE=/home/me/.lsbatch/99.hostfile", "LSB_DJOB_NUMPROC=5"}},
     "LSF job 99 (LSB_MCPU_HOSTS): hostA/3 hostB/2"},
    {"HostfileWithoutCounts",
     {{"LSB_JOBID=99", "LSB_DJOB_HOSTFILE=f"}, {{"f", "hostA\nhostA\nhostB\n"}}},
     "LSF job 99 (LSB_DJOB_HOSTFILE): hostA/2 hostB/1"},
    {"WordsOnly",
     {{"LSB_JOBID=99", "LSB_HOSTS=hostA hostB hostA"}},
     "LSF job 99 (LSB_HOSTS): hostA/2 hostB/1"},
    {"ACountIsMissing",
     {{"LSB_JOBID=99", "LSB_MCPU_HOSTS=hostA 3 hostB"}},
     "LSB_MCPU_HOSTS: 'hostB' has no number of slots behind it" + kIgnore},
    {"ABadCount",
     {{"LSB_JOBID=99", "LSB_MCPU_HOSTS=hostA hostB 2"}},
     "LSB_MCPU_HOSTS: 'hostA' has no number of slots behind it" + kIgnore},
    {"NoFile",
     {{"LSB_JOBID=99", "LSB_DJOB_HOSTFILE=f"}},
     "LSB_DJOB_HOSTFILE: cannot open 'f': No such file or directory" + kIgnore},
    {"NoHosts", {{"LSB_JOBID=99"}}, "none"},
};
INSTANTIATE_TEST_SUITE_P(Lsf, FindsAllocation, testing::ValuesIn(kLsf), NameOf);

// sge_pe(5), $pe_hostfile: host, number of processes, queue, processor range. mpirun 4.1.4 gives
// the same slots for the first two.
const Case kGridEngine[] = {
    {"TwoHosts",
     {{"JOB_ID=5", "PE_HOSTFILE=/opt/sge/active_jobs/5.1/pe_hostfile", "SGE_ROOT=/opt/sge"},
      {{"/opt/sge/active_jobs/5.1/pe_hostfile",
        "n1 2 all.q@n1 UNDEFINED\nn2 3 all.q@n2 0,0:0,1\n"}}},
     "Grid Engine job 5 (PE_HOSTFILE): n1/2 n2/3"},
    {"TwoQueuesOfAHostAddUp",
     {{"JOB_ID=5", "PE_HOSTFILE=f"},
      {{"f", "n1 2 all.q@n1 UNDEFINED\nn2 3 all.q@n2 UNDEFINED\nn1 1 b.q@n1 UNDEFINED\n"}}},
     "Grid Engine job 5 (PE_HOSTFILE): n1/3 n2/3"},
    {"NoSlots",  // mpirun crashes
     {{"JOB_ID=5", "PE_HOSTFILE=f"}, {{"f", "n1 2 q\nn2\n"}}},
     "PE_HOSTFILE f:2: 'n2' has no number of slots behind it" + kIgnore},
    {"Empty",
     {{"JOB_ID=5", "PE_HOSTFILE=f"}, {{"f", ""}}},
     "PE_HOSTFILE f: no node is named in it" + kIgnore},
    {"NoFile",  // mpirun crashes
     {{"JOB_ID=5", "PE_HOSTFILE=f"}},
     "PE_HOSTFILE: cannot open 'f': No such file or directory" + kIgnore},
    {"SerialJob", {{"JOB_ID=5", "SGE_ROOT=/opt/sge"}}, "none"},
};
INSTANTIATE_TEST_SUITE_P(GridEngine, FindsAllocation, testing::ValuesIn(kGridEngine), NameOf);

// mpiexec(1) of HPE Cray PALS: PALS_HOSTLIST, PALS_HOSTFILE, PALS_PPN.
const Case kPals[] = {
    {"List",
     {{"PALS_HOSTLIST=x1000c0s0b0n0,x1000c0s0b0n1", "PALS_PPN=4", "PBS_JOBID=8.pbs"}},
     "PALS job 8.pbs (PALS_HOSTLIST): x1000c0s0b0n0/4 x1000c0s0b0n1/4"},
    {"FileBeforePbs",
     {{"PALS_HOSTFILE=h", "PBS_JOBID=8.pbs", "PBS_NODEFILE=p"}, {{"h", "a\na\nb\n"}, {"p", "c\n"}}},
     "PALS job 8.pbs (PALS_HOSTFILE): a/2 b/1"},
    {"OneOfSeveral",
     {{"PALS_HOSTLIST=a", "PALS_RANKID=3"}},
     "PALS started rexlaunch several times at once (by PALS' mpiexec); start it once: without "
     "mpiexec. --allocation none lets each one run by itself"},
    {"BadNumber",
     {{"PALS_HOSTLIST=a", "PALS_PPN=many"}},
     "PALS_PPN: 'many' is not a number of ranks" + kIgnore},
};
INSTANTIATE_TEST_SUITE_P(Pals, FindsAllocation, testing::ValuesIn(kPals), NameOf);

// Flux RFC 20, its example, and flux-job(1), flux-resource(1).
const char* const kR = R"({"version": 1, "execution": {
  "R_lite": [{"rank": "19-22", "children": {"core": "0-47", "gpu": "0-7"}}],
  "nodelist": ["node[186-189]"], "nslots": 32, "starttime": 1676560542,
  "expiration": 1676562342}})";
const char* const kMixedR = R"({"version": 1, "execution": {
  "R_lite": [{"rank": "2", "children": {"core": "0-1"}}, {"rank": "0-1", "children": {"core": "0"}}],
  "nodelist": ["a1", "a[2-3]"]}})";
const std::string kBadR = "flux resource R: the resource set (R) has no usable ";

const Case kFlux[] = {
    {"Instance",
     {{"FLUX_URI=local:///tmp/flux-x/local-0"}, {}, {{"flux resource R", kR}}},
     "Flux (flux resource R): node186/48 node187/48 node188/48 node189/48"},
    {"Job",
     {{"FLUX_URI=u", "FLUX_JOB_ID=123", "FLUX_JOB_SIZE=1"}, {}, {{"flux job info 123 R", kMixedR}}},
     "Flux job 123 (flux job info 123 R): a1/1 a2/1 a3/2"},
    {"BeforeSlurmThatStartedIt",
     {{"FLUX_URI=u", "SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n[1-4]", "SLURM_STEP_NUM_TASKS=4"},
      {},
      {{"flux resource R", kMixedR}}},
     "Flux (flux resource R): a1/1 a2/1 a3/2"},
    {"OneOfSeveral",
     {{"FLUX_URI=u", "FLUX_JOB_ID=123", "FLUX_JOB_SIZE=2"}},
     "Flux started rexlaunch several times at once (by flux run or flux submit with several "
     "tasks); start it once: inside flux alloc or flux batch, or with flux run -n 1. --allocation "
     "none lets each one run by itself"},
    {"NoCommand",
     {{"FLUX_URI=u"}},
     "FLUX_URI is set: start 'flux resource R': No such file or directory" + kIgnore},
    {"NoJson",
     {{"FLUX_URI=u"}, {}, {{"flux resource R", "oops"}}},
     kBadR + "execution part" + kIgnore},
    {"NoNodes",  // Flux before RFC 20 had a list of nodes
     {{"FLUX_URI=u"}, {}, {{"flux resource R", R"({"version":1,"execution":{"R_lite":[]}})"}}},
     kBadR + "list of nodes" + kIgnore},
    {"AHostTooFew",
     {{"FLUX_URI=u"}, {}, {{"flux resource R", R"({"execution":{"R_lite":[{"rank":"0-1",
       "children":{"core":"0"}}],"nodelist":["a"]}})"}}},
     kBadR + "list of nodes: one per rank" + kIgnore},
    {"BadCores",
     {{"FLUX_URI=u"}, {}, {{"flux resource R", R"({"execution":{"R_lite":[{"rank":"0",
       "children":{"core":7}}],"nodelist":["a"]}})"}}},
     kBadR + "cores" + kIgnore},
    {"NotInFlux", {{"FLUX_EXEC_PATH=/usr/libexec/flux"}}, "none"},
};
INSTANTIATE_TEST_SUITE_P(Flux, FindsAllocation, testing::ValuesIn(kFlux), NameOf);

const World kBoth = {{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n1", "LSB_JOBID=9", "LSB_HOSTS=h1"}};

TEST(FindAllocation, TheUserChoosesAmongSeveral) {
  EXPECT_EQ(Shown(Found(kBoth)), "Slurm job 7 (SLURM_JOB_NODELIST): n1/*");
  EXPECT_EQ(Shown(Found(kBoth, Only(Manager::kLsf))), "LSF job 9 (LSB_HOSTS): h1/1");
  ManagerChoice not_slurm;
  not_slurm.allowed.reset(static_cast<size_t>(Manager::kSlurm));
  EXPECT_EQ(Shown(Found(kBoth, not_slurm)), "LSF job 9 (LSB_HOSTS): h1/1");
  EXPECT_EQ(Shown(Found(kBoth, {.allowed = {}})), "none");
}

TEST(FindAllocation, TheOneThatTheUserNamesMustBeThere) {
  EXPECT_EQ(Shown(Found(kBoth, Only(Manager::kPbs))),
            "option '--allocation': this is not inside an allocation of PBS: the variables that it "
            "sets are missing");
}

TEST(FindAllocation, ManagersHaveWords) {
  for (size_t i = 0; i < kManagers; ++i) {
    const auto manager = static_cast<Manager>(i);
    EXPECT_EQ(FindManager(ManagerWord(manager)), manager);
  }
  EXPECT_EQ(FindManager("tm"), std::nullopt);
}

}  // namespace
}  // namespace rex
