// Programs that are only where the user is: they come to the nodes, once, whole, and run as if they
// lay there.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

namespace fs = std::filesystem;

class ImageTest : public NodesTest {
 protected:
  // The nodes' /tmp is another one: nothing in there is seen by them.
  ImageTest() : home_("/tmp/imagetest-" + std::to_string(::getpid())) {
    fs::create_directories(home_);
  }
  ~ImageTest() override { fs::remove_all(home_); }

  // Puts the program with its library and plug-in there, and gives its path.
  std::string PutApp() {
    const fs::path built = fs::path(ProgramPath("testprog")).parent_path() / "image";
    fs::copy(built, home_ + "/app", fs::copy_options::recursive);
    return home_ + "/app/bin/image_app";
  }
  std::string PutCopy(const std::string& program) {
    const std::string to = home_ + "/" + fs::path(program).filename().string();
    fs::copy_file(program, to);
    return to;
  }
  // Bytes that do not repeat.
  std::string PutData(const std::string& name, size_t bytes, uint32_t seed = 1) {
    std::string text(bytes, '\0');
    uint32_t x = seed;
    for (char& c : text) c = static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
    std::ofstream(home_ + "/" + name, std::ios::binary) << text;
    return home_ + "/" + name;
  }
  CommandResult Run(std::vector<std::string> args, int exit_code = 0) {
    args.insert(args.begin(), {"--timeline", "-"});
    CommandResult result = RexOnHead(args);
    EXPECT_TRUE(ExitedWith(result, exit_code)) << result.err;
    return result;
  }
  // "image sent": how many bytes the head's timeline says.
  static long Sent(const CommandResult& result) {
    std::smatch match;
    const std::regex sent("image sent .* (\\d+) bytes sent");
    return std::regex_search(result.err, match, sent) ? std::stol(match[1]) : -1;
  }
  // Where XDG_CACHE_HOME is below home_, nodes keep their topologies there.
  void RemoveCaches() {
    for (const char* node : {"n1", "n2"}) Shell(node, "rm -rf " + home_);
  }
  static std::string Births(const CommandResult& result) {
    std::smatch match;
    const std::regex births("births .* (template|exec)");
    return std::regex_search(result.err, match, births) ? match[1].str() : "";
  }
  const std::string home_;
};

TEST_F(ImageTest, AProgramThatOnlyTheHeadHasRunsOnEveryNode) {
  ASSERT_TRUE(StartNodes(3));
  const std::string app = PutApp();
  const CommandResult result =
      Run({"--host", "n1,n2,n3", "--preload-files", home_ + "/app/lib/libimage_plugin.so", app});
  for (const char* node : {"n1", "n2", "n3"}) {
    EXPECT_TRUE(Contains(result.out, std::string("on=") + node + " library=42 plugin=7 name=" +
                                         app + " exe=/dev/shm/rex-"));
  }
  EXPECT_EQ(CountOf(result.out, "/image" + app + " path=(unset) preload=(unset)\n"), 3u);
  EXPECT_EQ(Births(result), "template");
}

TEST_F(ImageTest, RanksKeepTheirOwnLibraryPathHoweverTheyAreBorn) {
  ASSERT_TRUE(StartNodes(2));
  const std::string app = PutApp();
  for (const char* kind : {"auto", "none"}) {
    std::vector<std::string> args{"--host", "n1,n2", "-x", "LD_LIBRARY_PATH=/mine:/yours", app};
    if (kind == std::string("none")) args.insert(args.begin(), {"--template", kind});
    const CommandResult result = Run(args);
    EXPECT_EQ(CountOf(result.out, "library=42 "), 2u) << result.out;
    EXPECT_EQ(CountOf(result.out, "path=/mine:/yours preload=(unset)\n"), 2u) << result.out;
    EXPECT_EQ(Births(result), kind == std::string("none") ? "exec" : "template");
  }
}

TEST_F(ImageTest, NeverLeavesItToTheNodes) {
  ASSERT_TRUE(StartNodes(2));
  const std::string app = PutApp();
  const CommandResult result = RexOnHead({"--host", "n1,n2", "--stage=never", app});
  ExpectFailure(result, 127, {"program '" + app + "' was not found on node n", "No such file"});
}

