#include "launcher/cli/option_values.h"

#include <algorithm>

#include "launcher/base/text.h"
#include "launcher/values/number.h"

namespace rex {

namespace {

Error Bad(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

std::string Quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

std::string Lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

// "NAME[:nocopy]" into `path` and `choice->copy`.
Status TakeTarget(std::string_view text, std::string* path, OutputChoice* choice) {
  constexpr std::string_view kNoCopy = ":nocopy";
  if (Lower(text).ends_with(kNoCopy)) {
    choice->copy = false;
    text.remove_suffix(kNoCopy.size());
  }
  if (text.empty()) return Bad("the name of the file or directory is empty");
  *path = text;
  return Ok{};
}

std::string Where(const std::string& file, size_t line) {
  return file + ":" + std::to_string(line) + ": ";
}

// "-mca KEY VALUE" and "-x NAME[=VALUE]" words of a parameter file's line.
Status TakeOptionWords(const std::vector<std::string>& words, const Environment& env,
                       std::vector<EnvSetting>* settings) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i].empty()) return Bad("an empty word");
    const std::string name = words[i].substr(words[i].starts_with("--") ? 2 : 1);
    if ((name == "mca" || name == "gmca") && i + 2 < words.size()) {
      if (words[i + 1].empty() || words[i + 1].find('=') != std::string::npos) {
        return Bad(Quoted(words[i + 1]) + " is not the name of a parameter");
      }
      settings->push_back({"OMPI_MCA_" + words[i + 1], words[i + 2]});
      i += 2;
    } else if (name == "x" && i + 1 < words.size()) {
      const std::string& word = words[++i];
      const size_t equals = word.find('=');
      const std::string variable = word.substr(0, equals);
      if (variable.empty()) return Bad(Quoted(word) + " has no variable's name");
      const auto here = FindVariable(env, variable);
      if (equals != std::string::npos) {
        settings->push_back({variable, word.substr(equals + 1)});
      } else if (here) {
        settings->push_back({variable, std::string(*here)});
      }
    } else {
      return Bad(Quoted(words[i]) + " is not -mca KEY VALUE, -x NAME=VALUE or KEY = VALUE");
    }
  }
  return Ok{};
}

std::string Trim(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return "";
  return std::string(text.substr(from, text.find_last_not_of(" \t\r") - from + 1));
}

// A file's lines; a '\' at the end of one takes the next along.
std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  bool joins = false;
  for (const std::string_view raw : Split(text, '\n')) {
    std::string line(raw);
    if (line.ends_with('\r')) line.pop_back();
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.back() = ' ';
    if (joins) {
      lines.back() += line;
    } else {
      lines.push_back(std::move(line));
    }
    joins = goes_on;
  }
  return lines;
}

}  // namespace

Result<std::vector<std::string>> ShellWords(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0 && c == quote) {
      quote = 0;
    } else if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      word += line[++i];
      in_word = true;
    } else if (quote != 0) {
      word += c;
    } else if (c == '"' || c == '\'') {
      quote = c;
      in_word = true;
    } else if (c == '#' && !in_word) {
      break;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) return Bad(std::string("a quote (") + quote + ") is not closed");
  if (in_word) words.push_back(std::move(word));
  return words;
}

Status TakeOutput(std::string_view text, OutputChoice* choice) {
  for (const std::string_view part : Split(text, ',')) {
    const std::string word = Lower(part);
    Status taken = Ok{};
    if (word == "tag") {
      choice->tag = true;
    } else if (word == "timestamp") {
      choice->timestamp = true;
    } else if (word == "merge") {
      choice->merge = true;
    } else if (word.starts_with("file=")) {
      taken = TakeTarget(part.substr(5), &choice->file, choice);
    } else if (word.starts_with("dir=")) {
      taken = TakeTarget(part.substr(4), &choice->dir, choice);
    } else {
      return Bad(Quoted(part) +
                 " is not known; write tag, timestamp, merge, file=NAME or dir=NAME");
    }
    if (!taken) return taken;
  }
  return Ok{};
}

Status TakeOutputFilename(std::string_view text, OutputChoice* choice) {
  return TakeTarget(text, &choice->dir, choice);
}

Status TakeDisplay(std::string_view text, DisplayChoice* choice) {
  for (const std::string_view part : Split(text, ',')) {
    const std::string word = Lower(part);
    if (word == "map") {
      choice->map = true;
    } else if (word == "allocation" || word == "alloc") {
      choice->allocation = true;
    } else if (word == "bindings" || word == "bind") {
      choice->bindings = true;
    } else if (word == "topo") {
      choice->topology = true;
    } else {
      return Bad(Quoted(part) + " is not known; write map, allocation, bindings or topo");
    }
  }
  return Ok{};
}

Status TakeLeasePlace(std::string_view text, std::string* leases) {
  if (text != "auto" && text != "none" && !text.starts_with('/')) {
    return Bad(Quoted(text) + " is not known; write auto, none or a directory's whole path");
  }
  *leases = text == "auto" ? "" : text;
  return Ok{};
}

Status TakeVirtualNodes(std::string_view text, VirtualChoice* choice) {
  const auto parts = Split(text, ':');
  const auto nodes = ParseWhole(parts[0]);
  if (!nodes || *nodes == 0 || *nodes > kMaxJobNodes || parts.size() > 2) {
    return Bad(Quoted(text) + " is not a number of nodes; write N or N:SLOTS with N from 1 to " +
               std::to_string(kMaxJobNodes));
  }
  const auto slots = parts.size() == 1 ? std::optional<uint64_t>(0) : ParseWhole(parts[1]);
  if (!slots || (*slots == 0 && parts.size() == 2) || *slots > kMaxRanks) {
    return Bad(Quoted(text) + " has no number of slots after ':', which is 1 to " +
               std::to_string(kMaxRanks));
  }
  *choice = {static_cast<uint32_t>(*nodes), static_cast<uint32_t>(*slots)};
  return Ok{};
}

Result<std::vector<EnvSetting>> ParseParameterFile(std::string_view text, const std::string& file,
                                                   const Environment& env) {
  std::vector<EnvSetting> settings;
  const std::vector<std::string> lines = Lines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string line = Trim(lines[i]);
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '-') {
      const auto words = ShellWords(line);
      if (!words) return Bad(Where(file, i + 1) + words.error().text);
      const Status taken = TakeOptionWords(*words, env, &settings);
      if (!taken) return Bad(Where(file, i + 1) + taken.error().text);
      continue;
    }
    const size_t equals = line.find('=');
    const std::string key = Trim(line.substr(0, equals));
    if (equals == std::string::npos || key.empty()) {
      return Bad(Where(file, i + 1) + Quoted(line) + " is not KEY = VALUE");
    }
    settings.push_back({"OMPI_MCA_" + key, Trim(line.substr(equals + 1))});
  }
  return settings;
}

Result<std::vector<std::string>> ParseAppFile(std::string_view text, const std::string& file) {
  std::vector<std::string> all;
  const std::vector<std::string> lines = Lines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    auto words = ShellWords(lines[i]);
    if (!words) return Bad(Where(file, i + 1) + words.error().text);
    if (words->empty()) continue;
    if (!all.empty()) all.emplace_back(":");
    all.insert(all.end(), words->begin(), words->end());
  }
  if (all.empty()) return Bad(file + ": no program is named in it");
  return all;
}

}  // namespace rex
