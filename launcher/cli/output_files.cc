#include "launcher/cli/output_files.h"

#include <fcntl.h>

#include <filesystem>

namespace rex {

OutputFiles::OutputFiles(std::string file, std::string dir, uint32_t ranks)
    : file_(std::move(file)), dir_(std::move(dir)) {
  SetRanks(ranks);
}

void OutputFiles::SetRanks(uint32_t ranks, JobNumber job) {
  if (active()) digits_[job] = std::to_string(ranks).size();
}

// FILE.RANK; of a spawned job FILE.JOB.RANK, so that it does not write into the first one's.
std::string OutputFiles::File(Rank rank, JobNumber job) const {
  const std::string of_job = job == kFirstJob ? "" : "." + std::to_string(job);
  return file_ + of_job + "." + std::to_string(rank);
}

// As mpirun 4.1: DIR/1/rank.07/stdout, as many digits as the number of ranks has.
std::string OutputFiles::DirFile(Rank rank, OutputStream stream, JobNumber job) const {
  const auto known = digits_.find(job);
  const size_t digits = known == digits_.end() ? 1 : known->second;
  std::string number = std::to_string(rank);
  number.insert(0, digits - std::min(digits, number.size()), '0');
  return dir_ + "/" + std::to_string(job) + "/rank." + number +
         (stream == OutputStream::kStdout ? "/stdout" : "/stderr");
}

Result<int> OutputFiles::Open(const std::string& path) {
  const auto known = open_.find(path);
  if (known != open_.end()) return known->second.get();
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return Error::FromErrno(error.value(), "make the directory of '" + path + "'");
  const int fresh = begun_.insert(path).second ? O_TRUNC : O_APPEND;
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | fresh | O_CLOEXEC, 0666));
  if (!fd) return Error::FromErrno(errno, "open '" + path + "'");
  return open_.emplace(path, std::move(fd)).first->second.get();
}

Status OutputFiles::Append(const std::string& path, std::string_view bytes) {
  const auto fd = Open(path);
  if (!fd) return fd.error();
  const Status written = WriteAll(*fd, bytes);
  if (written) return written;
  return Error{written.error().code, "write '" + path + "': " + written.error().text};
}

Status OutputFiles::Write(Rank rank, OutputStream stream, std::string_view bytes, JobNumber job) {
  if (failed_ || bytes.empty()) return Ok{};
  Status written = Ok{};
  if (!file_.empty()) written = Append(File(rank, job), bytes);
  if (written && !dir_.empty()) written = Append(DirFile(rank, stream, job), bytes);
  failed_ = !written;
  return written;
}

void OutputFiles::Close(Rank rank, OutputStream stream, JobNumber job) {
  if (job == kFirstJob) return;
  if (!dir_.empty()) open_.erase(DirFile(rank, stream, job));
  // Both streams write into it; what comes after the first one's end is appended.
  if (!file_.empty()) open_.erase(File(rank, job));
}

}  // namespace rex
