// The cores of this machine that jobs hold, across users and DVMs: a lock file `core-N` for each, N
// the lowest OS number of the core's hardware threads. Who holds the file's write lock (an open
// file description lock, fcntl(2)) holds the core; the kernel gives it back when the last copy of
// the descriptor is closed, however its owners end.
//
// The directory is /run/lock/rex: root's, mode 1777, made at boot by tmpfiles.d. Everybody may put
// anything in it under any name, so nothing there is trusted: files are opened without O_CREAT
// (fs.protected_regular refuses it for others' files in such directories, and is right), without
// following links and without waiting, are made with O_EXCL when they are absent, are never read,
// written or removed, and what is no plain file that can be locked counts as a core that somebody
// holds. Without that directory a user's own in /dev/shm does it for his jobs alone.
//
// Any thread, one at a time. Calls take microseconds and never wait.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "launcher/base/fd.h"

namespace rex {

inline constexpr char kLeaseDir[] = "/run/lock/rex";
inline constexpr char kNoLeases[] = "none";

class CoreLeases {
 public:
  // `where`: empty: as above; kNoLeases; or another absolute directory, of root or this user.
  explicit CoreLeases(const std::string& where);
  CoreLeases(CoreLeases&&) = default;
  CoreLeases& operator=(CoreLeases&&) = delete;
  // Gives back what is held, if no copies of fds() are elsewhere.
  ~CoreLeases() = default;

  // Nobody wants leases.
  bool off() const { return off_; }
  bool usable() const { return static_cast<bool>(dir_); }
  // Why leases are the user's own only, or are not usable; one line, empty: they are the machine's.
  const std::string& trouble() const { return trouble_; }
  // `trouble` is worth a line: nobody was told before.
  bool trouble_is_new() const { return trouble_is_new_; }

  // Somebody else holds the core, or its file is none. Takes nothing.
  bool HeldByOthers(uint32_t core) const;
  // False: somebody else holds it. True: it is ours from now on, or can't be had for want of
  // descriptors or disk, which is nobody's claim.
  bool Take(uint32_t core);
  // Nothing happens when it is not held. Holds for all copies of the descriptor.
  void GiveBack(uint32_t core);
  void GiveBackAll();

  std::vector<uint32_t> cores() const;  // held, ascending
  // Of the held cores' files; borrowed until they are given back. Copies keep the leases.
  std::vector<int> fds() const;

 private:
  void UseMachineDir();
  void UseUserDir();
  // The core's lock file, made when it is absent. None: errno says why.
  UniqueFd OpenFile(uint32_t core) const;

  UniqueFd dir_;
  bool off_ = false;
  std::string trouble_;
  bool trouble_is_new_ = false;
  std::map<uint32_t, UniqueFd> held_;
};

}  // namespace rex
