// At the limits of the machine: descriptors, processes, memory, disk. A limit is a message, never a
// hang and never a half-started job.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class LimitsTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
  static CommandOptions With(__rlimit_resource_t what, rlim_t value) {
    CommandOptions options;
    options.limits.push_back({what, {value, value}});
    return options;
  }
  // rex may raise the soft limit to the hard one, which must have room for what it does.
  static CommandOptions WithSoftFileLimit(rlim_t soft) {
    CommandOptions options;
    rlimit files{};
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    EXPECT_GE(files.rlim_max, 4096u) << "the tests need `ulimit -Hn 4096`";
    options.limits.push_back({RLIMIT_NOFILE, {soft, files.rlim_max}});
    return options;
  }
};

// The usual soft limit; all ranks are alive together.
TEST_F(LimitsTest, SixHundredRanksWithAThousandDescriptors) {
  const CommandResult result = Rex(
      {"-n", "600", "--oversubscribe", Program(), "then", "sleep", "1500", ",", "print", "x\\n"},
      WithSoftFileLimit(1024));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "x\n"), 600u);
}

TEST_F(LimitsTest, ThreeHundredRanksWithStdinForAll) {
  CommandOptions options = WithSoftFileLimit(1024);
  options.stdin_kind = StdinKind::kBytes;
  options.stdin_bytes = "one line for everybody\n";
  const CommandResult result =
      Rex({"-n", "300", "--oversubscribe", "--stdin", "all", Program(), "stdin-cat"}, options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, options.stdin_bytes), 300u);
}

// All or none: no rank has run when there is no room for the last one.
TEST_F(LimitsTest, AJobThatCannotStartWholeDoesNotStart) {
  const CommandResult result =
      Rex({"-n", "600", "--oversubscribe", Program(), "print", "x\\n"}, With(RLIMIT_NOFILE, 1024));
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_EQ(CountOf(result.out, "x\n"), 0u);
}

TEST_F(LimitsTest, OutOfDescriptors) {
  const CommandResult result =
      Rex({"-n", "200", "--oversubscribe", Program(), "exit", "0"}, With(RLIMIT_NOFILE, 100));
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"open files", "ulimit -"}));
}

// RLIMIT_NPROC does not bind root, so root tries as nobody.
TEST_F(LimitsTest, OutOfProcesses) {
  std::vector<std::string> argv;
  CommandOptions options = Prepare();
  if (::geteuid() == 0) {
    for (const auto& dir : {left().tmp_dir(), left().work_dir()}) ::chmod(dir.c_str(), 0777);
    const std::string root = left().tmp_dir().substr(0, left().tmp_dir().rfind('/'));
    ::chmod(root.c_str(), 0755);
    options.set_env["XDG_CACHE_HOME"] = left().work_dir();
    options.set_env["HOME"] = left().work_dir();
    argv = {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"};
    // By a shell: setpriv itself still has root's capabilities when it executes a program.
    auto probe = argv;
    probe.insert(probe.end(), {"/bin/bash", "-c", ShellWord(RexlaunchPath()) + " --version"});
    if (RunCommand(probe, options).exit_code != 0) GTEST_SKIP() << "nobody can't run rexlaunch";
  }
  const std::string line = "ulimit -u 40; exec " + ShellWord(RexlaunchPath()) +
                           " -n 120 --oversubscribe " + ShellWord(Program()) + " sleep 60000";
  argv.insert(argv.end(), {"/bin/bash", "-c", line});
  const CommandResult result = RunCommand(argv, options);
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"process", "ulimit -u"}));
}

TEST_F(LimitsTest, LittleMemoryIsNoHang) {
  if (IsSanitized()) GTEST_SKIP() << "a sanitizer's shadow memory alone is larger: nothing starts";
  for (const rlim_t mib : {16, 32, 64, 128}) {
    const CommandResult result =
        Rex({"-n", "4", "--oversubscribe", Program(), "exit", "0"}, With(RLIMIT_AS, mib << 20));
    EXPECT_FALSE(result.timed_out) << mib << " MiB: " << result;
    EXPECT_TRUE(result.exit_code == 0 || !result.err.empty()) << mib << " MiB: " << result;
  }
}

