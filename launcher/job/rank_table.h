// The ranks of a job on this node: who they are and how far they have come. Plain data with
// look-ups; job.cc decides what follows from it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "launcher/base/child_table.h"
#include "launcher/template/rank_maker.h"
#include "launcher/wire/messages.h"

namespace rex {

struct RankRecord {
  Rank rank = 0;
  pid_t pid = 0;  // 0: not born yet
  Birth birth = Birth::kExec;
  std::optional<ExitStatus> end;  // reaped
  bool connected = false;         // has called PMIx_Init (MPI_Init)
  bool finalized = false;
  bool signalled = false;  // we asked it to end: its end is a consequence
  bool alive() const { return pid != 0 && !end; }
};

class RankTable {
 public:
  explicit RankTable(uint32_t total) : records_(total) {
    for (Rank r = 0; r < total; ++r) records_[r].rank = r;
  }
  RankRecord& operator[](Rank rank) { return records_.at(rank); }
  const std::vector<RankRecord>& all() const { return records_; }
  std::vector<RankRecord>& all() { return records_; }
  bool contains(Rank rank) const { return rank < records_.size(); }

  void Born(Rank rank, pid_t pid, Birth birth) {
    records_.at(rank).pid = pid;
    records_.at(rank).birth = birth;
    ++alive_;
  }
  void Ended(Rank rank, const ExitStatus& end) {
    records_.at(rank).end = end;
    --alive_;
  }
  uint32_t alive() const { return alive_; }

 private:
  std::vector<RankRecord> records_;
  uint32_t alive_ = 0;
};

}  // namespace rex
