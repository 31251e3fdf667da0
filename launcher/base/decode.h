// What decoders of protobuf messages say when a peer sends nonsense: kProtocol, and where. For the
// .cc files of decoders only.
#pragma once

#include <string>
#include <string_view>

#include "launcher/base/result.h"

namespace rex {

inline Error Bad(const char* field) {
  return Error{Errc::kProtocol, std::string("bad field ") + field};
}

// `name` is the message's, for the error. `payload` has less than 2 GiB.
template <typename Pb>
Result<Pb> Parse(std::string_view payload, const char* name) {
  Pb m;
  if (!m.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Error{Errc::kProtocol, std::string("malformed ") + name};
  }
  return m;
}

}  // namespace rex
