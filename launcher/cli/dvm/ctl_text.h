// What rexctl prints: tables for people, JSON for programs. Pure.
#pragma once

#include <string>
#include <vector>

#include "launcher/wire/dvm_messages.h"

namespace rex {

struct DvmView {
  DvmStatus status;
  std::vector<DvmJob> jobs;
  std::vector<DvmRank> ranks;
};

std::string StatusText(const DvmStatus& status);
std::string JobsText(const DvmView& view);
std::string RanksText(const DvmView& view);
// Ranks below their jobs, jobs below the ranks that spawned them.
std::string TreeText(const DvmView& view);
std::string ListText(const std::vector<DvmRecord>& records);

// One line each, with a newline.
std::string RecordJson(const DvmRecord& record);
std::string StatusJson(const DvmStatus& status);
std::string JobsJson(const DvmView& view);
std::string RanksJson(const DvmView& view);
std::string TreeJson(const DvmView& view);
std::string ListJson(const std::vector<DvmRecord>& records);
// Of commands that only do something: {"done": true}, and what else there is to say.
std::string DoneJson(bool done, const std::string& text);

// "3 s", "12 min", "5 h", "2 d"
std::string AgeText(std::chrono::milliseconds age);

}  // namespace rex
