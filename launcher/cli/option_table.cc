#include "launcher/cli/option_table.h"

#include <algorithm>
#include <iterator>

#include "launcher/cli/options/topics.h"

namespace rex {

namespace {

std::vector<Option> WholeTable() {
  std::vector<Option> table;
  for (auto part :
       {PlacementOptions, NodeOptions, ImageOptions, RunOptions, DisplayOptions, GeneralOptions}) {
    std::vector<Option> options = part();
    std::move(options.begin(), options.end(), std::back_inserter(table));
  }
  return table;
}

bool Spells(const Option& option, std::string_view name) {
  return std::find(option.spellings.begin(), option.spellings.end(), name) !=
         option.spellings.end();
}

}  // namespace

std::span<const Option> OptionTable() {
  static const std::vector<Option> table = WholeTable();
  return table;
}

const Option* FindOption(std::string_view name) {
  for (const Option& option : OptionTable()) {
    if (Spells(option, name)) return &option;
  }
  return nullptr;
}

std::string WithDashes(std::string_view spelling) {
  return (spelling.size() <= 2 ? "-" : "--") + std::string(spelling);
}

}  // namespace rex
