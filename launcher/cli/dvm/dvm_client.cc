#include "launcher/cli/dvm/dvm_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "launcher/base/clock.h"
#include "launcher/base/dvm_place.h"
#include "launcher/base/frame_queue.h"

namespace rex {

namespace {
constexpr size_t kChunk = 4 << 10;
constexpr std::chrono::milliseconds kSendPatience{10'000};
}  // namespace

Result<FoundDvm> FindDvm(const std::string& name) {
  const auto dir = DvmDirectory(DvmLink(name));
  return dir ? ReadDvm(name, *dir) : Result<FoundDvm>(dir.error());
}

Result<FoundDvm> ReadDvm(const std::string& name, const std::string& dir) {
  const auto text = ReadFile(dir + "/" + kDvmRecordName, kMaxDvmRecordBytes);
  if (!text && text.error().code == Errc::kNotFound) {
    RemoveStaleDvm(DvmLink(name));
    return Error{Errc::kNotFound, "no DVM '" + name + "' runs, or it is still being started"};
  }
  if (!text) return text.error();
  auto record = FromWire<DvmRecord>(*text);
  if (!record) {
    return Error{Errc::kProtocol, "the record of DVM '" + name +
                                      "' is of another version of rex (" + record.error().text +
                                      ")"};
  }
  return FoundDvm{dir, *std::move(record)};
}

Result<DvmConnection> DvmConnection::Open(const std::string& dir) {
  auto socket = ConnectToDvm(dir);
  if (!socket) return socket.error();
  return Over(*std::move(socket), kHelloPatience);
}

Result<DvmConnection> DvmConnection::Over(UniqueFd socket,
                                          std::chrono::milliseconds hello_patience) {
  DvmConnection connection(std::move(socket));
  auto message = connection.Next(hello_patience);
  if (!message && message.error().code == Errc::kTimeout) {
    return Error{Errc::kTimeout,
                 "its head says nothing: it may be stopped, or the machine overloaded"};
  }
  // On its way out: who has not said Hello will not.
  if (!message && message.error().code == Errc::kClosed) {
    return Error{Errc::kNotFound, "its head has just ended"};
  }
  if (!message) return message.error();
  if (message->kind != LaunchMessage::kHello) return Error{Errc::kProtocol, "no Hello"};
  const auto hello = FromWire<Hello>(message->payload);
  if (!hello) return hello.error();
  connection.version_ = hello->version;
  return connection;
}

Status DvmConnection::Send(LaunchMessage kind, const std::string& payload) {
  FrameQueue queue;
  queue.Push(static_cast<uint8_t>(kind), FrameClass::kControl, payload);
  std::string bytes;
  while (!queue.empty()) queue.TakeFrame(kMaxFrameBytes, bytes);
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = ::send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Error{Errc::kClosed, "the head is gone"};
    pollfd fd{socket_.get(), POLLOUT, 0};
    if (::poll(&fd, 1, static_cast<int>(kSendPatience.count())) == 0) {
      return Error{Errc::kTimeout, "the head does not read"};
    }
  }
  return Ok{};
}

Result<DvmConnection::Message> DvmConnection::Next(std::chrono::milliseconds patience) {
  const MonotonicClock clock;
  const Clock::Time end = clock.Now() + patience;
  while (messages_.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock.Now());
    if (left.count() <= 0) return Error{Errc::kTimeout, "no answer"};
    pollfd fd{socket_.get(), POLLIN, 0};
    const auto wait = std::min<int64_t>(left.count(), 1 << 30);
    if (::poll(&fd, 1, static_cast<int>(wait)) <= 0) continue;
    if (const Status read = ReadSome(); !read) return read.error();
  }
  Message first = std::move(messages_.front());
  messages_.pop_front();
  return first;
}

Status DvmConnection::ReadSome() {
  std::string chunk(kChunk, '\0');
  const ssize_t n = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Ok{};
  if (n <= 0) return Error{Errc::kClosed, "the head has closed the connection"};
  chunk.resize(static_cast<size_t>(n));
  const bool keep_going = true;
  return reader_->Feed(
      chunk,
      [this](uint8_t kind, FrameClass, std::string payload) {
        messages_.push_back({static_cast<LaunchMessage>(kind), std::move(payload)});
      },
      keep_going);
}

}  // namespace rex