TEST_F(ImageTest, ASecondLaunchSendsNothingAndAChangedProgramItsChangedBlocks) {
  ASSERT_TRUE(StartNodes(2));
  const std::string program = PutCopy(ProgramPath("testprog"));
  const std::string data = PutData("data", 3'000'000);
  const std::vector<std::string> args{"--host", "n1,n2", "--preload-files", data, program,
                                      "print",  "x"};
  const CommandResult first = Run(args);
  EXPECT_EQ(first.out, "xx");
  EXPECT_GT(Sent(first), 3'000'000);
  const CommandResult second = Run(args);
  EXPECT_EQ(second.out, "xx");
  EXPECT_EQ(Sent(second), 0) << second.err;
  std::fstream file(data, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(1'000'000);
  file << "changed";
  file.close();
  const CommandResult third = Run(args);
  EXPECT_GT(Sent(third), 256 << 10);
  EXPECT_LT(Sent(third), 300 << 10) << third.err;
}

TEST_F(ImageTest, WhatIsTheSameOnTheNodesIsUsedWhereItLies) {
  ASSERT_TRUE(StartNodes(2));
  const std::string app = PutApp();
  const std::string shared = left().work_dir() + "/app";
  fs::copy(home_ + "/app", shared, fs::copy_options::recursive);
  const CommandResult result = Run({"--host", "n1,n2", shared + "/bin/image_app"});
  EXPECT_EQ(CountOf(result.out, "exe=" + shared + "/bin/image_app "), 2u) << result.out;
  EXPECT_EQ(Sent(result), 0);
  // Unless it is said that every node shall run what is here.
  const CommandResult always =
      Run({"--host", "n1,n2", "--stage=always", shared + "/bin/image_app"});
  EXPECT_EQ(CountOf(always.out, "/image" + shared + "/bin/image_app "), 2u) << always.out;
}

TEST_F(ImageTest, AnotherProgramUnderTheSamePathIsNotRun) {
  ASSERT_TRUE(StartNodes(2));
  const std::string app = PutApp();
  Shell("n2", "mkdir -p " + home_ + "/app/bin && printf '#!/bin/sh\\necho wrong\\n' > " + app +
                  " && chmod +x " + app);
  const CommandResult result = Run({"--host", "n1,n2", app});
  EXPECT_EQ(CountOf(result.out, "library=42"), 2u) << result.out;
  Shell("n2", "rm -r " + home_);
}

TEST_F(ImageTest, AnMpiProgramAndItsPlugInsRun) {
  ASSERT_TRUE(StartNodes(2));
  const std::string hello = PutCopy(ProgramPath("mpi_hello"));
  const CommandResult result = Run({"--host", "n1:2,n2:2", hello});
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_TRUE(Contains(result.out, "hello rank=" + std::to_string(rank) + " size=4"));
  }
  EXPECT_EQ(Births(result), "template");
}

TEST_F(ImageTest, TheHeadSendsOnceAndNodesPassItOn) {
  ASSERT_TRUE(StartNodes(4));
  const std::string program = PutCopy(ProgramPath("testprog"));
  const std::string data = PutData("data", 8'000'000);
  const long size = 8'000'000 + static_cast<long>(fs::file_size(program));
  const CommandResult group =
      Run({"--host", "n1,n2,n3,n4", "--preload-files", data, program, "print", "x"});
  EXPECT_GE(Sent(group), size);
  EXPECT_LE(Sent(group), size * 105 / 100);
  EXPECT_TRUE(Contains(group.err, "for 4 nodes (chain)"));
}

TEST_F(ImageTest, MultipleSendsOneImageToEachNode) {
  ASSERT_TRUE(StartNodes(3));
  const std::string program = PutCopy(ProgramPath("testprog"));
  const long size = static_cast<long>(fs::file_size(program));
  const CommandResult result =
      Run({"--host", "n1,n2,n3", "--creation=multiple", program, "print", "x"});
  EXPECT_GE(Sent(result), 3 * size);
  EXPECT_TRUE(Contains(result.err, "for 3 nodes (one each)"));
}

