#include "launcher/cli/output_files.h"

#include <fcntl.h>

#include <filesystem>

namespace rex {

OutputFiles::OutputFiles(std::string file, std::string dir, uint32_t ranks)
    : file_(std::move(file)), dir_(std::move(dir)), digits_(std::to_string(ranks).size()) {}

void OutputFiles::SetRanks(uint32_t ranks) { digits_ = std::to_string(ranks).size(); }

// As mpirun 4.1: DIR/1/rank.07/stdout, as many digits as the number of ranks has.
std::string OutputFiles::DirFile(Rank rank, OutputStream stream) const {
  std::string number = std::to_string(rank);
  number.insert(0, digits_ - std::min(digits_, number.size()), '0');
  return dir_ + "/1/rank." + number + (stream == OutputStream::kStdout ? "/stdout" : "/stderr");
}

Result<int> OutputFiles::Open(const std::string& path) {
  const auto known = open_.find(path);
  if (known != open_.end()) return known->second.get();
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return Error::FromErrno(error.value(), "make the directory of '" + path + "'");
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
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

Status OutputFiles::Write(Rank rank, OutputStream stream, std::string_view bytes) {
  if (failed_ || bytes.empty()) return Ok{};
  Status written = Ok{};
  if (!file_.empty()) written = Append(file_ + "." + std::to_string(rank), bytes);
  if (written && !dir_.empty()) written = Append(DirFile(rank, stream), bytes);
  failed_ = !written;
  return written;
}

}  // namespace rex
