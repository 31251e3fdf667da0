// The two lines with which a bootstrap channel begins, before it becomes a link. Pure.
//
//   child → parent:  "\x1erex-join VERSION\n"          the marker; what comes before it is noise
//   parent → child:  "KEY <64> <32> <8> <8> <8> <8>\n" in hexadecimal: key, DVM, parent's id,
//                    child's id, node timeout in seconds, largest message in KiB
//
// docs/protocol.md is normative. Neither side sends anything more before it has the other's line.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "launcher/base/node_id.h"
#include "launcher/base/result.h"
#include "launcher/link/link_key.h"

namespace rex {

inline constexpr std::string_view kMarkerStart = "\x1erex-join ";
inline constexpr size_t kMaxVersionBytes = 32;
inline constexpr size_t kKeyLineBytes = 4 + 64 + 1 + 32 + 4 * (1 + 8) + 1;

std::string MarkerLine(std::string_view version);

// Finds the marker in what a login shell and rexd write.
class MarkerReader {
 public:
  // True once the marker is complete. Errors: kProtocol: the marker is malformed, or something
  // follows it. After true or an error: don't feed again.
  Result<bool> Feed(std::string_view bytes);
  const std::string& version() const { return version_; }
  // The end of what came before the marker, or of everything when there was none.
  std::string noise() const;

 private:
  Result<bool> TakeMarker();

  std::string pending_;  // may hold the marker's beginning
  bool found_ = false;   // pending_ begins behind kMarkerStart
  std::string version_;
  std::string noise_;
};

// What an agent needs to know to make its end of the link.
struct LinkTerms {
  DvmId dvm;
  NodeId parent{};
  NodeId child{};
  std::chrono::seconds node_timeout{120};
  uint64_t max_message_bytes = 0;  // is rounded up to whole KiB
};
struct JoinTicket {
  LinkKey key;
  LinkTerms terms;
};
// Holds the key in clear: wipe it (Wipe) once it is sent.
std::string KeyLine(const LinkKey& key, const LinkTerms& terms);
// `line`: exactly kKeyLineBytes. Errors: kProtocol.
Result<JoinTicket> ParseKeyLine(std::string_view line);

}  // namespace rex
