// What /bin/sh runs on a node without rex, until stage-0 takes over. docs/design/ship-agent.md.
#pragma once

#include <cstdint>
#include <string>

namespace rex {

// For `/bin/sh -c SCRIPT rex-ship WORDS…`; WORDS are rexd's. One line, of POSIX's shell language
// and mktemp, mkfifo, df, uname, head, wc, sha256sum, chmod, rm. It says `here MACHINE`, takes
// `stage0_bytes` from stdin and runs them when their SHA-256 is `stage0_digest`; the directory must
// have `room_kib`. What fails is said on stderr behind "rex-ship: ", exit code kExitShip. Pure.
std::string ShipScript(size_t stage0_bytes, const std::string& stage0_digest, uint64_t room_kib);

}  // namespace rex
