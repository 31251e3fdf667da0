// What stands in front of each line of the ranks' output, as mpirun 4.1 writes it:
// "[1,RANK]<stdout>:", "Mon Nov 23 10:00:00 2026<stdout>:", or both. Pure but for the time, which
// is passed in.
#pragma once

#include <ctime>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "launcher/wire/messages.h"

namespace rex {

class LineTagger {
 public:
  LineTagger(bool rank, bool timestamp) : rank_(rank), timestamp_(timestamp) {}
  bool active() const { return rank_ || timestamp_; }
  // `bytes` as they came from `rank`'s stream, with the tag at each start of a line. A line may
  // come in parts; it is tagged once. `now`: seconds since the epoch, shown in local time.
  std::string Tag(Rank rank, OutputStream stream, std::string_view bytes, std::time_t now,
                  JobNumber job = kFirstJob);
  // The stream is at its end.
  void Forget(Rank rank, OutputStream stream, JobNumber job);

 private:
  std::string TagText(Rank rank, OutputStream stream, std::time_t now, JobNumber job) const;

  const bool rank_;
  const bool timestamp_;
  // Streams whose last byte ended no line.
  std::set<std::tuple<JobNumber, Rank, OutputStream>> inside_line_;
};

}  // namespace rex
