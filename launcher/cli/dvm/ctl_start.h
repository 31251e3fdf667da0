// rexctl start: brings a DVM up and leaves it. Main thread.
#pragma once

#include <functional>
#include <string>

#include "launcher/cli/environment.h"
#include "launcher/wire/dvm_messages.h"

namespace rex {

struct StartOutcome {
  int exit_code = 0;
  std::string error;                // for the user, when the exit code is not 0; lines
  std::optional<DvmRecord> record;  // when it is
};

// `say` takes lines for the user while the nodes come. Waits as long as they take, which their
// start timeout bounds; ending this process ends the start.
StartOutcome StartDvmProcesses(const StartDvm& order, bool verbose,
                               const std::function<void(const std::string&)>& say);

}  // namespace rex
