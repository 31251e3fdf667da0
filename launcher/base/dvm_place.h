// Where a user's DVMs on this machine are found by name: <temp>/rex-dvm-UID/NAME, a symbolic link
// to the keeper's private directory, which holds the socket. docs/design/dvm.md has the rules.
//
// Links are made and removed under a lock on the directory, so of two starts one wins and nobody
// removes another's. A link that leads to no listener is stale.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/fd.h"

namespace rex {

inline constexpr std::string_view kDefaultDvmName = "default";
inline constexpr char kDvmSocketName[] = "dvm.sock";
inline constexpr char kDvmRecordName[] = "dvm.record";
inline constexpr char kDvmLogName[] = "dvm.log";
inline constexpr char kDvmRendezvousName[] = "dvm.pmix";  // where tools connect

// 1 to 64 letters, digits, '.', '_', '-'; not '.' or '-' first; not "none", which is no name.
bool IsDvmName(std::string_view name);

// <temp>/rex-dvm-UID of our effective uid.
std::string DvmRoot();
std::string DvmLink(std::string_view name);

// Every name that has a link, sorted, stale ones included.
std::vector<std::string> DvmNames(const std::string& root);
// The directory that `link` leads to. Errors: kNotFound: there is none; kPermission: `link` is in a
// directory that others can write to, or that is not ours; the text says what to do.
Result<std::string> DvmDirectory(const std::string& link);

// Connects to the DVM in `dir` and makes sure that it is ours. Errors: kNotFound: nobody listens;
// kPermission: another user's; kResource.
Result<UniqueFd> ConnectToDvm(const std::string& dir);
// Listens in `dir`, which is private.
Result<UniqueFd> ListenInDvm(const std::string& dir);
// Who connected, as the kernel says: SO_PEERCRED, socket(7). Errors: kInternal.
Result<ucred> PeerOf(int fd);

// Makes `link` lead to `dir`, in place of a stale one. Errors: kInvalid: a DVM of that name runs;
// kPermission, kResource; kTimeout: somebody has held the lock for kDvmLockPatience.
Status LinkDvm(const std::string& link, const std::string& dir);
// Removes `link` if it leads to `dir`, and its directory if that is the last.
void UnlinkDvm(const std::string& link, const std::string& dir);
// Removes `link` if nobody listens behind it.
void RemoveStaleDvm(const std::string& link);

}  // namespace rex
