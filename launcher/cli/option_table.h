// The one table of rexlaunch's options: parsing, --help, the man page and shell completion
// (manual.h) are all made from it, so they cannot disagree. Pure data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rex {

enum class OptionId : uint8_t {
  kRanks,
  kPerNode,
  kOnePerNode,
  kExport,
  kPath,
  kWdir,
  kSessionDir,
  kAppFile,
  kHost,
  kHostfile,
  kDefaultHostfile,
  kAllocation,
  kMaxVmSize,
  kOversubscribe,
  kNoOversubscribe,
  kMapBy,
  kByCore,
  kBySlot,
  kByNode,
  kPpr,
  kPerSocket,
  kRankBy,
  kNoLocal,
  kVirtualNodes,
  kDvm,
  kSsh,
  kPrefix,
  kTree,
  kShipAgent,
  kStage,
  kCreation,
  kImageTransport,
  kStore,
  kStoreSize,
  kImageHold,
  kPreloadFiles,
  kStartTimeout,
  kAllowMissingNodes,
  kNodeTimeout,
  kMaxModex,
  kExportMode,
  kBindTo,
  kBindToCore,
  kBindToSocket,
  kCpuSet,
  kCpusPerRank,
  kHwthreadCpus,
  kLeases,
  kGpusPerRank,
  kRankfile,
  kNodesJson,
  kMaxLoad,
  kWait,
  kMaxWait,
  kStdin,
  kStdout,
  kGrace,
  kReportAfter,
  kTimeout,
  kReportState,
  kStackTraces,
  kDisplay,
  kDisplayMap,
  kDisplayAllocation,
  kDisplayTopo,
  kReportBindings,
  kDoNotLaunch,
  kCheck,
  kJson,
  kReportPid,
  kMca,
  kGlobalMca,
  kTune,
  kOutput,
  kTagOutput,
  kTimestampOutput,
  kOutputFilename,
  kMergeStderr,
  kQuiet,
  kVerbose,
  kTemplate,
  kTimeline,
  kTimerSlack,
  kAllowRoot,
  kVersion,
  kCheckOpenMpi,
  kHelp,
};

// What --help TOPIC shows together.
enum class OptionTopic : uint8_t {
  kGeneral,
  kPlacement,
  kNodes,
  kImage,
  kInput,
  kOutput,
  kEnd,
  kDisplay
};
inline constexpr std::string_view kTopicNames[] = {"general", "placement", "nodes", "image",
                                                   "input",   "output",    "end",   "display"};

enum class OptionScope : uint8_t { kApp, kJob };  // kApp: counts for the app it stands in
enum class OptionValue : uint8_t {
  kNone,
  kRankCount,
  kText,
  kSeconds,
  kMilliseconds,
  kBytes,
  kChoice,
};

struct Option {
  OptionId id;
  OptionScope scope;
  OptionTopic topic;
  OptionValue type;
  uint8_t arity;                            // words that follow the option: 0, 1 or 2
  std::vector<std::string_view> spellings;  // without dashes, the one to show first
  std::string_view values;                  // how help shows the values, e.g. "SECONDS"
  std::string_view help;                    // sentences; "{cores}": see OptionText
};

// Every option, in the order of --help. Static storage.
std::span<const Option> OptionTable();

// `name` without its dashes; nullptr when there is no such option. No abbreviations.
const Option* FindOption(std::string_view name);

// A spelling with the dashes people write: "-n", "--timeout".
std::string WithDashes(std::string_view spelling);

}  // namespace rex
