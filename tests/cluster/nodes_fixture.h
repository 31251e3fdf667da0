// What tests of rexlaunch over real nodes share: jobs on the head, processes found and struck on
// nodes, files that only one node sees.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/support/cluster.h"

namespace rex::testing {

class NodesTest : public ClusterTest {
 protected:
  static std::string TestProgram() { return ProgramPath("testprog"); }

  // A cluster in which every node sees the test's work directory, where jobs are started.
  ::testing::AssertionResult StartNodes(int nodes) { return StartNodes({.nodes = nodes}); }
  ::testing::AssertionResult StartNodes(ClusterOptions options);
  // "n1:SLOTS,n2:SLOTS,..." of the first `nodes`.
  static std::string Hosts(int nodes, int slots = 1);

  // Starts rexlaunch on the head and waits until `ready` was said `count` times.
  std::unique_ptr<RunningCommand> StartReady(const std::vector<std::string>& args,
                                             const std::string& ready, size_t count,
                                             CommandOptions options = {});

  // Processes of the cluster's node (or of "head": those below `job`) with that command name.
  std::vector<pid_t> ListOn(const std::string& node, const std::string& program);
  // The first of them, awaited; -1 when none comes.
  pid_t FindOn(const std::string& node, const std::string& program,
               milliseconds bound = seconds(30));
  // False: there was none to signal.
  bool SignalOn(const std::string& node, const std::string& program, int signo);

  // Waits until it sleeps, and goes on sleeping: it has begun to wait for others. -1: it does not.
  pid_t Settled(const std::string& node, const std::string& program);
  // Stops it once it has settled.
  bool StopOn(const std::string& node, const std::string& program);

  // From now on `node` alone sees this text in place of the file at `path`, which must be there.
  void Overlay(const std::string& node, const std::string& path, const std::string& text,
               int mode = 0755);
  // A file that `node` alone sees, and which does not count as left; returns its path.
  std::string PutFile(const std::string& node, const std::string& name, const std::string& text,
                      int mode = 0644);
  void Shell(const std::string& node, const std::string& script);  // must succeed
  // The login shell and home directory of root on `node`.
  void SetShell(const std::string& node, const std::string& shell,
                const std::string& home = "/run/lock");
  // On the first `nodes`, /bin/sh: whatever the start-up files of this machine's root do for bash,
  // and how long that takes, is no part of a case.
  void UsePlainShells(int nodes);

  static bool Await(const std::function<bool()>& condition, milliseconds bound);

  // rex and its ranks are gone from `node`. sshd's own process stays as long as TCP, when the link
  // was cut: this ends it.
  void ExpectOnlySshdLeft(const std::string& node, milliseconds bound);
};

// Exited with `code`, and stderr names all of `parts`. The end came within `bound`.
void ExpectFailure(const CommandResult& result, int code, const std::vector<std::string>& parts);

}  // namespace rex::testing
