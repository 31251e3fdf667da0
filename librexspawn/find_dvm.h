// Where a program that rexlaunch has not started finds the DVM that makes its copies.
#pragma once

#include <string>

#include "launcher/base/result.h"

namespace rex {

// How libpmix is told where to connect: one of its directives.
struct ServerPlace {
  std::string key;
  std::string value;
  std::string name;  // for messages: "DVM 'x'"
};

// By the name of a DVM; without one (null) by what is set of PMIX_SERVER_URI,
// PMIX_TOOL_ATTACHMENT_FILE and REX_DVM, in that order; else the user's only DVM here. Errors: a
// line for the user: there is none, or several, or what is there can't be trusted.
Result<ServerPlace> FindServer(const char* dvm);

}  // namespace rex
