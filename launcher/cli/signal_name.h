// "signal 11 (Segmentation fault)". Pure.
#pragma once

#include <cstring>
#include <string>

namespace rex {

inline std::string SignalText(int signo) {
  const char* description = ::sigdescr_np(signo);  // no locale, thread-safe: strsignal(3)
  return "signal " + std::to_string(signo) + " (" +
         (description != nullptr ? description : "unknown") + ")";
}

}  // namespace rex
