// Result<T>: a value or an Error, for everything that can fail because of something outside rex
// (a peer, the network, the disk, the user's input, a rank). Broken invariants use REX_CHECK.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "launcher/base/check.h"

namespace rex {

enum class Errc : uint8_t {
  kInvalid,      // the caller's or user's input makes no sense
  kNotFound,     // a file, program, process, name or peer does not exist
  kPermission,   // the kernel or a peer refused
  kNotRunnable,  // found, but it can't be executed (mode, directory, architecture, format)
  kResource,     // out of memory, file descriptors, processes or disk
  kProtocol,     // a peer sent something malformed
  kTimeout,      // a bound ran out
  kClosed,       // the peer is gone
  kInternal,     // anything else
};

// Lower-case words for logs, e.g. "not-found". Static storage.
std::string_view ErrcName(Errc code);

struct Error {
  Errc code = Errc::kInternal;
  std::string text;   // one line, no full stop; says what was tried and what came of it
  int sys_errno = 0;  // errno(3), 0 when no system call failed

  // "<what>: <strerror>"; the code is derived from `err` (errno(3)).
  static Error FromErrno(int err, std::string_view what);
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // The value must be there (REX_CHECK).
  T& value() & {
    REX_CHECK(has_value());
    return std::get<0>(state_);
  }
  const T& value() const& {
    REX_CHECK(has_value());
    return std::get<0>(state_);
  }
  T&& value() && {
    REX_CHECK(has_value());
    return std::move(std::get<0>(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // The error must be there (REX_CHECK).
  const Error& error() const {
    REX_CHECK(!has_value());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

struct Ok {};
using Status = Result<Ok>;

}  // namespace rex