// Without a usable TMPDIR /tmp serves, and one line says so.
TEST_F(LimitsTest, NoTempDirectory) {
  CommandOptions options;
  options.set_env["TMPDIR"] = "/no/such/tmp";
  const CommandResult result = Rex({"-n", "1", Program(), "exit", "0"}, options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {"/no/such/tmp", "TMPDIR", "/tmp"}));
}

TEST_F(LimitsTest, AFullDisk) {
  const std::string dir = left().work_dir() + "/full";
  ASSERT_EQ(::mkdir(dir.c_str(), 0700), 0);
  const std::string mount = "mount -t tmpfs -o size=4k,nr_inodes=2 none " + dir;
  if (Run({"unshare", "-m", "/bin/sh", "-c", mount}).exit_code != 0) {
    GTEST_SKIP() << "can't mount a file system here";
  }
  const CommandResult result =
      Run({"unshare", "-m", "/bin/sh", "-c",
           mount + " && : > " + dir + "/a; TMPDIR=" + dir + " exec " + ShellWord(RexlaunchPath()) +
               " -n 1 " + ShellWord(Program()) + " exit 0"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {dir, "space"}));
}

TEST_F(LimitsTest, WithoutSharedMemoryFilesServe) {
  const std::string mount = "mount -t tmpfs -o size=4k,nr_inodes=1 none /dev/shm";
  if (Run({"unshare", "-m", "/bin/sh", "-c", mount}).exit_code != 0) {
    GTEST_SKIP() << "can't mount a file system here";
  }
  const CommandResult result =
      Run({"unshare", "-m", "/bin/sh", "-c",
           mount + " && exec " + RexlaunchPath() + " -n 2 " + ProgramPath("mpi_hello")});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "hello rank="), 2u);
}

// The host's own files there are for speed only: too little room for them costs no run.
TEST_F(LimitsTest, ATempDirectoryWithLittleRoomIsNoHang) {
  const std::string dir = left().work_dir() + "/small";
  ASSERT_EQ(::mkdir(dir.c_str(), 0700), 0);
  for (const auto& [size, ranks] : {std::pair("4k", "2"), std::pair("6m", "24")}) {
    const std::string mount = std::string("mount -t tmpfs -o size=") + size + " none " + dir;
    if (Run({"unshare", "-m", "/bin/sh", "-c", mount}).exit_code != 0) {
      GTEST_SKIP() << "can't mount a file system here";
    }
    const CommandResult result =
        Run({"unshare", "-m", "/bin/sh", "-c",
             mount + " && TMPDIR=" + dir + " exec " + RexlaunchPath() + " --oversubscribe -n " +
                 ranks + " " + ProgramPath("mpi_hello")});
    EXPECT_TRUE(ExitedWith(result, 0)) << size;
  }
}

TEST_F(LimitsTest, TooFewProcessesForRexItself) {
  if (IsSanitized()) GTEST_SKIP() << "the search for leaks needs a process, and fails the command";
  std::vector<std::string> argv;
  if (::geteuid() == 0) {
    argv = {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"};
  }
  const std::string line = "ulimit -u 1; exec " + RexlaunchPath() + " -n 1 /bin/true";
  argv.insert(argv.end(), {"/bin/bash", "-c", line});
  CommandOptions options;
  options.cwd = "/";
  const CommandResult result = Run(argv, options);
  if (result.exit_code == kExitNotRunnable) GTEST_SKIP() << "nobody can't run rexlaunch";
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"limits"}));
}

// Neither TMPDIR nor /tmp nor /dev/shm has room: rexlaunch lies where no mount hides it.
TEST_F(LimitsTest, NoRoomAnywhere) {
  const std::string full = "size=4k,nr_inodes=1 none ";
  const std::string mounts = "mount -t tmpfs -o " + full + "/dev/shm && mount -t tmpfs -o " + full +
                             "/var/tmp && mount -t tmpfs -o " + full + "/mnt";
  if (RexlaunchPath().starts_with("/tmp/") ||
      Run({"unshare", "-m", "/bin/sh", "-c", mounts}).exit_code != 0) {
    GTEST_SKIP() << "can't hide /tmp here";
  }
  const CommandResult result =
      Run({"unshare", "-m", "/bin/sh", "-c",
           mounts + " && cd / && mount --bind /mnt /tmp && TMPDIR=/mnt exec " +
               ShellWord(RexlaunchPath()) + " -n 1 true"});
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"/mnt", "space"}));
}

}  // namespace
}  // namespace rex::testing
