// What must hold of every message decoder: an answer is a protocol error that says something, or a
// value within its bounds, whose own wire form gives the same value again.
#pragma once

#include <string>

#include "launcher/base/result.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex::fuzz {

// `Target` is the fuzz target's: Decode<T>(payload) -> Result<T>, and Check(value) for the bounds.
template <typename Target, typename T>
void RoundTrip(const std::string& payload) {
  const Result<T> first = Target::template Decode<T>(payload);
  if (!first) {
    REX_CHECK(first.error().code == Errc::kProtocol && !first.error().text.empty());
    return;
  }
  Target::Check(*first);
  const std::string wire = ToWire(*first);
  const Result<T> second = Target::template Decode<T>(wire);
  REX_CHECK(second.has_value());
  REX_CHECK(ToWire(*second) == wire);
}

// Of the messages the one with this place in the list, from 0; beyond its end nothing.
template <typename Target, typename... Messages>
void RoundTripOneOf(size_t which, const std::string& payload) {
  size_t place = 0;
  ((place++ == which ? RoundTrip<Target, Messages>(payload) : void()), ...);
}

}  // namespace rex::fuzz
