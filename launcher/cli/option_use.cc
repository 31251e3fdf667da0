#include "launcher/cli/option_use.h"

#include <algorithm>

#include "launcher/base/text.h"
#include "launcher/cli/option_values.h"
#include "launcher/values/number.h"

namespace rex {

Error BadWord(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

std::string Quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

std::string WordNumber(size_t index) { return "word " + std::to_string(index + 1); }

std::string OptionUse::Where() const {
  return "option " + Quoted(typed) + " (" + WordNumber(index) + ")";
}

Status Explain(const OptionUse& use, Status taken) {
  if (taken) return taken;
  return BadWord(use.Where() + ": " + taken.error().text);
}

Error NotKnown(const OptionUse& use, std::string_view instead) {
  return BadWord(use.Where() + ": " + Quoted(use.values[0]) + " is not known; write " +
                 std::string(instead));
}

Status TakeCount(const OptionUse& use, std::optional<uint32_t>* count) {
  const auto ranks = ParseWhole(use.values[0]);
  if (!ranks && use.values[0].find_first_not_of("0123456789") != std::string::npos) {
    return BadWord(use.Where() + ": " + Quoted(use.values[0]) +
                   " is not a number of ranks; write for example " + use.typed + " 4");
  }
  if (ranks && *ranks == 0) {
    return BadWord(use.Where() + ": 0 ranks cannot be started; write at least 1");
  }
  if (use.values[0].empty()) {
    return BadWord(use.Where() + ": the number of ranks is empty; is a shell variable unset?");
  }
  if (!ranks || *ranks > kMaxRanks) {
    return BadWord(use.Where() + ": " + use.values[0] + " ranks are too many; a job has at most " +
                   std::to_string(kMaxRanks));
  }
  *count = static_cast<uint32_t>(*ranks);
  return Ok{};
}

Status TakeText(const OptionUse& use, const char* what, std::string* text) {
  if (use.values[0].empty()) {
    return BadWord(use.Where() + ": the name of " + what + " is empty; is a shell variable unset?");
  }
  *text = use.values[0];
  return Ok{};
}

Status TakeBound(const OptionUse& use, std::chrono::seconds* time) {
  constexpr std::chrono::seconds kLongest{86400};
  const auto parsed = ParseTime(use.values[0], std::chrono::seconds(1));
  if (!parsed || parsed->count() == 0 || *parsed > kLongest) {
    return BadWord(use.Where() + ": " + Quoted(use.values[0]) +
                   " is not a time; write seconds from 1 to " + std::to_string(kLongest.count()) +
                   ", for example 60");
  }
  *time = std::chrono::ceil<std::chrono::seconds>(*parsed);
  return Ok{};
}

Status TakeSeconds(const OptionUse& use, std::chrono::milliseconds* time) {
  const auto parsed = ParseTime(use.values[0], std::chrono::seconds(1));
  if (!parsed) {
    return BadWord(use.Where() + ": " + Quoted(use.values[0]) +
                   " is not a time; write seconds from 0 to 2147483, for example 2 or 0.5");
  }
  // Never rounded to 0, which would mean something else (no limit).
  *time = std::chrono::ceil<std::chrono::milliseconds>(*parsed);
  return Ok{};
}

Status TakeMaxLoad(const OptionUse& use, uint32_t* hundredths) {
  // A decimal number, as times are.
  const auto parsed = ParseTime(use.values[0], std::chrono::seconds(1));
  const int64_t wanted = parsed ? parsed->count() / 10'000 : kMostMaxLoad + 1;
  if (wanted > kMostMaxLoad) {
    return BadWord(use.Where() + ": " + Quoted(use.values[0]) +
                   " is not a load; write runnable threads per core from 0 to 10000, for example "
                   "0.5");
  }
  *hundredths = static_cast<uint32_t>(wanted);
  return Ok{};
}

Status TakeStdin(const OptionUse& use, int32_t* rank) {
  const std::string& word = use.values[0];
  const auto number = ParseWhole(word);
  if (word == "all") {
    *rank = kStdinAll;
  } else if (word == "none") {
    *rank = kStdinNone;
  } else if (number && *number < kMaxRanks) {
    *rank = static_cast<int32_t>(*number);
  } else {
    return BadWord(use.Where() + ": " + Quoted(word) +
                   " is not a rank; write a rank's number, 'all' "
                   "or 'none'");
  }
  return Ok{};
}

Status TakeSsh(const OptionUse& use, std::vector<std::string>* ssh) {
  auto words = ShellWords(use.values[0]);
  if (!words) return BadWord(use.Where() + ": " + words.error().text);
  if (words->empty() || words->front().empty()) {
    return BadWord(use.Where() + ": the command is empty; is a shell variable unset?");
  }
  *ssh = *std::move(words);
  return Ok{};
}

Status TakeGpus(const OptionUse& use, uint32_t* gpus) {
  const auto number = ParseWhole(use.values[0]);
  if (!number || *number > kMaxGpusPerRank) {
    return BadWord(use.Where() + ": " + Quoted(use.values[0]) +
                   " is not a number of GPUs; write one up to " + std::to_string(kMaxGpusPerRank));
  }
  *gpus = static_cast<uint32_t>(*number);
  return Ok{};
}

Status TakeLeases(const OptionUse& use, std::string* leases) {
  return Explain(use, TakeLeasePlace(use.values[0], leases));
}

Status TakePrefix(const OptionUse& use, std::string* prefix) {
  const Status taken = TakeText(use, "a directory", prefix);
  if (!taken || prefix->front() == '/') return taken;
  return BadWord(
      use.Where() + ": " + Quoted(*prefix) +
      " is relative, and other nodes have another current directory; write the whole path");
}

namespace {
Status TakeStore(const OptionUse& use, StageSpec* stage) {
  const std::string& word = use.values[0];
  stage->store_dir.clear();
  if (word == "memory" || word == "disk") {
    stage->store = word == "disk" ? StoreRequest::kDisk : StoreRequest::kMemory;
    return Ok{};
  }
  if (!word.starts_with('/')) return NotKnown(use, "'memory', 'disk' or a whole path");
  stage->store = StoreRequest::kDirectory;
  stage->store_dir = word;
  return Ok{};
}

// Relative ones are made absolute where the current directory is known.
Status TakePreloadFiles(const OptionUse& use, StageSpec* stage) {
  for (const std::string_view file : Split(use.values[0], ',')) {
    if (file.empty()) {
      return BadWord(use.Where() + ": " + Quoted(use.values[0]) +
                     " has an empty name; write names with single commas between them");
    }
    stage->preload_files.emplace_back(file);
  }
  return Ok{};
}
}  // namespace

Status TakeStage(const OptionUse& use, StageSpec* stage) {
  switch (use.option.id) {
    case OptionId::kStage:
      return TakeChoice<StageRequest>(use,
                                      {{"auto", StageRequest::kAuto},
                                       {"always", StageRequest::kAlways},
                                       {"never", StageRequest::kNever}},
                                      "'auto', 'always' or 'never'", &stage->mode);
    case OptionId::kCreation:
      return TakeChoice<CreationRequest>(use,
                                         {{"group", CreationRequest::kGroup},
                                          {"multiple", CreationRequest::kMultiple},
                                          {"single", CreationRequest::kSingle}},
                                         "'group', 'multiple' or 'single'", &stage->creation);
    case OptionId::kImageTransport:
      return TakeChoice<TransportRequest>(use,
                                          {{"auto", TransportRequest::kAuto},
                                           {"tree", TransportRequest::kTree},
                                           {"multicast", TransportRequest::kMulticast}},
                                          "'auto', 'tree' or 'multicast'", &stage->transport);
    case OptionId::kStore:
      return TakeStore(use, stage);
    case OptionId::kStoreSize:
      return TakeMaxModex(use, &stage->store_bytes);
    case OptionId::kPreloadFiles:
      return TakePreloadFiles(use, stage);
    default: {
      std::chrono::seconds hold{};
      const Status taken = TakeBound(use, &hold);
      if (taken) stage->hold = hold;
      return taken;
    }
  }
}

Status TakeMaxModex(const OptionUse& use, uint64_t* bytes) {
  const auto parsed = ParseBytes(use.values[0]);
  if (!parsed || *parsed == 0) {
    return BadWord(use.Where() + ": " + Quoted(use.values[0]) +
                   " is not a number of bytes; write at least 1, for example 64M or 2G");
  }
  *bytes = *parsed;
  return Ok{};
}

Status TakeTimerSlack(const OptionUse& use, std::chrono::microseconds* slack) {
  const auto parsed = ParseTime(use.values[0], std::chrono::milliseconds(1));
  if (!parsed || *parsed > std::chrono::seconds(1)) {
    return BadWord(use.Where() + ": " + Quoted(use.values[0]) +
                   " is not a time; write milliseconds from 0 to 1000, for example 5");
  }
  *slack = *parsed;
  return Ok{};
}

Status TakeMaxVmSize(const OptionUse& use, std::optional<uint32_t>* nodes) {
  const auto parsed = ParseWhole(use.values[0]);
  if (!parsed || *parsed == 0) {
    return BadWord(use.Where() + ": " + Quoted(use.values[0]) +
                   " is not a number of nodes; write at least 1");
  }
  *nodes = static_cast<uint32_t>(std::min<uint64_t>(*parsed, kMaxJobNodes));
  return Ok{};
}

Status TakeMca(const OptionUse& use, std::vector<EnvSetting>* settings) {
  const std::string& key = use.values[0];
  if (key.empty() || key.find('=') != std::string::npos) {
    return BadWord(use.Where() + ": " + Quoted(key) + " is not the name of a parameter; write " +
                   use.typed + " KEY VALUE, for example " + use.typed + " btl self,vader");
  }
  settings->push_back({"OMPI_MCA_" + key, use.values[1]});
  return Ok{};
}

}  // namespace rex
