// Proves that a test leaves nothing behind: no process, no directory, no shared memory.
//
// Every command of a test carries a marker in its environment, which daemons, ranks and their
// children inherit, and a TMPDIR of the test's own. So tests run side by side, and beside a user's
// own jobs, and each sees only its own remains. /dev/shm has no such name space: there a new
// `rex-*` directory counts as left when its lock is free and stays free.
//
// In builds with sanitizers, what these report of any process of the test counts as left as well:
// a daemon's stderr and exit code are not always looked at.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/command.h"

namespace rex::testing {

class NothingLeft {
 public:
  NothingLeft();   // makes the test's directories, remembers what was in /dev/shm and /tmp
  ~NothingLeft();  // kills what is left and removes the directories; proves nothing

  // For CommandOptions::set_env of every command of the test.
  std::map<std::string, std::string> Environment() const;
  // The `marker` entry itself, NAME=VALUE.
  const std::string& marker() const { return marker_; }
  const std::string& tmp_dir() const { return tmp_dir_; }    // TMPDIR of the commands
  const std::string& work_dir() const { return work_dir_; }  // for the test's own files

  // Remembers processes that may hide their environment (proc(5): not dumpable).
  void Track(const std::vector<pid_t>& pids);
  // Waits at most `bound` until nothing is left. Empty: clean; else one line for each thing left.
  std::vector<std::string> Check(milliseconds bound = seconds(5));

 private:
  std::vector<pid_t> LiveProcesses() const;
  std::vector<std::string> FilesLeft(const std::set<std::string>& candidates) const;
  std::vector<std::string> SanitizerReports() const;

  std::string root_;
  std::string tmp_dir_;
  std::string work_dir_;
  std::string marker_;
  std::set<std::string> before_;                 // paths in /dev/shm and /tmp at the start
  std::map<pid_t, unsigned long long> tracked_;  // pid -> start time
};

}  // namespace rex::testing