TEST_F(ImageTest, SingleSendsOneImageToEachRankAndKeepsNone) {
  ASSERT_TRUE(StartNodes(2));
  const std::string app = PutApp();
  const long size = static_cast<long>(fs::file_size(app));
  for (int run = 0; run < 2; ++run) {
    const CommandResult result = Run({"--host", "n1:2,n2:2", "-n", "4", "--creation=single", app});
    EXPECT_EQ(CountOf(result.out, "library=42"), 4u) << result.out;
    for (const char* copy : {"/image0/", "/image1/"}) EXPECT_EQ(CountOf(result.out, copy), 2u);
    EXPECT_EQ(Births(result), "exec");
    // Four transfers, the second time too.
    EXPECT_GE(Sent(result), size);
    EXPECT_EQ(RunIn("n1", {"sh", "-c", "ls /dev/shm/rexstore-*/objects"}).out, "");
  }
}

TEST_F(ImageTest, ThreeCreationMethodsThreeNumbersOfTransfers) {
  ASSERT_TRUE(StartNodes(2));
  const std::string program = PutCopy(ProgramPath("testprog"));
  const auto head_sends = [&](const std::string& creation) {
    const std::string count = "awk '/eth|v/ {s += $10} END {print s}' /proc/net/dev";
    const long before = std::stol(RunIn("head", {"sh", "-c", count}).out);
    const std::string data =
        PutData("data-" + creation, 3'000'000, static_cast<uint32_t>(creation.size()));
    Run({"--host", "n1:3,n2:3", "--creation=" + creation, "--preload-files", data, program, "print",
         "x"});
    return std::stol(RunIn("head", {"sh", "-c", count}).out) - before;
  };
  EXPECT_LT(head_sends("group"), 4'000'000);
  const long multiple = head_sends("multiple");
  EXPECT_GT(multiple, 6'000'000);
  EXPECT_LT(multiple, 7'000'000);
  EXPECT_GT(head_sends("single"), 18'000'000);
}

TEST_F(ImageTest, PreloadedFilesLieInTheSessionDirectory) {
  ASSERT_TRUE(StartNodes(2));
  const std::string data = home_ + "/numbers.txt";
  std::ofstream(data) << "one two\n";
  const CommandResult result = RexOnHead({"--host", "n1,n2,head", "--preload-files", data,
                                          "--set-cwd-to-session-dir", "/bin/cat", "numbers.txt"});
  EXPECT_EQ(CountOf(result.out, "one two\n"), 3u) << result.err;
}

TEST_F(ImageTest, AScriptsInterpreterIsSentToo) {
  ASSERT_TRUE(StartNodes(2));
  const std::string interpreter = PutCopy(ProgramPath("testprog"));
  const std::string script = home_ + "/script";
  std::ofstream(script) << "#!" << interpreter << " print\n";
  fs::permissions(script, fs::perms::owner_all);
  const CommandResult result = Run({"--host", "n1,n2", script});
  EXPECT_EQ(CountOf(result.out, "/image" + script), 2u) << result.out;
  EXPECT_TRUE(StderrNames(result, {"is a script for '" + interpreter + "', which is sent with its",
                                   "files that it reads by itself"}));
  // Where it lies on the nodes, too, the kernel starts it as ever.
  const std::string shared = left().work_dir() + "/interpreter";
  fs::copy_file(interpreter, shared);
  std::ofstream(script) << "#!" << shared << " print\n";
  const CommandResult there = Run({"--host", "n1,n2", script});
  EXPECT_EQ(CountOf(there.out, "/image" + script), 2u) << there.out;
  EXPECT_LT(Sent(there), 1000) << there.err;
}

TEST_F(ImageTest, AnInterpreterThatIsAScriptSaysSo) {
  ASSERT_TRUE(StartNodes(1));
  std::ofstream(home_ + "/inner") << "#!/bin/sh\n";
  std::ofstream(home_ + "/outer") << "#!" << home_ << "/inner\n";
  for (const char* name : {"/inner", "/outer"}) {
    fs::permissions(home_ + name, fs::perms::owner_all);
  }
  const CommandResult result = RexOnHead({"--host", "n1", home_ + "/outer"});
  EXPECT_FALSE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {"is a script for '" + home_ + "/inner', which is not sent"}));
}

