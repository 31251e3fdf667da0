// Which files of a closure are sent to nodes. docs/design/image.md has the table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rex {

enum class FileRule : uint8_t {
  kSend,    // by digest
  kSystem,  // the distribution's: a node's own, when it is there
  kNever,   // bound to the node's kernel or drivers
};

class SendRules {
 public:
  // The built-in list of driver-bound libraries, then the lines of `texts` (the contents of
  // never-sent files, in order): a pattern of file names as fnmatch(3) has them, "!pattern" takes
  // equal ones out again, "#" begins a comment.
  explicit SendRules(const std::vector<std::string>& texts);

  FileRule Of(std::string_view path) const;

 private:
  std::vector<std::string> patterns_;
};

// /etc/rex/never-sent and the user's, as far as they are there. `env`: NAME=VALUE.
std::vector<std::string> ReadSendRuleFiles(const std::vector<std::string>& env);

bool IsSystemPath(std::string_view path);
bool IsGlibcName(std::string_view file_name);

}  // namespace rex
