// --tag-output: "[1,RANK]<stdout>:" in front of each line, as mpirun writes it. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "launcher/wire/messages.h"

namespace rex {

class LineTagger {
 public:
  // `bytes` as they came from `rank`'s stream, with the tag at each start of a line. A line may
  // come in parts; it is tagged once.
  std::string Tag(Rank rank, OutputStream stream, std::string_view bytes);

 private:
  std::set<std::pair<Rank, OutputStream>> inside_line_;  // streams whose last byte ended no line
};

}  // namespace rex
