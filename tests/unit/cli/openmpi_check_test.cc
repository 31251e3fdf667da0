#include "launcher/cli/openmpi_check.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

OpenMpiFacts Good() {
  return {.orted = "/usr/bin/orted",
          .version = "4.1.4",
          .prted = "",
          .plugin = "/opt/rex/lib/rex/openmpi/mca_odls_rex.so",
          .built_for = "4.1.4",
          .load_problem = "",
          .missing = "",
          .rexlaunch = "/opt/rex/bin/rexlaunch"};
}

void ExpectNot(const OpenMpiFacts& facts, const std::string& words) {
  const OpenMpiVerdict verdict = JudgeOpenMpi(facts);
  EXPECT_FALSE(verdict.fits);
  EXPECT_NE(verdict.text.find(words), std::string::npos) << verdict.text;
  EXPECT_NE(verdict.text.find("does not fit"), std::string::npos);
}

TEST(OpenMpiCheck, SaysHowToUseWhatFits) {
  const OpenMpiVerdict verdict = JudgeOpenMpi(Good());
  EXPECT_TRUE(verdict.fits);
  EXPECT_NE(verdict.text.find("mpirun --launch-agent /opt/rex/bin/rexlaunch"), std::string::npos);
}

TEST(OpenMpiCheck, EachThingThatIsMissingIsNamed) {
  OpenMpiFacts facts = Good();
  facts.orted = facts.version = "";
  ExpectNot(facts, "there is no orted in PATH");
  facts.prted = "/usr/bin/prted";
  ExpectNot(facts, "Open MPI 5");
  facts = Good();
  facts.plugin = facts.built_for = "";
  ExpectNot(facts, "mca_odls_rex.so is not installed");
  facts = Good();
  facts.missing = "rex's own program 'rexd-spawner' is missing";
  ExpectNot(facts, "'rexd-spawner' is missing");
  facts = Good();
  facts.load_problem = "it needs libhwloc.so.15, which is not found";
  facts.built_for = "";  // there may be nothing to read
  ExpectNot(facts, "orted cannot load rex's plug-in: it needs libhwloc.so.15");
}

TEST(OpenMpiCheck, SaysThatItWorksAllTheSameOnlyWhereItDoes) {
  constexpr const char* kAllTheSame = "works all the same";
  OpenMpiFacts facts = Good();
  facts.plugin = facts.built_for = "";
  EXPECT_NE(JudgeOpenMpi(facts).text.find(kAllTheSame), std::string::npos);
  facts.orted = facts.version = "";
  EXPECT_EQ(JudgeOpenMpi(facts).text.find(kAllTheSame), std::string::npos);
  facts.prted = "/usr/bin/prted";
  EXPECT_NE(JudgeOpenMpi(facts).text.find(kAllTheSame), std::string::npos);
}

TEST(OpenMpiCheck, SaysWhetherProgramsAreSent) {
  OpenMpiFacts facts = Good();
  EXPECT_NE(JudgeOpenMpi(facts).text.find("mca_filem_rex.so is missing or unfit"),
            std::string::npos);
  facts.images = "/opt/rex/lib/rex/openmpi/mca_filem_rex.so";
  EXPECT_NE(JudgeOpenMpi(facts).text.find("SYSTEM_DEFAULT:/opt/rex/lib/rex/openmpi:USER_DEFAULT"),
            std::string::npos);
  facts.images_seen = "/root/.openmpi/components/mca_filem_rex.so";
  EXPECT_NE(JudgeOpenMpi(facts).text.find("nodes lack: sent by /root/.openmpi"), std::string::npos);
  facts.images_missing = "rex's own program 'rexd-stager' is missing";
  EXPECT_NE(JudgeOpenMpi(facts).text.find("not sent by rex: rex's own program 'rexd-stager'"),
            std::string::npos);
  EXPECT_TRUE(JudgeOpenMpi(facts).fits);  // without it, too
}

TEST(OpenMpiCheck, AnotherVersionDoesNotFit) {
  OpenMpiFacts facts = Good();
  facts.version = "4.1.6";
  ExpectNot(facts, "is for Open MPI 4.1.4, and this one is 4.1.6");
  facts.version = "";
  ExpectNot(facts, "this one is of an unknown version");
}

TEST(OpenMpiCheck, ReadsTheVersion) {
  EXPECT_EQ(OpenMpiVersion("mpirun (Open MPI) 4.1.4\n\nReport bugs to x\n"), "4.1.4");
  EXPECT_EQ(OpenMpiVersion("mpirun (Open MPI) 5.0.0rc2"), "5.0.0rc2");
  EXPECT_EQ(OpenMpiVersion("HYDRA build details:"), "");
  EXPECT_EQ(OpenMpiVersion(""), "");
}

}  // namespace
}  // namespace rex
