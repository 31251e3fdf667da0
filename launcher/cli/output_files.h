// The ranks' output in files of their own: --output file=F and dir=D. Bytes as they come, no tags.
// Loop thread only. A file is opened (and emptied) with its first byte; memory: nothing is kept.
#pragma once

#include <map>
#include <set>
#include <string>

#include "launcher/base/fd.h"
#include "launcher/wire/messages.h"

namespace rex {

class OutputFiles {
 public:
  // `file`, `dir`: absolute, or empty for none. `ranks`: of the job, for the width of the names; 0:
  // SetRanks will say it before the first Write.
  OutputFiles(std::string file, std::string dir, uint32_t ranks);
  void SetRanks(uint32_t ranks, JobNumber job = kFirstJob);

  bool active() const { return !file_.empty() || !dir_.empty(); }
  // Errors: kPermission, kNotFound, kResource (disk full); the text names the file. After an error
  // nothing more is written anywhere.
  Status Write(Rank rank, OutputStream stream, std::string_view bytes, JobNumber job = kFirstJob);
  // A spawned job's streams are at their ends: its files are closed. (The first job's stay open.)
  void Close(Rank rank, OutputStream stream, JobNumber job);

 private:
  Result<int> Open(const std::string& path);
  Status Append(const std::string& path, std::string_view bytes);
  std::string File(Rank rank, JobNumber job) const;
  std::string DirFile(Rank rank, OutputStream stream, JobNumber job) const;

  const std::string file_;
  const std::string dir_;
  std::map<JobNumber, size_t> digits_;  // of the names' numbers
  bool failed_ = false;
  std::map<std::string, UniqueFd> open_;
  std::set<std::string> begun_;  // what was opened once is not emptied again
};

}  // namespace rex
