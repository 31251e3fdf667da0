// Several real nodes on this machine for integration tests, by way of tests/cluster/cluster: own
// network, host name, pids, /tmp, /dev/shm and sshd each. Only root can have them, and not in every
// container; elsewhere the tests on ClusterTest are skipped, and say why.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/rex_test.h"

namespace rex::testing {

struct ClusterOptions {
  int nodes = 2;             // 1..32, named n1, n2, ...
  std::string rate;          // of each link, both ways: "100mbit"; empty: no limit
  int cores_per_node = 0;    // in turn over all cores; 0: every node has all
  bool slurm = false;        // with slurmctld in the head, and a slurmd in each node
  std::string max_startups;  // sshd_config(5); empty: more than a test can use up
  // Where nodes shall see nothing: an absolute path, or "n2:PATH" for one node.
  std::vector<std::string> hide;
  // Directories below /tmp, /dev/shm or /run that nodes see though these are private.
  std::vector<std::string> share;
  std::vector<std::string> pass_env;  // names of variables that ssh takes along
};

// A cluster that is up. Its end, or the end of the test's process, removes everything.
class Cluster {
 public:
  // Why this user or machine can't have clusters; nullopt: no reason known.
  static std::optional<std::string> WhyNot();
  static std::optional<std::string> WhyNoSlurm();

  // Comes back when all nodes answer on port 22. `ok` says whether it worked, `error` what did not.
  explicit Cluster(const ClusterOptions& options);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  bool ok() const { return !id_.empty(); }
  const std::string& error() const { return error_; }
  const std::string& id() const { return id_; }
  std::string Directory() const;  // keys, ssh_config, logs; the same path in every node
  std::string SshConfig() const;  // for ssh -F
  std::string Hosts() const;      // "n1,n2,..."

  // `argv` as a command line that runs inside `node`, or "head", without ssh. In the head the
  // command has the pid of the process that was started, and sees the machine's files.
  std::vector<std::string> In(const std::string& node, const std::vector<std::string>& argv) const;

  // Faults. `nodes` is "n2", "n1,n3", "n2-n5", "head" or "all". Each is in force on return.
  CommandResult Cut(const std::string& nodes) { return Verb({"cut", nodes}); }
  CommandResult Blackhole(const std::string& nodes) { return Verb({"blackhole", nodes}); }
  CommandResult BlockBack(const std::string& nodes) { return Verb({"block-back", nodes}); }
  CommandResult Heal(const std::string& nodes) { return Verb({"heal", nodes}); }
  CommandResult Kill(const std::string& nodes) { return Verb({"kill", nodes}); }
  CommandResult Rate(const std::string& nodes, const std::string& rate) {
    return Verb({"rate", nodes, rate});
  }
  CommandResult Status() { return Verb({"status"}); }
  // Of a node, or "head": its first process, below which all others are (not in the head). -1:
  // dead.
  pid_t FirstProcess(const std::string& node) const;
  // Its first address, IPv4, of `cluster status`; IPv6 is empty where there is none.
  std::string Ipv4(const std::string& node) const;
  std::string Ipv6(const std::string& node) const;

  // Waits at most `bound` until nodes hold nothing but what the cluster made. Empty: clean; else
  // one line for each process, and each file in the private directories. Dead nodes hold nothing.
  std::vector<std::string> Left(milliseconds bound = seconds(5)) const;

  // Ends it; the destructor does so too. Reports what went wrong.
  CommandResult Down();

 private:
  std::vector<std::string> WithReports(std::vector<std::string> left) const;
  CommandResult Verb(const std::vector<std::string>& words) const;
  // The words of `node`'s line of `cluster status`: name, "pid", number, addresses, link.
  std::vector<std::string> StatusWords(const std::string& node) const;

  int nodes_;
  std::string id_;  // empty: not up
  std::string error_;
};

// RexTest with a cluster. The end of a case proves, beside what RexTest proves, that nothing is
// left in the nodes.
class ClusterTest : public RexTest {
 protected:
  void SetUp() override;  // skips the case where there can't be clusters
  void TearDown() override;

  // Starts the case's cluster; use inside ASSERT_TRUE. The marker of the test goes along with ssh.
  ::testing::AssertionResult StartCluster(ClusterOptions options);
  Cluster& cluster() { return *cluster_; }

  // Any command inside `node` or "head", in the test's environment.
  CommandResult RunIn(const std::string& node, const std::vector<std::string>& argv,
                      CommandOptions options = {});
  std::unique_ptr<RunningCommand> StartIn(const std::string& node,
                                          const std::vector<std::string>& argv,
                                          CommandOptions options = {});
  // rexlaunch in the head.
  CommandResult RexOnHead(const std::vector<std::string>& args, CommandOptions options = {});
  std::unique_ptr<RunningCommand> StartRexOnHead(const std::vector<std::string>& args,
                                                 CommandOptions options = {});

 private:
  std::unique_ptr<Cluster> cluster_;
};

}  // namespace rex::testing
