// Runs programs for integration tests: with bytes for stdin, captured output, a time limit, on
// pipes or a pseudo-terminal. Nothing here has threads: output is read only inside the calls below,
// so a test that does not call is a reader that stalls.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "launcher/base/fd.h"

namespace rex::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class StdinKind { kNull, kBytes, kFile, kPipe };

struct CommandOptions {
  std::map<std::string, std::string> set_env;  // added to the environment
  std::vector<std::string> unset_env;          // removed first; a trailing '*' removes by prefix
  StdinKind stdin_kind = StdinKind::kNull;
  std::string stdin_bytes;  // kBytes: written as it is taken, then closed
  std::string stdin_file;   // kFile: a path
  std::string cwd;          // empty: the test's own
  milliseconds timeout{60'000};
  bool on_pty = false;       // stdin, stdout and stderr are one new terminal; stdin_kind is ignored
  bool close_stdin = false;  // starts without descriptor 0
  std::vector<std::pair<__rlimit_resource_t, rlimit>> limits;
};

struct CommandResult {
  int exit_code = -1;  // -1 when ended by a signal or still running at the time limit
  int signo = 0;
  bool timed_out = false;
  bool output_left_open = false;  // ended, but something still holds its stdout or stderr
  std::string out;
  std::string err;  // empty on a terminal: it shows both
  milliseconds wall{0};
  std::string command;  // for messages
};

// How it ended and what it printed, each stream cut to a readable length.
std::string Describe(const CommandResult& result);
std::ostream& operator<<(std::ostream& os, const CommandResult& result);

// A started program. Destroying it kills its process group and reaps it.
class RunningCommand {
 public:
  // argv[0] is looked up in PATH. A program that can't be started ends with exit code 127.
  explicit RunningCommand(const std::vector<std::string>& argv, CommandOptions options = {});
  ~RunningCommand();
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& out() const { return result_.out; }  // read so far
  const std::string& err() const { return result_.err; }
  bool ended() const { return ended_; }

  void Signal(int signo);  // to the program only
  // Queues bytes for stdin (StdinKind::kPipe, or a terminal); they go out in the calls below.
  void Write(const std::string& bytes);
  void CloseStdin();   // after what is queued
  void CloseStdout();  // as when the reader of a pipeline ends

  // Reads until stdout and stderr together contain `text`; false when the bound ran out or the
  // program ended without it.
  bool WaitForText(const std::string& text, milliseconds bound = seconds(30));
  // The same for any condition on what is known here; looked at after each read, at least every 10
  // ms.
  bool WaitUntil(const std::function<bool()>& condition, milliseconds bound = seconds(30));
  // Reads to the end; kills when `bound` (default: the options' time limit) runs out.
  CommandResult Wait(std::optional<milliseconds> bound = std::nullopt);
  // Waits for the end without reading any output.
  bool WaitEndWithoutReading(milliseconds bound);
  // How it stands now: for messages.
  CommandResult Snapshot() const;

 private:
  struct ChildEnds {
    UniqueFd in, out, err;
  };
  ChildEnds OpenPipes();
  ChildEnds OpenTerminal();
  void Start(const std::vector<std::string>& argv, ChildEnds ends);
  bool AllEndsClosed() const;
  void PumpOnce(milliseconds wait);  // one poll(2) over the open ends, and one look at the process
  void ReadSome(UniqueFd& fd, std::string& into);
  void WriteSome();
  void TryReap();

  CommandOptions options_;
  CommandResult result_;
  std::chrono::steady_clock::time_point started_;
  pid_t pid_ = -1;
  bool ended_ = false;
  UniqueFd in_, out_, err_;  // on a terminal `out_` is the master and `in_` a duplicate of it
  std::string to_write_;
  bool close_in_when_written_ = false;
};

CommandResult RunCommand(const std::vector<std::string>& argv, CommandOptions options = {});

// `text` as one word of a shell's command line, whatever is in it.
std::string ShellWord(const std::string& text);

// FNV-1a, 64 bits, as 16 hex digits: what the test programs print of the bytes they saw.
std::string Fnv(const std::string& bytes);

}  // namespace rex::testing
