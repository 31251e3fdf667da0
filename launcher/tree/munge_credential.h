// Secrets that every node of a cluster may carry and only our own processes may read: munge
// credentials (munge(7)), encrypted by the cluster's munge daemons and opened for our uid alone.
//
// libmunge is loaded when it is first wanted, so nothing else depends on it. Both calls ask the
// munge daemon of this machine and block for as long as it takes, which is a millisecond, or some
// twenty seconds when it hangs. Any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "launcher/base/result.h"

namespace rex {

inline constexpr size_t kMaxCredentialBytes = 2 << 20;

// Printable, without a newline. It can be opened for `lifetime` (1 s to 1 h).
// Errors: kNotFound: no libmunge here; kClosed: no munge daemon here; kInternal: munge's own words.
Result<std::string> EncodeCredential(std::string_view secret, std::chrono::seconds lifetime);

// The secret of a credential that our uid has made; wipe it after use. One that was opened before
// on this machine is fine: it is no proof of anything, and several nodes may share a machine.
// Errors: as above; kProtocol: no credential, or expired; kPermission: made by or for another user.
Result<std::string> DecodeCredential(const std::string& credential);

}  // namespace rex
