// An image of programs on this machine, as heads and stagers make it. Any thread.
#pragma once

#include <string>
#include <vector>

#include "launcher/image/image_maker.h"

namespace rex {

// Made by the rules that `env` (HOME, XDG_CONFIG_HOME) leads to, with the digests that the user's
// own store remembers, and with the plug-ins that programs were seen to open; nodes are to keep it
// in a store like that. Faults for tests are those of REX_IMAGE_FAULT (staging/fault.h). Takes as
// long as reading all files does, the first time: not for a loop's thread. Errors: MakeImage's.
Result<MadeImage> MakeOwnImage(ImageQuery query, const StoreOptions& store,
                               const std::vector<std::string>& env);

// Remembers for MakeOwnImage what a program was seen to open: those of `paths` that are here, may
// be sent and do not belong to it already. How many are new. Reads the program; not for a loop's
// thread.
size_t NotePlugIns(const std::string& program, const std::vector<std::string>& env,
                   const std::vector<std::string>& paths, const StoreOptions& store);

// "3 files of 12 MiB".
std::string ContentText(const Image& image);

}  // namespace rex
