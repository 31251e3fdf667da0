#include "launcher/cli/console.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rex {

namespace {
// A terminal that was hung up is one still, though isatty(3) no longer says so.
bool IsCharacterDevice(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
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

void Console::Say(const std::string& line) {
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

void Console::Show(std::string text) { sink_.Write(OutputStream::kStderr, std::move(text), 0); }

void Console::Write(const OutputHeader& header, std::string_view bytes) {
  if (bytes.empty()) return;
  const OutputStream stream = options_.output.merge ? OutputStream::kStdout : header.stream;
  if (files_.active()) {
    if (const Status written = files_.Write(header.rank, stream, bytes); !written) {
      output_failed_ = true;
      Say("cannot keep the ranks' output: " + written.error().text +
          "; from here on it is not written to files");
    }
    if (!options_.output.copy) return handlers_.on_credit(bytes.size());
  }
  sink_.Write(stream,
              tagger_.active() ? tagger_.Tag(header.rank, stream, bytes, std::time(nullptr))
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
