#include "launcher/cli/manual.h"

#include "launcher/cli/option_help.h"
#include "launcher/cli/option_table.h"

namespace rex {

namespace {

constexpr std::string_view kCapitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";

// Calls `each` for the parts of `text` between separators; an empty text is one empty part.
template <typename Each>
void ForEachPart(std::string_view text, char separator, Each each) {
  for (;;) {
    const size_t end = text.find(separator);
    each(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

// ---- roff

std::string RoffOption(const Option& option) {
  std::string out = ".TP\n";
  for (size_t i = 0; i < option.spellings.size(); ++i) {
    out += (i == 0 ? "\\fB" : ", \\fB") + RoffText(WithDashes(option.spellings[i])) + "\\fR";
  }
  if (option.arity > 0) out += " \\fI" + RoffText(option.values) + "\\fR";
  return out + "\n" + RoffText(OptionText(option, "")) + "\n";
}

std::string RoffOptions(OptionScope scope) {
  std::string out;
  for (const Option& option : OptionTable()) {
    if (option.scope == scope) out += RoffOption(option);
  }
  return out;
}

// ---- shells

// What a shell can complete of a value as help shows it: words, DIR, FILE, VARIABLE or other
// capitals (free text), with '|' between. Without what may follow ("[:nocopy]", ",...") and without
// the parts of a list that have values of their own.
std::string Alternatives(std::string_view value) {
  if (value == "NAME[=VALUE]") return "VARIABLE";
  std::string plain;
  bool optional = false;
  for (const char c : value) {
    if (c == '[' || c == ']') {
      optional = c == '[';
    } else if (!optional) {
      plain += c == ',' ? '|' : c;
    }
  }
  std::string out;
  ForEachPart(plain, '|', [&out](std::string_view part) {
    if (part == "..." || part.find('=') != std::string_view::npos) return;
    out += (out.empty() ? "" : "|") + std::string(part);
  });
  return out;
}

std::string SingleQuoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

std::string BashOptions() {
  std::string out;
  for (const Option& option : OptionTable()) {
    for (const std::string_view spelling : option.spellings) {
      out += (out.empty() ? "" : " ") + WithDashes(spelling);
    }
  }
  return out;
}

// One arm for each option with values: "mca) values=('KEY' 'VALUE') ;;".
std::string BashValues() {
  std::string out;
  for (const Option& option : OptionTable()) {
    if (option.arity == 0) continue;
    std::string names;
    for (const std::string_view spelling : option.spellings) {
      names += (names.empty() ? "" : " | ") + std::string(spelling);
    }
    std::string values;
    ForEachPart(option.values, ' ', [&values](std::string_view value) {
      values += (values.empty() ? "" : " ") + SingleQuoted(Alternatives(value));
    });
    out += "    " + names + ") values=(" + values + ") ;;\n";
  }
  return out;
}

// What completes one alternative of an option's value; empty: a word to be offered as it is.
std::string ZshAction(std::string_view alternative) {
  if (alternative == "DIR") return "_files -/";
  if (alternative == "FILE") return "_files";
  if (alternative == "VARIABLE") return "_parameters -g '*export*'";
  return alternative.find_first_of(kCapitals) == std::string_view::npos ? "" : " ";
}

// ":MESSAGE:ACTION". A list of words wins over an action: only one can be given.
std::string ZshValue(std::string_view value) {
  std::string words;
  std::string action = " ";
  ForEachPart(Alternatives(value), '|', [&](std::string_view alternative) {
    const std::string own = ZshAction(alternative);
    if (own.empty()) words += (words.empty() ? "" : " ") + std::string(alternative);
    if (own.size() > 1) action = own;
  });
  if (action == " " && !words.empty()) action = "(" + words + ")";
  std::string message;  // where a colon would end it
  for (const char c : value) message += c == ':' ? "\\:" : std::string(1, c);
  return ":" + message + ":" + action;
}

// One line for each spelling: '*--stdout=[help]:pty|pipe:(pty pipe)'.
std::string ZshOptions() {
  std::string out;
  for (const Option& option : OptionTable()) {
    std::string text;
    for (const char c : OptionText(option, "")) {
      text += c == '[' || c == ']' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
    }
    std::string values;
    if (option.arity > 0) {
      ForEachPart(option.values, ' ',
                  [&values](std::string_view value) { values += ZshValue(value); });
    }
    for (const std::string_view spelling : option.spellings) {
      const std::string word = WithDashes(spelling);
      const bool with_equals = option.arity == 1 && word.starts_with("--");
      out += "  " +
             SingleQuoted("*" + word + (with_equals ? "=" : "") + "[" + text + "]" + values) + "\n";
    }
  }
  return out;
}

std::string WithoutLastEnd(std::string lines) {
  if (lines.ends_with('\n')) lines.pop_back();
  return lines;
}

Result<std::string> Filling(std::string_view name, std::string_view version) {
  if (name == "VERSION") return std::string(version);
  if (name == "MAN_APP_OPTIONS") return WithoutLastEnd(RoffOptions(OptionScope::kApp));
  if (name == "MAN_JOB_OPTIONS") return WithoutLastEnd(RoffOptions(OptionScope::kJob));
  if (name == "BASH_OPTIONS") return BashOptions();
  if (name == "BASH_VALUES") return WithoutLastEnd(BashValues());
  if (name == "ZSH_OPTIONS") return WithoutLastEnd(ZshOptions());
  return Error{Errc::kInvalid, "unknown placeholder '@" + std::string(name) + "@'"};
}

}  // namespace

std::string RoffText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      const bool starts_request = (c == '.' || c == '\'') && (out.empty() || out.back() == '\n');
      out += (starts_request ? "\\&" : "") + std::string(1, c);
    }
  }
  return out;
}

Result<std::string> FillManual(std::string_view text, std::string_view version) {
  std::string out;
  while (!text.empty()) {
    const size_t begin = text.find('@');
    out += text.substr(0, begin);
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin + 1);
    const size_t end = text.find_first_not_of(kCapitals);
    if (end == 0 || end == std::string_view::npos || text[end] != '@') {
      out += '@';  // stands for itself
      continue;
    }
    const auto filling = Filling(text.substr(0, end), version);
    if (!filling) return filling.error();
    out += *filling;
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace rex
