// The first line of a script, as the kernel reads it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rex {

struct ScriptLine {
  std::string interpreter;
  std::string argument;  // all that follows it, as one word; empty: none
};

// The most that the kernel reads of a script: binfmt_script.c, BINPRM_BUF_SIZE.
inline constexpr size_t kScriptLineBytes = 256;

// `begin`: the file's first kScriptLineBytes, or all of a shorter one. None: not a script, no
// interpreter, or a line that does not end within those bytes (the kernel may cut its argument).
std::optional<ScriptLine> ParseScriptLine(std::string_view begin);

}  // namespace rex
