// One option as it stands on a command line, and how its value is read: a function per kind of
// value, used by the parser alone. Pure. Errors: kInvalid, one line for the user that names the
// option and its place.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/cli/environment.h"
#include "launcher/cli/option_table.h"
#include "launcher/wire/messages.h"

namespace rex {

Error BadWord(std::string text);
std::string Quoted(std::string_view word);
std::string WordNumber(size_t index);  // "word 3" for index 2

struct OptionUse {
  const Option& option;
  std::string typed;                // with its dashes, without "=VALUE"
  size_t index;                     // of its word, from 0
  std::vector<std::string> values;  // as many as the option's arity
  std::string Where() const;        // "option '-n' (word 1)"
};

// A phrase of option_values.h as a line for the user.
Status Explain(const OptionUse& use, Status taken);
// The value is none of those that there are; `instead` says which those are.
Error NotKnown(const OptionUse& use, std::string_view instead);

// One of a few words. `instead` lists them: "'auto' or 'none'".
template <typename T>
Status TakeChoice(const OptionUse& use,
                  std::initializer_list<std::pair<std::string_view, T>> choices,
                  std::string_view instead, T* choice) {
  for (const auto& [word, value] : choices) {
    if (use.values[0] != word) continue;
    *choice = value;
    return Ok{};
  }
  return NotKnown(use, instead);
}

Status TakeCount(const OptionUse& use, std::optional<uint32_t>* count);  // 1..kMaxRanks
// Not empty; `what` says of what it is the name: "a file".
Status TakeText(const OptionUse& use, const char* what, std::string* text);
Status TakeBound(const OptionUse& use, std::chrono::seconds* time);         // 1 s to a day
Status TakeSeconds(const OptionUse& use, std::chrono::milliseconds* time);  // rounded up
Status TakeMaxLoad(const OptionUse& use, uint32_t* hundredths);
Status TakeTimerSlack(const OptionUse& use, std::chrono::microseconds* slack);
Status TakeStdin(const OptionUse& use, int32_t* rank);  // a rank, kStdinAll or kStdinNone
Status TakeSsh(const OptionUse& use, std::vector<std::string>* ssh);
Status TakeGpus(const OptionUse& use, uint32_t* gpus);         // 0..kMaxGpusPerRank
Status TakeLeases(const OptionUse& use, std::string* leases);  // as JobSpec::leases
Status TakePrefix(const OptionUse& use, std::string* prefix);  // absolute
// --stage, --creation, --image-transport, --store, --store-size, --image-hold, --preload-files.
Status TakeStage(const OptionUse& use, StageSpec* stage);
Status TakeMaxModex(const OptionUse& use, uint64_t* bytes);
Status TakeMaxVmSize(const OptionUse& use, std::optional<uint32_t>* nodes);
Status TakeMca(const OptionUse& use, std::vector<EnvSetting>* settings);

}  // namespace rex
