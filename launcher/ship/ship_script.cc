#include "launcher/ship/ship_script.h"

#include <string_view>

namespace rex {

namespace {

// Descriptor 4 is kShipWatchFd. The watcher is a grandchild, so that it is none of rexd's
// processes; it closes the fifo's writing ends that it inherits, and everything of the channel.
// The file x is run to see whether the mount allows that.
constexpr std::string_view kScript =
    "PATH=$PATH:/usr/bin:/bin; u=`umask`; umask 077; w=; d=; "
    "for c in mktemp mkfifo df uname head wc sha256sum chmod rm; do "
    "command -v $c >/dev/null || { echo \"rex-ship: '$c' is missing\" >&2; exit 125; }; done; "
    "for p in \"${TMPDIR:-/tmp}\" /dev/shm /var/tmp \"$HOME\"; do "
    "case $p in /*) ;; *) continue;; esac; "
    "t=`mktemp -d \"$p/rex-XXXXXXXXXXXXXXXX\" 2>/dev/null` || "
    "{ w=\"$w; $p can't be written to\"; continue; }; "
    "mkfifo \"$t/w\" || { rm -rf \"$t\"; w=\"$w; $p takes no fifo\"; continue; }; "
    "exec 4<>\"$t/w\"; "
    "( ( trap '' 1 2 15; exec 3<\"$t/w\" 4>&- </dev/null >/dev/null 2>&1; cd /; read x <&3; "
    "rm -rf \"$t\" ) & ); "
    "f=`df -Pk \"$t\" 2>/dev/null | { read x; read a b c f e; echo \"$f\"; }`; "
    "case $f in ''|*[!0-9]*) f=@ROOM;; esac; "
    "if [ $f -lt @ROOM ]; then w=\"$w; $p has only $f KiB free of @ROOM\"; "
    "else echo '#!/bin/sh' >\"$t/x\"; chmod 700 \"$t/x\"; "
    "if \"$t/x\" 2>/dev/null; then d=$t; break; fi; "
    "w=\"$w; $p lets no program run (noexec)\"; fi; "
    "exec 4>&-; done; "
    "[ \"$d\" ] || { echo \"rex-ship: no place for rex's programs$w\" >&2; exit 125; }; "
    "printf '\\036rex-ship here %s\\n' `uname -m`; "
    "head -c @BYTES >\"$d/s\"; [ `wc -c <\"$d/s\"` -eq @BYTES ] || exit 125; "
    "case `sha256sum <\"$d/s\"` in @DIGEST*) ;; "
    "*) echo \"rex-ship: damaged on the way, so not run: 'rex-stage0'\" >&2; exit 125;; esac; "
    "chmod 700 \"$d/s\"; umask $u; exec \"$d/s\" \"$d\" \"$@\"";

void Fill(std::string* text, std::string_view mark, const std::string& value) {
  for (size_t at = text->find(mark); at != text->npos; at = text->find(mark, at)) {
    text->replace(at, mark.size(), value);
    at += value.size();
  }
}

}  // namespace

std::string ShipScript(size_t stage0_bytes, const std::string& stage0_digest, uint64_t room_kib) {
  std::string script(kScript);
  Fill(&script, "@ROOM", std::to_string(room_kib));
  Fill(&script, "@BYTES", std::to_string(stage0_bytes));
  Fill(&script, "@DIGEST", stage0_digest);
  return script;
}

}  // namespace rex
