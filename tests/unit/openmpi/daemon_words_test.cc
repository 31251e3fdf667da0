// What mpirun 4.0, 4.1 and 5 say to the program they start on a node. The words are what they were
// seen to be.
#include "launcher/openmpi/daemon_words.h"

#include <gtest/gtest.h>

#include <sstream>

namespace rex::openmpi {
namespace {

Words Split(const std::string& text) {
  std::istringstream in(text);
  Words words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::string Joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

constexpr const char* kSsh =
    "-mca ess env -mca ess_base_jobid 3816620032 -mca ess_base_vpid 1 -mca ess_base_num_procs 3 "
    "-mca orte_node_regex head,n[1:1-2]@0(3) -mca orte_hnp_uri "
    "3816620032.0;tcp://10.9.0.1:40401 --tree-spawn -mca routed radix -mca orte_parent_uri "
    "3816620032.0;tcp://10.9.0.1:40401 -mca orte_launch_agent rexlaunch -mca pmix ^s1,s2,cray";
constexpr const char* kSlurm =
    "-mca ess slurm -mca ess_base_jobid 1 -mca ess_base_vpid 1 -mca ess_base_num_procs 3 -mca "
    "orte_hnp_uri 1.0;tcp://10.9.0.1:40401";
// Open MPI 4.0's by its source (plm_base_launch_support.c, plm_rsh_module.c), without and with a
// tree of daemons.
constexpr const char* kFourZero =
    "-mca ess env -mca ess_base_jobid 1476591616 -mca ess_base_vpid 1 -mca ess_base_num_procs 2 "
    "-mca orte_node_regex head,n[1:1]@0(2) -mca orte_hnp_uri 1476591616.0;tcp://10.9.0.1:33445 "
    "-mca plm rsh -mca pmix ^s1,s2,cray,isolated";
constexpr const char* kFourZeroTree =
    "-mca ess env -mca ess_base_jobid 1476591616 -mca ess_base_vpid 2 -mca ess_base_num_procs 4 "
    "-mca orte_node_regex head,n[1:1-3]@0(4) -mca orte_hnp_uri "
    "1476591616.0;tcp://10.9.0.1:33445 -mca plm rsh --tree-spawn -mca routed radix -mca "
    "orte_parent_uri 1476591616.1;tcp://10.9.0.2:40001 -mca orte_launch_agent rexlaunch";
constexpr const char* kDir = "/opt/rex/lib/rex/openmpi";

TEST(DaemonWords, SshAndSlurmAreOrted) {
  EXPECT_EQ(ReadDaemonCall(Split(kSsh)).caller, Caller::kOrte);
  EXPECT_EQ(ReadDaemonCall(Split(kSlurm)).caller, Caller::kOrte);
  EXPECT_EQ(ReadDaemonCall(Split("--debug-daemons " + std::string(kSsh))).caller, Caller::kOrte);
}

TEST(DaemonWords, FourZeroIsOrtedToo) {
  for (const char* line : {kFourZero, kFourZeroTree}) {
    const DaemonCall call = ReadDaemonCall(Split("--rex-verbose " + std::string(line)));
    EXPECT_EQ(call.caller, Caller::kOrte);
    EXPECT_EQ(Joined(call.words), line);
    const Words words = WordsForOrted(call, kDir);
    EXPECT_EQ(Joined(words), std::string(line) + " -mca mca_base_component_path SYSTEM_DEFAULT:" +
                                 kDir + ":USER_DEFAULT -mca odls_rex_verbose 1");
    EXPECT_EQ(WordsForOrted(ReadDaemonCall(words), kDir), words);
  }
}

TEST(DaemonWords, UsersAreNot) {
  for (const char* line : {"", "-n 4 ./app", "-mca ess env ./app", "-mca pml ob1 -n 2 ./app",
                           "--rex-exec -n 2 ./app", "-mca ess_base_jobid 1", "-mca ess"}) {
    const DaemonCall call = ReadDaemonCall(Split(line));
    EXPECT_EQ(call.caller, Caller::kUser) << line;
    EXPECT_EQ(Joined(call.words), line);
  }
}

TEST(DaemonWords, PrrteIsPassedOnAsItIs) {
  const std::string line = "--prtemca ess env --prtemca ess_base_nspace prterun-n1 --leave";
  const DaemonCall call = ReadDaemonCall(Split("--rex-verbose " + line));
  EXPECT_EQ(call.caller, Caller::kPrrte);
  EXPECT_EQ(Joined(call.words), line);
}

TEST(DaemonWords, OrtedGetsThePluginsDirectoryOnce) {
  const DaemonCall call = ReadDaemonCall(Split(kSsh));
  const Words words = WordsForOrted(call, kDir);
  EXPECT_EQ(Joined(words), std::string(kSsh) + " -mca mca_base_component_path SYSTEM_DEFAULT:" +
                               kDir + ":USER_DEFAULT");
  // A parent orted passes it down the tree.
  EXPECT_EQ(WordsForOrted(ReadDaemonCall(words), kDir), words);
}

TEST(DaemonWords, TheUsersDirectoriesStay) {
  const std::string theirs = std::string(kSsh) + " --mca mca_base_component_path /my/dir";
  const Words words = WordsForOrted(ReadDaemonCall(Split(theirs)), kDir);
  EXPECT_EQ(Joined(words), theirs + ":" + kDir);
  EXPECT_EQ(WordsForOrted(ReadDaemonCall(words), kDir), words);
  // A directory whose name only begins like it is another one.
  const std::string longer = theirs + ":" + kDir + "2";
  EXPECT_EQ(Joined(WordsForOrted(ReadDaemonCall(Split(longer)), kDir)), longer + ":" + kDir);
}

TEST(DaemonWords, OursAreTakenOut) {
  const DaemonCall call = ReadDaemonCall(Split("--rex-exec --rex-verbose " + std::string(kSsh)));
  EXPECT_TRUE(call.options.exec && call.options.verbose && !call.options.plain);
  EXPECT_EQ(Joined(call.words), kSsh);
  const std::string words = Joined(WordsForOrted(call, kDir));
  EXPECT_NE(words.find("-mca odls_rex_births exec -mca odls_rex_verbose 1"), std::string::npos);
  // A parent orted's setting is replaced: orted refuses a name that comes twice.
  EXPECT_EQ(Joined(WordsForOrted(ReadDaemonCall(Split("--rex-exec --rex-verbose " + words)), kDir)),
            words);
}

TEST(DaemonWords, PlainMeansPlain) {
  const DaemonCall call = ReadDaemonCall(Split("--rex-plain " + std::string(kSsh)));
  EXPECT_EQ(Joined(WordsForOrted(call, kDir)), kSsh);
}

TEST(DaemonWords, NoPluginMeansPlain) {
  const DaemonCall call = ReadDaemonCall(Split("--rex-exec " + std::string(kSsh)));
  EXPECT_EQ(Joined(WordsForOrted(call, "")), kSsh);
}

TEST(DaemonWords, SlipsAreNamed) {
  EXPECT_EQ(ReadDaemonCall(Split("--rex-exce --rex-plan " + std::string(kSsh))).options.unknown,
            "--rex-exce");
  // Behind the daemon's first word it is somebody's value.
  const std::string value = std::string(kSsh) + " -mca orte_launch_agent --rex-exec";
  const DaemonCall call = ReadDaemonCall(Split(value));
  EXPECT_FALSE(call.options.exec);
  EXPECT_EQ(Joined(call.words), value);
}

TEST(DaemonWords, OtherComponentsForBothOfOursMeanNone) {
  const struct {
    const char* words;
    bool can;
  } cases[] = {{"", true},
               {"-mca odls default", true},
               {"-mca filem raw", true},
               {"-mca odls default -mca filem raw", false},
               {"--mca odls pspawn --mca filem ^rex", false},
               {"-mca odls ^rex,pspawn -mca filem raw", false},
               {"-mca odls ^default -mca filem raw", true},
               {"-mca odls default -mca filem raw,rex", true},
               {"-mca odls rex,default -mca filem raw", true},
               {"-mca odls rexx -mca filem raw", false}};
  for (const auto& one : cases) {
    EXPECT_EQ(CanBeChosen(Split(std::string(kSsh) + " " + one.words)), one.can) << one.words;
  }
}

TEST(DaemonWords, CutShortNowhereReadsBeyond) {
  const Words all = Split("--rex-exec " + std::string(kSsh));
  for (size_t count = 0; count <= all.size(); ++count) {
    const Words words(all.begin(), all.begin() + static_cast<ptrdiff_t>(count));
    const DaemonCall call = ReadDaemonCall(words);
    const bool whole_enough = count >= 7;  // with ess and ess_base_jobid
    EXPECT_EQ(call.caller == Caller::kOrte, whole_enough) << count;
    EXPECT_GE(WordsForOrted(call, kDir).size(), call.words.size());
  }
}

}  // namespace
}  // namespace rex::openmpi
