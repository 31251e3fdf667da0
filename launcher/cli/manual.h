// The option table as other tools show it: the man page and the completions of shells. Pure, and
// no part of rexlaunch: a program of the build (write_manual.cc) makes the files that are
// installed.
#pragma once

#include <string>
#include <string_view>

#include "launcher/base/result.h"

namespace rex {

// `text` with its placeholders filled: @VERSION@; @MAN_APP_OPTIONS@ and @MAN_JOB_OPTIONS@, roff
// paragraphs (man(7)); @BASH_OPTIONS@, words; @BASH_VALUES@, arms of a `case`; @ZSH_OPTIONS@,
// specifications for _arguments (zshcompsys(1)). Errors: kInvalid, naming a placeholder (capitals
// between two @) that is none of these.
Result<std::string> FillManual(std::string_view text, std::string_view version);

// `text` as roff shows it unchanged, at the start of a line too: groff_char(7).
std::string RoffText(std::string_view text);

}  // namespace rex
