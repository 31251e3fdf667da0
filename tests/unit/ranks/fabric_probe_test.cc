#include "launcher/ranks/fabric_probe.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace rex {
namespace {

using Words = std::vector<std::string>;

// A node with Debian's Open MPI and no fabric at all.
FabricFacts Bare() {
  FabricFacts facts;
  facts.sysfs = true;
  facts.mtl_components = {"ofi", "psm", "psm2"};
  return facts;
}

constexpr char kSiteFile[] = "/etc/openmpi/openmpi-mca-params.conf";

McaFiles Files(const std::string& text) {
  McaFiles files;
  ParseMcaFile(text, kSiteFile, files);
  return files;
}

// As Debian ships it.
McaFiles Debian() {
  return Files(
      "btl_base_warn_component_unused=0\nmtl = ^ofi\nbtl = ^uct,openib,ofi\n"
      "pml = ^ucx\nosc = ^ucx,pt2pt\n");
}

bool Explains(const FabricSettings& settings, const std::string& text) {
  if (text.empty()) return settings.explanations.empty();
  for (const std::string& line : settings.explanations) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

struct Case {
  const char* name;
  FabricFacts facts;
  McaFiles files;
  Words env;
  Words expected;
  const char* explanation;  // part of a line; empty: nothing to explain
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

Case With(const char* name, void (*change)(FabricFacts&), Words expected, const char* explanation) {
  FabricFacts facts = Bare();
  change(facts);
  return {name, facts, Debian(), {}, std::move(expected), explanation};
}

class Chooses : public testing::TestWithParam<Case> {};

TEST_P(Chooses, AsTheTableSays) {
  const Case& c = GetParam();
  const FabricSettings settings = ChooseComponents(c.facts, c.files, c.env);
  EXPECT_EQ(settings.env, c.expected);
  EXPECT_TRUE(Explains(settings, c.explanation)) << testing::PrintToString(settings.explanations);
}

const Words kBareDebian = {"OMPI_MCA_mtl=^ofi,psm,psm2", "OMPI_MCA_pml=^ucx,cm"};

const Case kDeviceCases[] = {
    {"NoDevice", Bare(), Debian(), {}, kBareDebian, "mtl psm2 excluded: no Omni-Path"},
    {"NoSiteFile",
     Bare(),
     {},
     {},
     {"OMPI_MCA_mtl=^psm,psm2,ofi", "OMPI_MCA_btl=^openib,ofi", "OMPI_MCA_osc=^ucx",
      "OMPI_MCA_pml=^ucx,cm"},
     "pml ucx excluded"},
    With(
        "OmniPath", [](FabricFacts& f) { f.omnipath = true; }, {"OMPI_MCA_mtl=^ofi,psm"},
        "mtl psm excluded: no InfiniPath"),
    With(
        "InfiniPath", [](FabricFacts& f) { f.infinipath = true; }, {"OMPI_MCA_mtl=^ofi,psm2"},
        "mtl psm2 excluded"),
    With(
        "InfiniBandOnly", [](FabricFacts& f) { f.verbs = true; }, kBareDebian, "pml cm excluded"),
    With(
        "AnotherMtlInstalled", [](FabricFacts& f) { f.mtl_components->insert("portals4"); },
        {"OMPI_MCA_mtl=^ofi,psm,psm2"}, "mtl psm excluded"),
    With(
        "NotTheDistributionsOpenMpi", [](FabricFacts& f) { f.mtl_components.reset(); }, {},
        "not installed"),
};
INSTANTIATE_TEST_SUITE_P(Devices, Chooses, testing::ValuesIn(kDeviceCases),
                         [](const auto& test) { return std::string(test.param.name); });

const Case kUserCases[] = {
    {"NamesMtl",
     Bare(),
     Debian(),
     {"OMPI_MCA_mtl=psm2"},
     {},
     "mtl left alone: OMPI_MCA_mtl=psm2 is in the environment"},
    {"ExcludesMtl", Bare(), Debian(), {"OMPI_MCA_mtl=^ofi"}, {}, "mtl left alone"},
    {"AsksForCm", Bare(), Debian(), {"OMPI_MCA_pml=cm"}, {}, "pml cm is asked for"},
    {"AsksForOb1",
     Bare(),
     Debian(),
     {"OMPI_MCA_pml=ob1"},
     {"OMPI_MCA_mtl=^ofi,psm,psm2"},
     "pml left alone"},
    {"ExcludesUcx",
     Bare(),
     Debian(),
     {"OMPI_MCA_pml=^ucx"},
     {"OMPI_MCA_mtl=^ofi,psm,psm2"},
     "pml left alone"},
    {"AsksForUcx",
     Bare(),
     {},
     {"OMPI_MCA_pml=ucx"},
     {"OMPI_MCA_mtl=^psm,psm2,ofi", "OMPI_MCA_btl=^openib,ofi"},
     "osc ucx left alone"},
    {"AsksForUcxInOpenShmem",
     Bare(),
     {},
     {"OMPI_MCA_spml=ucx"},
     {"OMPI_MCA_mtl=^psm,psm2,ofi", "OMPI_MCA_btl=^openib,ofi", "OMPI_MCA_pml=^cm"},
     "pml ucx left alone: OMPI_MCA_spml=ucx"},
    {"TunesOfi",
     Bare(),
     {},
     {"OMPI_MCA_mtl_ofi_provider_include=tcp"},
     {"OMPI_MCA_mtl=^psm,psm2", "OMPI_MCA_btl=^openib", "OMPI_MCA_osc=^ucx", "OMPI_MCA_pml=^ucx"},
     "mtl ofi left alone: OMPI_MCA_mtl_ofi_provider_include=tcp"},
    {"TunesPsm2NotPsm",
     Bare(),
     Debian(),
     {"OMPI_MCA_mtl_psm2_priority=50"},
     {"OMPI_MCA_mtl=^ofi,psm"},
     "mtl psm2 left alone"},
    {"RaisesCm", Bare(), Debian(), {"OMPI_MCA_pml_cm_priority=90"}, {}, "mtl left alone"},
    {"SteersLibfabric",
     Bare(),
     {},
     {"FI_PROVIDER=sockets"},
     {"OMPI_MCA_mtl=^psm,psm2", "OMPI_MCA_btl=^openib", "OMPI_MCA_osc=^ucx", "OMPI_MCA_pml=^ucx"},
     "FI_PROVIDER"},
    {"OtherParameterFile",
     Bare(),
     Debian(),
     {"OMPI_MCA_mca_base_param_files=/x"},
     {},
     "OMPI_MCA_mca_base_param_files is in the environment"},
    {"OtherInstallation", Bare(), Debian(), {"OPAL_PREFIX=/opt/ompi"}, {}, "OPAL_PREFIX"},
    {"OtherComponents",
     Bare(),
     Debian(),
     {"OMPI_MCA_mca_base_component_path=/x"},
     {"OMPI_MCA_mtl=^ofi,psm,psm2"},
     "mtl psm excluded"},
    {"UnrelatedSettings",
     Bare(),
     Debian(),
     {"OMPI_MCA_btl=self,vader", "OMPI_MCA_pml_base_verbose=5", "OMPI_MCA_mtlx=1"},
     kBareDebian,
     "pml cm excluded: no mtl"},
};
INSTANTIATE_TEST_SUITE_P(User, Chooses, testing::ValuesIn(kUserCases),
                         [](const auto& test) { return std::string(test.param.name); });

const Case kFileCases[] = {
    {"IncludesMtl",
     Bare(),
     Files("mtl = psm\npml=^ucx\nosc=^ucx\nbtl=^openib,ofi"),
     {},
     {},
     "sets mtl = psm"},
    {"IncludesCm",
     Bare(),
     Files("pml = cm,ob1\nosc=^ucx\nbtl=^openib,ofi"),
     {},
     {},
     "pml cm is asked for by pml = cm,ob1 in /etc"},
    {"IncludesOb1",
     Bare(),
     Files("pml = ob1\nmtl = ^ofi\nosc=^ucx\nbtl=^openib,ofi"),
     {},
     {"OMPI_MCA_mtl=^ofi,psm,psm2"},
     "pml left alone"},
    {"UnreadableValue",
     Bare(),
     Files("pml = ^ucx # not a comment\nmtl=^ofi\nosc=^ucx\nbtl=^ofi,openib"),
     {},
     {"OMPI_MCA_mtl=^ofi,psm,psm2"},
     "pml left alone"},
    {"ExcludesAllAlready",
     Bare(),
     Files("pml=^ucx,cm\nmtl=^psm2,ofi,psm\nosc=^ucx\nbtl=^ofi,openib"),
     {},
     {},
     ""},
    {"OddLine", Bare(), Files("mtl = ^ofi\n-mca pml ob1\n"), {}, {}, "line 2"},
    {"NamesOtherFiles",
     Bare(),
     Files("mca_base_param_files = /x\n"),
     {},
     {},
     "mca_base_param_files"},
    {"TunesPsm",
     Bare(),
     Files("mtl=^ofi\nmtl_psm_ib_mtu=4\npml=^ucx\nosc=^ucx\nbtl=^ofi,openib"),
     {},
     {"OMPI_MCA_mtl=^ofi,psm2"},
     "mtl psm left alone: mtl_psm_ib_mtu = 4 in /etc"},
};
INSTANTIATE_TEST_SUITE_P(File, Chooses, testing::ValuesIn(kFileCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(ChooseComponents, TheEnvironmentHidesTheFilesWish) {
  // The file's `cm` does not count when the environment names another pml.
  const FabricSettings settings =
      ChooseComponents(Bare(), Files("pml = cm\nosc=^ucx\nbtl=^ofi,openib"), {"OMPI_MCA_pml=ob1"});
  EXPECT_EQ(settings.env, Words{"OMPI_MCA_mtl=^psm,psm2,ofi"});
}

TEST(ChooseComponents, LeavesOverriddenFrameworksAlone) {
  McaFiles files = Debian();
  files.overridden = {"mtl"};
  const FabricSettings settings = ChooseComponents(Bare(), files, {});
  EXPECT_TRUE(settings.env.empty());
  EXPECT_TRUE(Explains(settings, "override file"));
}

TEST(ChooseComponents, KeepsCmForAUsersOwnComponents) {
  McaFiles files = Debian();
  files.own_components = true;
  EXPECT_EQ(ChooseComponents(Bare(), files, {}).env, Words{"OMPI_MCA_mtl=^ofi,psm,psm2"});
}

TEST(ChooseComponents, WithoutSysfsOnlyDeviceNodesCount) {
  FabricFacts facts = Bare();
  facts.sysfs = false;
  EXPECT_EQ(ChooseComponents(facts, {}, {}).env, Words{"OMPI_MCA_mtl=^psm,psm2"});
}

TEST(ChooseComponents, AGpuKeepsUcx) {
  FabricFacts facts = Bare();
  facts.gpu = true;
  const Words expected = {"OMPI_MCA_mtl=^psm,psm2,ofi", "OMPI_MCA_btl=^openib,ofi",
                          "OMPI_MCA_pml=^cm"};
  EXPECT_EQ(ChooseComponents(facts, {}, {}).env, expected);
}

TEST(ChooseComponents, AForeignOpenMpiIsLeftAlone) {
  const FabricSettings settings = ChooseComponents(Bare(), Debian(), {}, true);
  EXPECT_TRUE(settings.env.empty());
  EXPECT_EQ(settings.explanations.size(), 1U);
}

TEST(ParseMcaFile, LastDefinitionWinsAndCommentsAreSkipped) {
  const McaFiles files = Files("# pml = cm\n\n  mtl=^psm \nmtl = ^psm2\r\n// btl = x\nempty =");
  EXPECT_TRUE(files.unclear.empty());
  EXPECT_EQ(files.settings.size(), 2U);
  EXPECT_EQ(files.settings.at("mtl").value, "^psm2");
  EXPECT_EQ(files.settings.at("empty").value, "");
}

TEST(ParseMcaFile, NamesTheLineItCannotRead) {
  for (const char* line : {"mtl ^psm", "-mca mtl ^psm", "\"mtl\" = x", "/* pml = x */", "= x",
                           "p#ml = x", "p\fml = x", "p\xe9l = x"}) {
    const McaFiles files = Files(std::string("a = b\n") + line + "\nc = d");
    EXPECT_NE(files.unclear.find("line 2"), std::string::npos) << line;
  }
}

class FabricFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "rex-fabric-test-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text = "") {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string root_;
};

TEST_F(FabricFilesTest, NothingIsThereInAnEmptyTree) {
  const FabricFacts facts = ReadFabricFacts(root_);
  EXPECT_FALSE(facts.sysfs || facts.infinipath || facts.omnipath || facts.verbs ||
               facts.other_rdma || facts.gpu || facts.mtl_components);
}

TEST_F(FabricFilesTest, FindsEachKindOfDevice) {
  Write("/sys/class/net/lo");
  EXPECT_TRUE(ReadFabricFacts(root_).sysfs);
  Write("/dev/ipath0");
  EXPECT_TRUE(ReadFabricFacts(root_).infinipath);
  Write("/sys/class/infiniband/mlx5_0");
  EXPECT_TRUE(ReadFabricFacts(root_).verbs);
  EXPECT_FALSE(ReadFabricFacts(root_).omnipath);
  Write("/sys/class/infiniband/hfi1_0");
  EXPECT_TRUE(ReadFabricFacts(root_).omnipath);
  Write("/sys/class/cxi/cxi0");
  EXPECT_TRUE(ReadFabricFacts(root_).other_rdma);
  Write("/dev/nvidiactl");
  EXPECT_TRUE(ReadFabricFacts(root_).gpu);
}

TEST_F(FabricFilesTest, AModuleWithoutADeviceIsNoDevice) {
  Write("/sys/class/infiniband_verbs/abi_version");
  Write("/dev/infiniband/rdma_cm");
  EXPECT_FALSE(ReadFabricFacts(root_).verbs);
  Write("/dev/infiniband/uverbs0");
  EXPECT_TRUE(ReadFabricFacts(root_).verbs);
}

TEST_F(FabricFilesTest, TheHomeFileIsReadOverTheSites) {
  Write(kSiteFile, "mtl = ^ofi\npml = ^ucx\n");
  Write("/home/u/.openmpi/mca-params.conf", "mtl = ^psm\n");
  Write("/etc/openmpi/openmpi-mca-params-override.conf", "btl = tcp,self\n");
  const McaFiles files = ReadMcaFiles("/home/u", root_);
  EXPECT_EQ(files.settings.at("mtl").value, "^psm");
  EXPECT_EQ(files.settings.at("mtl").file, "/home/u/.openmpi/mca-params.conf");
  EXPECT_EQ(files.settings.at("pml").value, "^ucx");
  EXPECT_EQ(files.overridden, std::set<std::string>{"btl"});
  EXPECT_FALSE(files.own_components);
  EXPECT_EQ(ReadMcaFiles("", root_).settings.at("mtl").value, "^ofi");
  Write("/home/u/.openmpi/components/x");
  EXPECT_TRUE(ReadMcaFiles("/home/u", root_).own_components);
}

TEST_F(FabricFilesTest, SeesAnOpenMpiInTheLibraryPath) {
  Write("/opt/ompi/lib/libmpi.so.40");
  Write("/opt/other/libfoo.so");
  EXPECT_FALSE(HasForeignLibmpi({}, root_));
  EXPECT_FALSE(HasForeignLibmpi({"LD_LIBRARY_PATH=/opt/other::relative"}, root_));
  EXPECT_TRUE(HasForeignLibmpi({"LD_LIBRARY_PATH=/opt/other:/opt/ompi/lib"}, root_));
}

TEST(FabricOfThisNode, CanBeRead) {
  const FabricFacts facts = ReadFabricFacts();
  EXPECT_TRUE(facts.sysfs);
  ReadMcaFiles("/nonexistent");
}

}  // namespace
}  // namespace rex
