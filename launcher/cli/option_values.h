// The values of options that have a grammar of their own (--output, --display, parameter and
// application files). Pure. Errors are phrases for the end of a line that names the option: "'x' is
// not ...; write ...".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/cli/environment.h"
#include "launcher/wire/messages.h"

namespace rex {

// --output and its older spellings.
struct OutputChoice {
  bool tag = false;
  bool timestamp = false;
  bool merge = false;  // a rank's stderr comes out on stdout
  std::string file;    // per rank into FILE.RANK; empty: none
  std::string dir;     // per rank into DIR/1/rank.RANK/stdout and stderr; empty: none
  bool copy = true;    // to rexlaunch's own stdout and stderr as well
  bool operator==(const OutputChoice&) const = default;
};
// "tag,timestamp,merge,file=F[:nocopy],dir=D[:nocopy]" in any order.
Status TakeOutput(std::string_view text, OutputChoice* choice);
// "DIR[:nocopy]".
Status TakeOutputFilename(std::string_view text, OutputChoice* choice);

// --display: "map,allocation,bindings,topo".
struct DisplayChoice {
  bool map = false;
  bool allocation = false;
  bool bindings = false;
  bool topology = false;
  bool operator==(const DisplayChoice&) const = default;
};
Status TakeDisplay(std::string_view text, DisplayChoice* choice);

// --leases, REX_LEASES: "auto" (then *leases is empty), "none" or an absolute directory.
Status TakeLeasePlace(std::string_view text, std::string* leases);

// --virtual-nodes: "N[:SLOTS]".
struct VirtualChoice {
  uint32_t nodes = 0;  // 0: not asked for
  uint32_t slots = 0;  // of each; 0: not given
  bool operator==(const VirtualChoice&) const = default;
};
Status TakeVirtualNodes(std::string_view text, VirtualChoice* choice);

// Words of one line as a shell splits them: quotes, backslashes and '#' comments, no expansion.
// Errors: a quote that is not closed.
Result<std::vector<std::string>> ShellWords(std::string_view line);

// A file of --tune or --am: "KEY = VALUE" lines, or words "-mca KEY VALUE" and "-x NAME=VALUE" as
// on the command line; '#' begins a comment. `file` names it in errors, with the line.
Result<std::vector<EnvSetting>> ParseParameterFile(std::string_view text, const std::string& file,
                                                   const Environment& env);

// A file of --app: each line an app's words as a shell would split them (quotes, backslashes), no
// expansion; '#' begins a comment; a '\' at the end continues a line. Joined with ':' words.
Result<std::vector<std::string>> ParseAppFile(std::string_view text, const std::string& file);

}  // namespace rex
