// Many launches at once, and many in a row: none is lost, nothing grows.
#include <dirent.h>
#include <unistd.h>

#include <memory>

#include "launcher/base/fd.h"
#include "tests/integration/dvm/dvm_fixture.h"

namespace rex::testing {
namespace {

class DvmLoadTest : public DvmTest {
 protected:
  // -1: not ours to look at.
  static int OpenFds(pid_t pid) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(
        ::opendir(("/proc/" + std::to_string(pid) + "/fd").c_str()), &::closedir);
    int count = dir ? 0 : -1;
    while (dir && ::readdir(dir.get()) != nullptr) ++count;
    return count;
  }
  // `shells` shells, each of which launches `launches` jobs, one after the other.
  CommandResult Shells(int shells, int launches) {
    const std::string one =
        RexlaunchPath() + " --dvm default -n 1 " + ProgramPath("testprog") + " print done";
    const std::string script = "for s in $(seq " + std::to_string(shells) +
                               "); do (for i in $(seq " + std::to_string(launches) + "); do " +
                               one + " || echo FAILED; done) & done; wait";
    CommandOptions options;
    options.timeout = seconds(100);
    return Run({"sh", "-c", script}, options);
  }
};

TEST_F(DvmLoadTest, TwoHundredLaunchesFromEightShells) {
  StartDvm();
  const CommandResult all = Shells(8, 25);
  EXPECT_TRUE(ExitedWith(all, 0));
  EXPECT_EQ(CountOf(all.out, "done"), 200U);
  EXPECT_EQ(CountOf(all.out, "FAILED"), 0U) << all;
  EXPECT_EQ(Ask({"status"})["jobs_ever"], 200);
  EXPECT_TRUE(AwaitJobs(0));
}

TEST_F(DvmLoadTest, NothingGrows) {
  StartDvm();
  EXPECT_TRUE(ExitedWith(Shells(2, 10), 0));
  EXPECT_TRUE(AwaitJobs(0));
  const pid_t head = Head();
  const pid_t host = Daemon("rexd-pmix");
  const int head_fds = OpenFds(head);
  const int host_fds = OpenFds(host);
  EXPECT_TRUE(ExitedWith(Shells(4, 25), 0));
  EXPECT_TRUE(AwaitJobs(0));
  // The last rexctl's connection may still be there.
  EXPECT_LE(OpenFds(head), head_fds + 2);
  EXPECT_LE(OpenFds(host), host_fds + 2);
}

}  // namespace
}  // namespace rex::testing
