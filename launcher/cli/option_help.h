// The option table as text for people: --help, whole or by topic. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "launcher/cli/option_table.h"

namespace rex {

// The option's sentences; "{cores}" in them becomes `cores`, such as ", here 4" or nothing.
std::string OptionText(const Option& option, std::string_view cores);

// The whole text of --help; `default_ranks` is what a missing -n means on this machine.
std::string HelpText(uint32_t default_ranks);
// The options of one topic; nullopt when there is no such topic.
std::optional<std::string> TopicHelp(std::string_view topic, uint32_t default_ranks);

}  // namespace rex