// What a program opens by itself is known once it was seen to, wherever that was.
TEST_F(ImageTest, PlugInsOfEarlierRunsAreSent) {
  ASSERT_TRUE(StartNodes(2));
  const std::string app = PutApp();
  CommandOptions options;
  options.set_env["XDG_CACHE_HOME"] = home_ + "/cache";
  const auto run = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"--timeline", "-", "--verbose"});
    return RexOnHead(args, options);
  };
  const CommandResult first = run({"--host", "n1,n2", app});
  EXPECT_EQ(CountOf(first.out, "library=42 plugin=-1"), 2u) << first.out;
  EXPECT_EQ(CountOf(first.err, "libimage_plugin.so: cannot open shared object file"), 2u);
  const CommandResult at_home = run({"--host", "head", app, "0", "600"});
  EXPECT_EQ(CountOf(at_home.out, "plugin=7"), 1u) << at_home.out;
  const CommandResult second = run({"--host", "n1,n2", app});
  EXPECT_EQ(CountOf(second.out, "library=42 plugin=7"), 2u) << second.out;
  EXPECT_TRUE(Contains(second.err, "1 of them plug-ins seen before")) << second.err;
  EXPECT_TRUE(Contains(second.err,
                       "as earlier runs opened them: " + home_ + "/app/lib/libimage_plugin.so"));
  // It is gone: as if it had never been seen.
  fs::remove(home_ + "/app/lib/libimage_plugin.so");
  const CommandResult third = run({"--host", "n1,n2", app});
  EXPECT_EQ(CountOf(third.out, "library=42 plugin=-1"), 2u) << third.out;
  RemoveCaches();
}

TEST_F(ImageTest, PlugInsAreSeenOnNodesToo) {
  ASSERT_TRUE(StartNodes(2));
  const std::string app = PutApp();
  const std::string plugin = home_ + "/app/lib/libimage_plugin.so";
  CommandOptions options;
  options.set_env["XDG_CACHE_HOME"] = home_ + "/cache";
  const CommandResult named =
      RexOnHead({"--host", "n1", "--preload-files", plugin, app, "0", "600"}, options);
  EXPECT_EQ(CountOf(named.out, "plugin=7"), 1u) << named.out;
  const CommandResult seen = RexOnHead({"--host", "n2", app}, options);
  EXPECT_EQ(CountOf(seen.out, "plugin=7"), 1u) << seen.out << seen.err;
  RemoveCaches();
}

TEST_F(ImageTest, AnOpenMpiThatOnlyTheHeadHasComesWhole) {
  const fs::path system = "/usr/lib/x86_64-linux-gnu";
  if (!fs::exists(system / "openmpi/lib/openmpi3")) GTEST_SKIP() << "not Debian's Open MPI";
  ASSERT_TRUE(StartNodes(2));
  const std::string prefix = home_ + "/ompi";
  fs::create_directories(prefix + "/share");
  fs::copy("/usr/share/openmpi", prefix + "/share/openmpi", fs::copy_options::recursive);
  const std::string below = prefix + "/lib/x86_64-linux-gnu/openmpi/lib";
  fs::create_directories(below);
  fs::copy(system / "openmpi/lib/openmpi3", below + "/openmpi3", fs::copy_options::recursive);
  for (const char* name : {"libmpi.so.40", "libopen-rte.so.40", "libopen-pal.so.40"}) {
    fs::copy_file(system / name, prefix + "/lib/" + name);
  }
  const std::string hello = PutCopy(ProgramPath("mpi_hello"));
  CommandOptions options;
  options.set_env["LD_LIBRARY_PATH"] = prefix + "/lib";
  options.set_env["OPAL_PREFIX"] = prefix;
  for (const char* creation : {"group", "single"}) {
    const CommandResult result =
        RexOnHead({"--verbose", "--creation", creation, "--host", "n1:2,n2:2", "-n", "4", "-x",
                   "LD_LIBRARY_PATH", "-x", "OPAL_PREFIX", hello},
                  options);
    EXPECT_TRUE(ExitedWith(result, 0)) << result.err;
    EXPECT_EQ(CountOf(result.out, "size=4"), 4u) << result.out;
    EXPECT_TRUE(Contains(result.err, "the Open MPI in '" + prefix + "' is sent")) << result.err;
  }
}

