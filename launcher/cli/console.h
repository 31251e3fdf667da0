// What the user sees: the job's output, and rexlaunch's own lines on stderr, each starting with
// "rexlaunch: ". Loop thread only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launcher/cli/option_values.h"
#include "launcher/cli/output_files.h"
#include "launcher/cli/output_format.h"
#include "launcher/cli/output_sink.h"

namespace rex {

class Console {
 public:
  struct Options {
    OutputChoice output;  // its paths absolute
    uint32_t ranks = 1;   // of the job; 0: not known yet, see SetRanks
    bool quiet = false;
    bool verbose = false;
    bool progress = false;  // stderr is a terminal that can rewrite a line
  };
  struct Handlers {
    std::function<void(uint64_t bytes)> on_credit;  // so much of the job's output is out
    std::function<void(OutputStream)> on_unread;    // once: output of the job that nobody reads
    std::function<void()> on_idle;                  // everything is out
  };
  Console(EventLoop& loop, Options options, Handlers handlers);

  // How many ranks the job has, before the first Write.
  void SetRanks(uint32_t ranks, JobNumber job) { files_.SetRanks(ranks, job); }

  // A line: always; only without --quiet; only with --verbose.
  void Say(const std::string& line);
  void Inform(const std::string& line);
  void Detail(const std::string& line);
  void SayAll(const std::vector<std::string>& lines);
  // Text of several lines that is shown as it is, on stderr (the timeline's table).
  void Show(std::string text);

  // The one line that shows how far the job is: rewritten by the next one, gone before anything
  // else is written. Not shown while a line of a rank is open, nor over another program's work.
  void ShowProgress(const std::string& line);
  void ClearProgress();
  bool progress_shown() const { return progress_shown_; }

  // Output of a rank; on_credit gives back `bytes.size()` once it is written or thrown away.
  void Write(const OutputHeader& header, std::string_view bytes);
  bool idle() const { return sink_.idle(); }
  // The job's output could not be written for a reason other than a reader that went away.
  bool output_failed() const { return output_failed_; }
  // Output of the job was thrown away because its reader went away.
  bool output_unread() const { return unread_; }

 private:
  void WriteBytes(const OutputHeader& header, OutputStream stream, std::string_view bytes);
  void OnLost(OutputStream stream, int err);
  void OnDropped(OutputStream stream, int err);

  const Options options_;
  LineTagger tagger_;
  OutputFiles files_;
  Handlers handlers_;
  OutputSink sink_;
  bool progress_shown_ = false;
  bool line_open_ = false;  // the ranks' last byte was no end of a line
  bool output_failed_ = false;
  bool unread_ = false;
};

// "rexlaunch: LINE\n" with control characters made harmless.
std::string ConsoleLine(const std::string& line);

// Writes the line to stderr, unless that might have to wait for a reader or fails. For lines before
// there is a console.
bool SaidAtOnce(const std::string& line);

}  // namespace rex
