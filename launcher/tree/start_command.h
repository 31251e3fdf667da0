// The command line that starts rexd on a node. Pure.
//
// A remote shell command whose program is called `ssh` is taken for OpenSSH and gets its options:
// no terminal, no forwarding, nobody is asked anything, dead connections are noticed. The user's
// ssh configuration stays in force for everything else (aliases, jump hosts, keys, agent
// forwarding). Any other command is called as rsh is: `WORDS… [-l USER] HOST COMMAND…`.
//
// What follows the host is read by the login shell of the far side, whichever that is (sh, bash,
// csh, tcsh, fish, zsh): words of harmless characters, others with each special character behind a
// backslash, which all of them understand.
#pragma once

#include <string>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/tree/tree_options.h"

namespace rex {

// argv for posix_spawnp(3); argv[0] has a slash for kVirtual.
// Errors: kInvalid: a name or path that can't be passed, or a port for a command that takes none.
Result<std::vector<std::string>> StartCommand(const NodeSpec& node, const TreeOptions& options);

// The same for a node that is sent rex: /bin/sh runs `script` there (ship/ship_script.h). kSsh
// only.
Result<std::vector<std::string>> ShipCommand(const NodeSpec& node, const TreeOptions& options,
                                             const std::string& script);

// One word for a remote login shell. Errors: kInvalid: empty, or a control character in it.
Result<std::string> RemoteShellWord(const std::string& word);

// "[::1]" without its brackets; everything else as it is.
std::string BareHost(const std::string& name);

// The node as one would type it behind the remote shell command: "-p 2222 me@n1".
std::string LoginWords(const NodeSpec& node);

// Whether the command is OpenSSH's, by the name of its program.
bool IsOpenSsh(const std::vector<std::string>& words);

}  // namespace rex