TEST_F(ImageTest, GdbSeesTheFilesThatWereSent) {
  if (::access("/usr/bin/gdb", X_OK) != 0) GTEST_SKIP() << "gdb is not installed";
  ASSERT_TRUE(StartNodes(1));
  const std::string app = PutApp();
  auto job = StartRexOnHead({"--template", "none", "--host", "n1", app, "60000"});
  std::string maps;  // of the rank, once its library is there
  ASSERT_TRUE(job->WaitUntil(
      [&] {
        maps = RunIn("n1", {"sh", "-c", "grep -ls libimage_library /proc/[0-9]*/maps"}).out;
        return !maps.empty();
      },
      seconds(30)));
  const std::string pid = maps.substr(6, maps.find('/', 6) - 6);
  const CommandResult seen =
      RunIn("n1", {"gdb", "-nx", "-batch", "-p", pid, "-ex", "info sharedlibrary", "-ex",
                   "info symbol main", "-ex", "info symbol image_library"});
  EXPECT_TRUE(Contains(seen.out, "/image" + home_ + "/app/")) << seen;
  EXPECT_TRUE(Contains(seen.out, "main in section .text")) << seen;
  EXPECT_TRUE(Contains(seen.out, "image_library in section .text")) << seen;
  job->Signal(SIGTERM);
  job->Wait();
}

TEST_F(ImageTest, PerfNamesTheFunctionsOfProgramsThatWereSent) {
  const std::string try_file = left().work_dir() + "/try";
  const std::vector<std::string> record{"perf", "record", "-q", "-e", "cpu-clock:u", "-o"};
  std::vector<std::string> attempt = record;
  attempt.insert(attempt.end(), {try_file, "true"});
  ASSERT_TRUE(StartNodes(1));
  if (RunIn("head", attempt).exit_code != 0) GTEST_SKIP() << "perf can't record here";
  const std::string program = PutCopy(ProgramPath("testprog"));
  auto job = StartRexOnHead({"--host", "n1", program, "spin", "60000"});
  std::string pid;  // of the rank: the only process that is busy
  ASSERT_TRUE(Await(
      [&] {
        const std::string top = "for p in /proc/[0-9]*; do case $(readlink $p/exe) in *" + program +
                                ") [ $(cut -d' ' -f14 $p/stat) -gt 20 ] && echo ${p#/proc/};; "
                                "esac; done";
        pid = RunIn("n1", {"bash", "-c", top}).out;
        return !pid.empty();
      },
      seconds(30)));
  pid.resize(pid.find('\n'));
  const std::string data = left().work_dir() + "/perf.data";
  std::vector<std::string> attach = record;
  attach.insert(attach.end(), {data, "-p", pid, "sleep", "1"});
  EXPECT_TRUE(ExitedWith(RunIn("n1", attach), 0));
  // While the job runs, its files are there.
  const CommandResult report = RunIn(
      "n1", {"perf", "report", "--stdio", "-q", "-F", "dso,sym", "--dsos", "testprog", "-i", data});
  EXPECT_TRUE(Contains(report.out, "verb_spin")) << report;
  job->Signal(SIGTERM);
  job->Wait();
}

TEST_F(ImageTest, ThousandsOfFilesGoInOneImage) {
  ASSERT_TRUE(StartNodes(2));
  std::string files;
  for (int i = 0; i < 2000; ++i) {
    const std::string path = home_ + "/f" + std::to_string(i);
    std::ofstream(path) << "file " << i << "\n";
    files += (i == 0 ? "" : ",") + path;
  }
  const std::vector<std::string> args{
      "--host", "n1,n2", "--preload-files", files, "--set-cwd-to-session-dir", "/bin/cat", "f1999"};
  const CommandResult result = RexOnHead(args);
  EXPECT_TRUE(ExitedWith(result, 0)) << result.err;
  EXPECT_EQ(CountOf(result.out, "file 1999\n"), 2u) << result.out;
}

