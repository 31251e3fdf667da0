// The two lines with which a bootstrap channel begins, before it becomes a link. Pure.
//
//   child → parent:  "\x1erex-join VERSION\n"          the marker; what comes before it is noise
//   parent → child:  "KEY <64> <32> <8> <8>\n"         hexadecimal: key, DVM, parent's id, child's
//   id
//
// docs/protocol.md is normative. Neither side sends anything more before it has the other's line.
#pragma once

#include <string>
#include <string_view>

#include "launcher/base/node_id.h"
#include "launcher/base/result.h"
#include "launcher/link/link_key.h"

namespace rex {

inline constexpr std::string_view kMarkerStart = "\x1erex-join ";
inline constexpr size_t kMaxVersionBytes = 32;
inline constexpr size_t kKeyLineBytes = 4 + 64 + 1 + 32 + 1 + 8 + 1 + 8 + 1;

std::string MarkerLine(std::string_view version);

// Finds the marker in what a login shell and rexd write.
class MarkerReader {
 public:
  // True once the marker is complete. Errors: kProtocol: the marker is malformed, or something
  // follows it. After true or an error: don't feed again.
  Result<bool> Feed(std::string_view bytes);
  const std::string& version() const { return version_; }
  // The end of what came before the marker.
  const std::string& noise() const { return noise_; }

 private:
  Result<bool> TakeMarker();

  std::string pending_;  // may hold the marker's beginning
  bool found_ = false;   // pending_ begins behind kMarkerStart
  std::string version_;
  std::string noise_;
};

// What an agent needs to know to join.
struct JoinTicket {
  LinkKey key;
  DvmId dvm;
  NodeId parent{};
  NodeId self{};
};
// Holds the key in clear: wipe it (Wipe) once it is sent.
std::string KeyLine(const LinkKey& key, const DvmId& dvm, NodeId parent, NodeId child);
// `line`: exactly kKeyLineBytes. Errors: kProtocol.
Result<JoinTicket> ParseKeyLine(std::string_view line);

}  // namespace rex
