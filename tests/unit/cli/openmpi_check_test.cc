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