TEST_F(ImageTest, ProgramsThatRanksSpawnAreSentToo) {
  ASSERT_TRUE(StartNodes(2));
  const std::string parent = PutCopy(ProgramPath("mpi_spawn"));
  const std::string child = home_ + "/child";
  fs::copy_file(ProgramPath("mpi_spawn"), child);
  const CommandResult result =
      Run({"--host", "n1:2,n2:2", "-n", "1", parent, "-n", "2", "-i", "map_by=node", "-p", child});
  EXPECT_TRUE(Contains(result.out, "child size=2")) << result.out << result.err;
}

TEST_F(ImageTest, ADvmThatStaysIsSentProgramsOnce) {
  ASSERT_TRUE(StartNodes(3));
  const std::string app = PutApp();
  ASSERT_TRUE(ExitedWith(RunIn("head", {RexctlPath(), "start", "--host", "n1,n2,n3"}), 0));
  std::set<std::string> templates;
  for (int run = 0; run < 3; ++run) {
    const CommandResult result = Run({"--dvm", "default", "--host", "n1,n2,n3", app});
    EXPECT_EQ(CountOf(result.out, "library=42"), 3u) << result.out;
    EXPECT_EQ(Births(result), "template");
    EXPECT_EQ(Sent(result) > 0, run == 0) << result.err;
    // One process has the program's name between two jobs: the template of all of them.
    templates.insert(RunIn("n1", {"sh", "-c", "grep -l bin/image_app /proc/[0-9]*/maps"}).out);
  }
  ASSERT_EQ(templates.size(), 1u);
  EXPECT_EQ(CountOf(*templates.begin(), "/maps"), 1u) << *templates.begin();
  // Another content is another program.
  std::ofstream(app, std::ios::app) << "x";
  const CommandResult changed = Run({"--dvm", "default", "--host", "n1,n2,n3", app});
  EXPECT_EQ(CountOf(changed.out, "library=42"), 3u) << changed.out;
  EXPECT_GT(Sent(changed), 0);
  EXPECT_TRUE(ExitedWith(RunIn("head", {RexctlPath(), "stop"}), 0));
}

TEST_F(ImageTest, OneMulticastReachesAllNodes) {
  ASSERT_TRUE(StartNodes(4));
  const std::string program = PutCopy(ProgramPath("testprog"));
  const std::string data = PutData("data", 6'000'000);
  const std::vector<std::string> args{"--host",
                                      "n1,n2,n3,n4",
                                      "--image-transport=multicast",
                                      "--preload-files",
                                      data,
                                      program,
                                      "print",
                                      "x"};
  const CommandResult result = Run(args);
  EXPECT_EQ(result.out, "xxxx");
  EXPECT_TRUE(Contains(result.err, "for 4 nodes (multicast)"));
  EXPECT_FALSE(Contains(result.err, "multicast is not carried"));
  EXPECT_LT(Sent(result), 6'000'000 * 125 / 100);
}

TEST_F(ImageTest, LostDatagramsAreSentAgain) {
  ASSERT_TRUE(StartNodes(3));
  const std::string program = PutCopy(ProgramPath("testprog"));
  for (const char* lose : {"1", "10"}) {
    const std::string data =
        PutData(std::string("data") + lose, 4'000'000, static_cast<uint32_t>(std::atoi(lose)));
    CommandOptions options;
    options.set_env["REX_IMAGE_FAULT"] = std::string("*:lose=") + lose;
    const CommandResult result =
        RexOnHead({"--timeline", "-", "--host", "n1,n2,n3", "--image-transport=multicast",
                   "--preload-files", data, program, "print", "x"},
                  options);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(result.out, "xxx");
    EXPECT_TRUE(Contains(result.err, "for 3 nodes (multicast)"));
  }
}

TEST_F(ImageTest, WithoutMulticastTheChainTakesOverAndSaysSo) {
  ASSERT_TRUE(StartNodes(2));
  const std::string program = PutCopy(ProgramPath("testprog"));
  CommandOptions options;
  options.set_env["REX_IMAGE_FAULT"] = "n2:lose=100";
  const CommandResult result = RexOnHead(
      {"--timeline", "-", "--host", "n1,n2", "--image-transport=multicast", program, "print", "x"},
      options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "xx");
  EXPECT_TRUE(Contains(result.err, "multicast is not carried to the nodes (node n2 does not hear"));
  EXPECT_TRUE(Contains(result.err, "for 2 nodes (chain)"));
}

