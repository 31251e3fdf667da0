// How pure code gets at files and commands: as functions that are passed in.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

// The text of a file; its error's text names the file. kNotFound: there is none.
using FileReader = std::function<Result<std::string>(const std::string& path)>;

// What a command prints on its standard output, when it ends with 0; its error's text names it.
using CommandRunner = std::function<Result<std::string>(const std::vector<std::string>& words)>;

}  // namespace rex
