#include "launcher/cli/console.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "launcher/base/fd.h"

namespace rex {

namespace {
// A terminal that was hung up is one still, though isatty(3) no longer says so.
bool IsCharacterDevice(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

constexpr std::string_view kEraseToEnd = "\x1b[K";  // ECMA-48: EL

// So that a line fits, whatever that terminal says of itself.
size_t Columns() {
  constexpr unsigned short kUsual = 80;
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return known ? size.ws_col : kUsual;
}

// Another job of the shell's has the terminal.
bool InBackground() {
  const pid_t foreground = ::tcgetpgrp(STDERR_FILENO);
  return foreground > 0 && foreground != ::getpgrp();
}

bool ReaderGone(int err) { return err == EPIPE || err == ECONNRESET; }
}  // namespace

std::string ConsoleLine(const std::string& line) {
  std::string out = "rexlaunch: " + line;
  // Parts of it come from file names and other processes: nothing may steer the terminal.
  for (char& c : out) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) c = c == '\t' || c == '\n' ? ' ' : '?';
  }
  return out + "\n";
}

bool SaidAtOnce(const std::string& line) {
  const std::string text = ConsoleLine(line);
  pollfd to{STDERR_FILENO, POLLOUT, 0};
  // A pipe that is ready takes so much at once: pipe(7).
  if (text.size() > PIPE_BUF || ::poll(&to, 1, 0) <= 0 || (to.revents & POLLOUT) == 0) return false;
  return WriteAll(STDERR_FILENO, text).has_value();
}

Console::Console(EventLoop& loop, Options options, Handlers handlers)
    : options_(options),
      tagger_(options_.output.tag, options_.output.timestamp),
      files_(options_.output.file, options_.output.dir, options_.ranks),
      handlers_(std::move(handlers)),
      sink_(loop, STDOUT_FILENO, STDERR_FILENO,
            {.on_written = handlers_.on_credit,
             .on_lost = [this](OutputStream stream, int err) { OnLost(stream, err); },
             .on_dropped = [this](OutputStream stream, int err) { OnDropped(stream, err); },
             .on_idle = handlers_.on_idle}) {}

void Console::ShowProgress(const std::string& line) {
  if (!options_.progress || line_open_ || !sink_.idle() || InBackground()) return;
  std::string text = ConsoleLine(line);
  text.pop_back();
  text.resize(std::min(text.size(), Columns() - 1));
  sink_.Write(OutputStream::kStderr, "\r" + text + std::string(kEraseToEnd), 0);
  progress_shown_ = true;
}

void Console::ClearProgress() {
  if (!std::exchange(progress_shown_, false)) return;
  sink_.Write(OutputStream::kStderr, "\r" + std::string(kEraseToEnd), 0);
}

void Console::Say(const std::string& line) {
  ClearProgress();
  sink_.Write(OutputStream::kStderr, ConsoleLine(line), 0);
}

void Console::Inform(const std::string& line) {
  if (!options_.quiet) Say(line);
}

void Console::Detail(const std::string& line) {
  if (options_.verbose) Say(line);
}

void Console::SayAll(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) Say(line);
}

void Console::Show(std::string text) {
  ClearProgress();
  sink_.Write(OutputStream::kStderr, std::move(text), 0);
}

void Console::Write(const OutputHeader& header, std::string_view bytes) {
  const OutputStream stream = options_.output.merge ? OutputStream::kStdout : header.stream;
  if (!bytes.empty()) WriteBytes(header, stream, bytes);
  if (!header.end) return;
  tagger_.Forget(header.rank, stream, header.job);
  files_.Close(header.rank, stream, header.job);
}

void Console::WriteBytes(const OutputHeader& header, OutputStream stream, std::string_view bytes) {
  if (files_.active()) {
    if (const Status written = files_.Write(header.rank, stream, bytes, header.job); !written) {
      output_failed_ = true;
      Say("cannot keep the ranks' output: " + written.error().text +
          "; from here on it is not written to files");
    }
    if (!options_.output.copy) return handlers_.on_credit(bytes.size());
  }
  ClearProgress();
  line_open_ = bytes.back() != '\n';
  sink_.Write(stream,
              tagger_.active()
                  ? tagger_.Tag(header.rank, stream, bytes, std::time(nullptr), header.job)
                  : std::string(bytes),
              bytes.size());
}

void Console::OnLost(OutputStream stream, int err) {
  // The reader has gone (`| head`), or the terminal or descriptor was never there: not our failure.
  if (ReaderGone(err) || err == EBADF) return;
  if (err == EIO && IsCharacterDevice(stream == OutputStream::kStdout ? 1 : 2)) return;
  output_failed_ = true;
  const char* name = stream == OutputStream::kStdout ? "standard output" : "standard error";
  Say(std::string("cannot write ") + name + ": " + std::strerror(err) +
      "; what the job still writes to it is thrown away");
}

void Console::OnDropped(OutputStream stream, int err) {
  if (unread_ || !ReaderGone(err)) return;
  unread_ = true;
  handlers_.on_unread(stream);
}

}  // namespace rex