TEST_F(ImageTest, PiecesThatComeLongBeforeTheLaunchEndIt) {
  ASSERT_TRUE(StartNodes(2));
  const std::string program = PutCopy(ProgramPath("testprog"));
  CommandOptions options;
  options.set_env["REX_IMAGE_FAULT"] = "n2:late=20000";
  const CommandResult result = RexOnHead({"--host", "n1,n2", "--image-transport=multicast",
                                          "--image-hold", "1", program, "print", "not reached"},
                                         options);
  ExpectFailure(result, 120, {"node n2", "was not told of in 1 s", "--image-hold"});
}

TEST_F(ImageTest, WhereNobodyCanConnectItGoesOverTheTree) {
  ASSERT_TRUE(StartNodes(2));
  EXPECT_TRUE(ExitedWith(cluster().BlockBack("all"), 0));
  const std::string program = PutCopy(ProgramPath("testprog"));
  const CommandResult result = Run({"--host", "n1,n2", program, "print", "x"});
  EXPECT_EQ(result.out, "xx");
  EXPECT_TRUE(Contains(result.err, "of them over the tree"));
}

TEST_F(ImageTest, ADamagedPieceIsSentAgain) {
  ASSERT_TRUE(StartNodes(2));
  const std::string program = PutCopy(ProgramPath("testprog"));
  const std::string data = PutData("data", 2'000'000);
  CommandOptions options;
  options.set_env["REX_IMAGE_FAULT"] = "n1:damage=5 n2:damage=9";
  const CommandResult result = RexOnHead(
      {"--timeline", "-", "--host", "n1,n2", "--preload-files", data, program, "print", "x"},
      options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "xx");
  EXPECT_TRUE(Contains(result.err, "of them over the tree"));
}

TEST_F(ImageTest, ANodeKilledInMidTransferIsNamed) {
  ASSERT_TRUE(StartNodes(3));
  EXPECT_TRUE(ExitedWith(cluster().Rate("all", "20mbit"), 0));
  const std::string program = PutCopy(ProgramPath("testprog"));
  const std::string data = PutData("data", 20'000'000);
  auto job = StartRexOnHead(
      {"--host", "n1,n2,n3", "--preload-files", data, program, "print", "not reached"});
  ASSERT_TRUE(Await(
      [&] {
        return !RunIn("n3", {"sh", "-c", "ls /dev/shm/rexstore-*/incoming"}).out.empty();
      },
      seconds(20)));
  EXPECT_TRUE(ExitedWith(cluster().Kill("n2"), 0));
  ExpectFailure(job->Wait(seconds(60)), 120, {"node n2 was lost before any rank ran"});
}

TEST_F(ImageTest, AFullDiskIsNamed) {
  ASSERT_TRUE(StartNodes(2));
  Shell("n1", "mkdir -p /run/lock/st");
  Shell("n2", "mkdir -p /run/lock/st && mount -n -t tmpfs -o size=1m tmpfs /run/lock/st");
  const std::string program = PutCopy(ProgramPath("testprog"));
  const std::string data = PutData("data", 3'000'000);
  const CommandResult result =
      RexOnHead({"--host", "n1,n2", "--store", "/run/lock/st", "--store-size", "1G",
                 "--preload-files", data, program, "print", "not reached"});
  ExpectFailure(result, 122, {"node n2", "/run/lock/st", "No space left"});
  Shell("n2", "umount -n /run/lock/st");
}

TEST_F(ImageTest, AStoreThatIsTooSmallIsNamedWithNumbers) {
  ASSERT_TRUE(StartNodes(1));
  const std::string data = PutData("data", 3'000'000);
  const CommandResult result =
      RexOnHead({"--host", "n1", "--store-size", "1M", "--preload-files", data, "/bin/true"});
  ExpectFailure(result, 122, {"node n1", "3.0 MB does not fit", "--store-size"});
}

