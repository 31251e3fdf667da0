// The ranks of a job on this node: who they are and how far they have come. Plain data with
// look-ups; the part decides what follows from it.
#pragma once

#include <sys/types.h>

#include <algorithm>
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
  bool signalled = false;  // it was asked to end: its end is a consequence
  bool alive() const { return pid != 0 && !end; }
};

class RankTable {
 public:
  RankTable() = default;
  // `ranks`: this node's, ascending.
  explicit RankTable(const std::vector<Rank>& ranks) : records_(ranks.size()) {
    for (size_t i = 0; i < ranks.size(); ++i) records_[i].rank = ranks[i];
  }
  // By position, 0 for the node's lowest rank.
  RankRecord& operator[](size_t local) { return records_.at(local); }
  const RankRecord& operator[](size_t local) const { return records_.at(local); }
  std::vector<RankRecord>& all() { return records_; }
  const std::vector<RankRecord>& all() const { return records_; }
  size_t size() const { return records_.size(); }
  // nullptr: not a rank of this node.
  RankRecord* Find(Rank rank) {
    const auto it = std::lower_bound(records_.begin(), records_.end(), rank,
                                     [](const RankRecord& r, Rank n) { return r.rank < n; });
    return it != records_.end() && it->rank == rank ? &*it : nullptr;
  }

  void Born(size_t local, pid_t pid, Birth birth) {
    records_.at(local).pid = pid;
    records_.at(local).birth = birth;
    ++alive_;
  }
  void Ended(size_t local, const ExitStatus& end) {
    records_.at(local).end = end;
    --alive_;
  }
  size_t alive() const { return alive_; }

 private:
  std::vector<RankRecord> records_;
  size_t alive_ = 0;
};

}  // namespace rex
