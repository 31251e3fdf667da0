// What the tests over virtual nodes have in common. Ranks are dealt out: rank R of N nodes is on
// node R mod N, and node names are node1, node2, …
#pragma once

#include "tests/support/rex_test.h"

namespace rex::testing {

class NodesTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
  static std::vector<std::string> On(const std::string& nodes, const std::string& ranks,
                                     const std::vector<std::string>& words) {
    std::vector<std::string> args{"--virtual-nodes", nodes, "-n", ranks};
    args.insert(args.end(), words.begin(), words.end());
    return args;
  }
  // An ssh without a network, for --ssh: the name of the host says what it does. hang… says
  // nothing, refuse… is refused, slow… takes two seconds, others run the command here.
  std::string FakeSsh() {
    return WriteFile(
        "rsh",
        "#!/bin/sh\nhost=$1\nshift\ncase $host in\n"
        "hang*) exec sleep 600 ;;\nslow*) sleep 2 ;;\n"
        "refuse*) echo \"ssh: connect to host $host port 22: Connection refused\" >&2\n"
        "  exit 255 ;;\nesac\nexec sh -c \"$*\"\n",
        0755);
  }
  // The first daemon of that name of a node that is not the head's; -1: none came.
  pid_t FindNodeDaemon(RunningCommand& job, const std::string& program,
                       milliseconds bound = seconds(10)) {
    const pid_t head = FindDaemon(job, "rexd-agent", bound);
    std::vector<pid_t> found;
    job.WaitUntil(
        [&] {
          // The head's own spawner and host are not below its keeper's agent's keepers.
          for (const pid_t keeper : DescendantsNamed(head, "rexd")) {
            if (program == "rexd") found.push_back(keeper);
            for (const pid_t pid : DescendantsNamed(keeper, program)) found.push_back(pid);
          }
          return !found.empty() || job.ended();
        },
        bound);
    left().Track(found);
    return found.empty() ? -1 : found.front();
  }
};

}  // namespace rex::testing