TEST_F(ImageTest, AFileThatCannotBeReadIsNamedBeforeAnythingIsSent) {
  ASSERT_TRUE(StartNodes(1));
  const CommandResult result = RexOnHead({"--host", "n1", "--preload-files", home_, "/bin/true"});
  ExpectFailure(result, 126,
                {"program '/bin/true' cannot be executed",
                 "'" + home_ + "' belongs to the program and can't be sent", "not a regular file"});
}

TEST_F(ImageTest, ALibraryThatCannotBeReadIsNamedBeforeAnythingIsSent) {
  if (::access("/bin/su", X_OK) != 0) GTEST_SKIP() << "nothing is unreadable to root";
  ASSERT_TRUE(StartNodes(1));
  const std::string app = PutApp();
  const std::string library = home_ + "/app/lib/libimage_library.so";
  fs::permissions(library, fs::perms::none);
  const CommandResult result =
      RunIn("head", {"su", "nobody", "-s", "/bin/sh", "-c",
                     "cd / && " + BuildDir() + "/bin/rexlaunch --host n1 " + app});
  EXPECT_EQ(result.exit_code, 126);
  EXPECT_TRUE(StderrNames(result, {"program '" + app + "' cannot be executed",
                                   "libimage_library.so' belongs to the program and can't be sent",
                                   "Permission denied", "--stage=never"}));
}

TEST_F(ImageTest, ASlowNodeIsAwaited) {
  ASSERT_TRUE(StartNodes(3));
  EXPECT_TRUE(ExitedWith(cluster().Rate("n2", "4mbit"), 0));
  const std::string program = PutCopy(ProgramPath("testprog"));
  const std::string data = PutData("data", 1'500'000);
  const CommandResult result =
      Run({"--host", "n1,n2,n3", "--preload-files", data, program, "print", "x"});
  EXPECT_EQ(result.out, "xxx");
}

TEST_F(ImageTest, TwoLaunchesAtOnce) {
  ASSERT_TRUE(StartNodes(2));
  EXPECT_TRUE(ExitedWith(cluster().Rate("all", "50mbit"), 0));
  const std::string program = PutCopy(ProgramPath("testprog"));
  const std::string data = PutData("data", 4'000'000);
  const std::vector<std::string> args{"--host", "n1,n2", "--preload-files", data, program,
                                      "print",  "x"};
  auto one = StartRexOnHead(args);
  auto two = StartRexOnHead(args);
  for (auto* job : {&one, &two}) {
    const CommandResult result = (*job)->Wait(seconds(60));
    EXPECT_TRUE(ExitedWith(result, 0)) << result.err;
    EXPECT_EQ(result.out, "xx");
  }
}

TEST_F(ImageTest, AStoppedJobLeavesNothingHalfReceived) {
  ASSERT_TRUE(StartNodes(2));
  EXPECT_TRUE(ExitedWith(cluster().Rate("all", "10mbit"), 0));
  const std::string data = PutData("data", 20'000'000);
  auto job = StartRexOnHead({"--host", "n1,n2", "--preload-files", data, "/bin/true"});
  const auto incoming = [&](const std::string& node) {
    return RunIn(node, {"sh", "-c", "ls /dev/shm/rexstore-*/incoming"}).out;
  };
  ASSERT_TRUE(Await([&] { return !incoming("n2").empty(); }, seconds(20)));
  job->Signal(SIGINT);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(30)), 130));
  EXPECT_TRUE(Await([&] { return incoming("n1").empty() && incoming("n2").empty(); }, seconds(5)));
}

// Without root: every virtual node has a store of its own.
using VirtualImageTest = RexTest;

TEST_F(VirtualImageTest, AlwaysGoesForVirtualNodesToo) {
  const CommandResult result =
      Rex({"--virtual-nodes", "3", "--stage=always", "--store", left().work_dir(), "--timeline",
           "-", ProgramPath("image/bin/image_app")});
  EXPECT_TRUE(ExitedWith(result, 0)) << result.err;
  EXPECT_EQ(CountOf(result.out, "library=42"), 3u);
  EXPECT_TRUE(Contains(result.err, "for 3 nodes (chain)"));
}

}  // namespace
}  // namespace rex::testing
