// Finds a DVM that stays by its name and talks to its head, waiting within bounds: rexctl's way,
// and how rexlaunch attaches. docs/protocol.md has the messages. Main thread, no event loop.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>

#include "launcher/base/fd.h"
#include "launcher/base/frame.h"
#include "launcher/wire/dvm_messages.h"

namespace rex {

// How long a head may take to say Hello. It has been told nothing by then.
inline constexpr std::chrono::milliseconds kHelloPatience{5000};

struct FoundDvm {
  std::string dir;
  DvmRecord record;
};
// Errors: kNotFound: none of that name runs (a stale link is removed); kProtocol: its record is of
// another version, or damaged; kPermission.
Result<FoundDvm> FindDvm(const std::string& name);
// The same for a directory that a link led to.
Result<FoundDvm> ReadDvm(const std::string& name, const std::string& dir);

class DvmConnection {
 public:
  struct Message {
    LaunchMessage kind{};
    std::string payload;
  };
  // Connected to `dir`, the head's Hello taken; its version is the caller's to compare. Errors:
  // kNotFound: nobody listens; kTimeout: no Hello in kHelloPatience; kPermission, kResource.
  static Result<DvmConnection> Open(const std::string& dir);
  // Over a socket that is connected. Errors: kNotFound also when it is closed without a Hello.
  static Result<DvmConnection> Over(UniqueFd socket, std::chrono::milliseconds hello_patience);

  const std::string& version() const { return version_; }
  // Blocks until it is handed to the kernel. Errors: kClosed.
  Status Send(LaunchMessage kind, const std::string& payload);
  // The next message. Errors: kTimeout, kClosed: end of file; kProtocol.
  Result<Message> Next(std::chrono::milliseconds patience);
  // The socket itself, when nothing but Hello was read from it.
  UniqueFd Release() { return std::move(socket_); }
  int fd() const { return socket_.get(); }
  // One is there without waiting.
  bool has_next() const { return !messages_.empty(); }

 private:
  explicit DvmConnection(UniqueFd socket) : socket_(std::move(socket)) {}
  Status ReadSome();

  UniqueFd socket_;
  std::string version_;
  std::optional<FrameReader> reader_{std::in_place, size_t{kMaxDvmRecordBytes} * 2};
  std::deque<Message> messages_;
};

}  // namespace rex
