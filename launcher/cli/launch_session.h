// One run of a job, from starting the keeper, or attaching to a DVM that stays, to the exit code:
// moves output, input and signals between the user and the head. Loop thread only. docs/protocol.md
// has the messages' order.
//
// Stages: running -> ending (the first of: JobEnded, connection closed, keeper gone; bounded by
// kEndBound) -> flushing (everything said; waits for the readers of stdout and stderr, for as long
// as they take) -> done. A user who does not want to wait sends signals: the first asks the head
// to end the job, the second to end it at once, the third ends rexlaunch whatever happens; what is
// left then is the keeper's to clean up.
#pragma once

#include <signal.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/child_table.h"
#include "launcher/cli/console.h"
#include "launcher/cli/daemon_news.h"
#include "launcher/cli/stdin_source.h"
#include "launcher/wire/check_report.h"
#include "launcher/wire/messages.h"

namespace rex {

struct SessionOptions {
  Console::Options console;
  std::string timeline;                // "-": a table; else as messages name the file
  UniqueFd timeline_file;              // open for writing; none: no file
  std::vector<std::string> notes;      // information, said first
  std::vector<std::string> warnings;   // said next
  std::vector<Phase> phases;           // measured before the session began
  std::chrono::microseconds begin{0};  // CLOCK_MONOTONIC at the start of rexlaunch
  UniqueFd dvm;                        // to the head of a DVM that stays, whose Hello was read
  std::string dvm_name;
};

class LaunchSession {
 public:
  LaunchSession(EventLoop& loop, SessionOptions options);
  ~LaunchSession();

  // Starts the keeper and asks for the job. The loop stops when all is over. Errors: whatever
  // kept the keeper from starting; nothing runs then.
  Status Start(const JobSpec& job);
  // Asks the DVM for `job`; should it decline, for which `own` must be there, Start(*own) follows.
  void StartInDvm(const JobSpec& job, std::optional<JobSpec> own);
  // Meaningful once the loop has stopped.
  int exit_code() const { return exit_code_; }
  // With JobSpec::check, when the head came as far as that.
  const std::optional<CheckReport>& check() const { return check_; }

 private:
  enum class Stage : uint8_t { kRunning, kEnding, kFlushing, kDone };

  // From the head.
  void OnMessage(uint8_t kind, const std::string& payload);
  Status Take(LaunchMessage kind, const std::string& payload);
  Status TakeHello(const std::string& payload);
  Status TakeOutput(const std::string& payload);
  Status TakeStdinCredit(const std::string& payload);
  Status TakeNotice(const std::string& payload);
  Status TakeProgress(const std::string& payload);
  Status TakeJobStarted(const std::string& payload);
  Status TakeCheckReport(const std::string& payload);
  Status TakeJobEnded(const std::string& payload);
  Status TakeDeclined(const std::string& payload);
  void OnConnectionLost(const Error& error);
  void Connect(UniqueFd socket, const JobSpec& job);
  void Introduce();
  void ReportStart(const Error& error);

  // From the keeper.
  void OnLifeline();
  void OnKeeperExit(const ExitStatus& status);

  // From the user.
  void WatchSignals();
  void OnEndSignal(int signo);
  void OnForwardedSignal(int signo);
  void StopSelf();
  [[noreturn]] void Leave(int signo, const std::string& why);

  // The end.
  void Advance();
  void ReportEnd();
  void ReportDaemons();
  void ReportDvm();
  void Finish();
  void KillLeftOvers();
  void WriteTimeline();
  void OnOutputIdle();
  void OnOutputUnread(OutputStream stream);

  Clock::Time Now() const { return loop_.clock().Now(); }

  EventLoop& loop_;
  SessionOptions options_;
  Console console_;
  ChildTable children_;
  std::map<int, std::unique_ptr<SignalWatcher>> signals_;
  std::unique_ptr<FrameChannel> channel_;
  std::unique_ptr<StdinSource> stdin_;
  UniqueFd lifeline_;
  std::unique_ptr<ReadWatcher> lifeline_watcher_;
  std::string lifeline_text_;  // an unfinished line
  std::vector<DaemonEnd> daemon_ends_;
  Timer end_timer_;    // bounds the stage kEnding
  Timer leave_timer_;  // bounds the head's answer to a second signal

  Stage stage_ = Stage::kRunning;
  bool in_dvm_ = false;  // there is no keeper of ours
  std::optional<JobSpec> own_job_;
  pid_t keeper_ = 0;
  std::optional<ExitStatus> keeper_status_;
  std::optional<JobEnded> ended_;
  std::optional<CheckReport> check_;
  Clock::Time ended_at_{0};
  std::string lost_reason_;  // not empty: the connection is closed
  bool end_reported_ = false;
  int end_signals_ = 0;
  int last_end_signal_ = 0;
  int exit_code_ = 0;
};

}  // namespace rex
