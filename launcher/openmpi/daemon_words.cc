#include "launcher/openmpi/daemon_words.h"

#include <algorithm>
#include <cstddef>

namespace rex::openmpi {

namespace {
constexpr const char* kPaths = "mca_base_component_path";
constexpr const char* kOurs = "--rex-";

bool IsTriple(const std::string& word) { return word == "-mca" || word == "--mca"; }

// The value of the triple with this name, or null.
std::string* FindTriple(Words* words, const std::string& name) {
  for (size_t i = 0; i + 2 < words->size(); ++i) {
    if (IsTriple((*words)[i]) && (*words)[i + 1] == name) return &(*words)[i + 2];
  }
  return nullptr;
}

bool HasTriple(const Words& words, const std::string& name) {
  Words copy = words;
  return FindTriple(&copy, name) != nullptr;
}

void SetTriple(Words* words, const std::string& name, const std::string& value) {
  if (std::string* there = FindTriple(words, name)) {
    *there = value;
  } else {
    words->insert(words->end(), {"-mca", name, value});
  }
}

Caller CallerOf(const Words& words) {
  if (std::find(words.begin(), words.end(), "--prtemca") != words.end()) return Caller::kPrrte;
  const bool orte = HasTriple(words, "ess") && HasTriple(words, "ess_base_jobid");
  return orte ? Caller::kOrte : Caller::kUser;
}

bool TakeOption(const std::string& word, AgentOptions* options) {
  if (!word.starts_with(kOurs)) return false;
  if (word == "--rex-plain") {
    options->plain = true;
  } else if (word == "--rex-exec") {
    options->exec = true;
  } else if (word == "--rex-verbose") {
    options->verbose = true;
  } else if (options->unknown.empty()) {
    options->unknown = word;
  }
  return true;
}

// Whether a list divided by colons ends with, or has, this directory.
bool HasDirectory(const std::string& list, const std::string& dir) {
  return (":" + list + ":").find(":" + dir + ":") != std::string::npos;
}

// MCA's rule: a list of names, of which one is chosen, or behind a ^ of names that are not.
bool Allows(const std::string& list, const std::string& name) {
  const bool negated = list.starts_with("^");
  const std::string names = "," + list.substr(negated ? 1 : 0) + ",";
  return (names.find("," + name + ",") != std::string::npos) != negated;
}
}  // namespace

bool CanBeChosen(const Words& words) {
  Words copy = words;
  for (const char* framework : {"odls", "filem"}) {
    const std::string* list = FindTriple(&copy, framework);
    if (list == nullptr || Allows(*list, "rex")) return true;
  }
  return false;
}

DaemonCall ReadDaemonCall(const Words& words) {
  DaemonCall call;
  call.caller = CallerOf(words);
  if (call.caller == Caller::kUser) {
    call.words = words;
    return call;
  }
  // Ours come first: a word of the same form further on is a value that somebody else gave.
  size_t begin = 0;
  while (begin < words.size() && TakeOption(words[begin], &call.options)) ++begin;
  call.words.assign(words.begin() + static_cast<ptrdiff_t>(begin), words.end());
  return call;
}

Words WordsForOrted(const DaemonCall& call, const std::string& plugin_dir) {
  Words words = call.words;
  if (plugin_dir.empty() || call.options.plain) return words;
  if (std::string* paths = FindTriple(&words, kPaths)) {
    if (!HasDirectory(*paths, plugin_dir)) *paths += ":" + plugin_dir;
  } else {
    // Open MPI's own comes first: a directory that can't be read ends its scan.
    SetTriple(&words, kPaths, "SYSTEM_DEFAULT:" + plugin_dir + ":USER_DEFAULT");
  }
  if (call.options.exec) SetTriple(&words, "odls_rex_births", "exec");
  if (call.options.verbose) SetTriple(&words, "odls_rex_verbose", "1");
  return words;
}

}  // namespace rex::openmpi
