// What --timeline shows, made from the phases that the processes of a launch measured.
//
// Pure. All times are CLOCK_MONOTONIC of the head's node; `origin` is the moment that is shown as
// zero, the start of rexlaunch. Phases may come in any order and may overlap.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "launcher/base/phase.h"

namespace rex {

// A Chrome trace (the "JSON Object Format" of the Trace Event Format): one complete event ("ph":
// "X") per phase, times in microseconds, one row per (node, process). Always valid JSON: bytes
// that are not UTF-8 become U+FFFD. chrome://tracing and Perfetto open it. `otherData.origin_us` is
// the origin, so that a file can be compared with what else was measured on the node.
std::string TimelineJson(const std::vector<Phase>& phases, std::chrono::microseconds origin);

// A table for people, in order of start: phase, start ms, duration ms, where, note. One header
// line; each line ends with '\n'. A phase of more than two nodes takes one line for all of them,
// from the first begin to the last end, which names the node that took longest.
std::string TimelineTable(const std::vector<Phase>& phases, std::chrono::microseconds origin);

// `text` as a JSON string, quotes included. RFC 8259, section 7.
std::string JsonString(std::string_view text);

}  // namespace rex
