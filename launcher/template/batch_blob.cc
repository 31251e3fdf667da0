#include "launcher/template/batch_blob.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>

namespace rex {

namespace {
// Appends to a blob; offsets are from its start.
class BlobWriter {
 public:
  explicit BlobWriter(size_t head_bytes) : bytes_(head_bytes, '\0') {}

  uint64_t String(const std::string& text) {
    const uint64_t at = bytes_.size();
    bytes_.append(text.c_str(), text.size() + 1);
    return at;
  }
  uint64_t Words(const std::vector<uint64_t>& words) {
    bytes_.resize((bytes_.size() + 7) / 8 * 8, '\0');
    const uint64_t at = bytes_.size();
    if (!words.empty()) {
      bytes_.append(reinterpret_cast<const char*>(words.data()), words.size() * sizeof(uint64_t));
    }
    return at;
  }
  uint64_t Strings(const std::vector<std::string>& list) {
    std::vector<uint64_t> offsets;
    offsets.reserve(list.size());
    for (const auto& text : list) offsets.push_back(String(text));
    return Words(offsets);
  }
  template <typename T>
  void Put(uint64_t at, const T& value) {
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  std::string Finish() {
    bytes_.push_back('\0');
    return std::move(bytes_);
  }

 private:
  std::string bytes_;
};

rex_blob_rank EncodeRank(const BirthBatch::Rank& rank, int32_t* next_fd, BlobWriter* blob) {
  rex_blob_rank out{};
  out.env = blob->Strings(rank.env);
  out.env_count = static_cast<uint32_t>(rank.env.size());
  out.cpuset = blob->Words(rank.cpuset);
  out.cpuset_words = static_cast<uint32_t>(rank.cpuset.size());
  out.mem_nodes = blob->Words(rank.mem_nodes);
  out.mem_words = static_cast<uint32_t>(rank.mem_nodes.size());
  const UniqueFd* fds[] = {&rank.stdin_fd, &rank.stdout_fd, &rank.stderr_fd};
  for (size_t i = 0; i < 3; ++i) out.fd_index[i] = *fds[i] ? (*next_fd)++ : REX_NO_FD;
  return out;
}
}  // namespace

std::vector<int> RankDescriptors(const BirthBatch& batch) {
  std::vector<int> fds;
  for (const auto& rank : batch.ranks) {
    for (const UniqueFd* fd : {&rank.stdin_fd, &rank.stdout_fd, &rank.stderr_fd}) {
      if (*fd) fds.push_back(fd->get());
    }
  }
  return fds;
}

std::string EncodeBatch(const BirthBatch& batch, pid_t agent_pid) {
  const uint64_t ranks_at = sizeof(rex_blob_header);
  static_assert(sizeof(rex_blob_header) % 8 == 0 && sizeof(rex_blob_rank) % 8 == 0);
  BlobWriter blob(ranks_at + batch.ranks.size() * sizeof(rex_blob_rank));
  rex_blob_header header{};
  header.count = static_cast<uint32_t>(batch.ranks.size());
  header.argc = static_cast<uint32_t>(batch.argv.size());
  header.path = blob.String(batch.path);
  header.argv = blob.Strings(batch.argv);
  header.wdir = blob.String(batch.wdir);
  header.common_env_count = static_cast<uint32_t>(batch.common_env.size());
  header.umask = batch.umask & 0777;
  header.common_env = blob.Strings(batch.common_env);
  header.ranks = ranks_at;
  header.open_files_soft = batch.open_files;
  header.open_files_hard = batch.open_files_hard;
  header.timer_slack_ns = static_cast<uint64_t>(batch.timer_slack.count());
  header.agent_pid = agent_pid;
  header.flags = (batch.outlives ? REX_BLOB_OUTLIVES : 0) | (batch.become ? REX_BLOB_BECOME : 0);
  header.failed_exit = batch.failed_exit;
  blob.Put(0, header);
  int32_t next_fd = REX_BATCH_FIXED_FDS;
  for (size_t i = 0; i < batch.ranks.size(); ++i) {
    const rex_blob_rank rank = EncodeRank(batch.ranks[i], &next_fd, &blob);
    blob.Put(ranks_at + i * sizeof rank, rank);
  }
  return blob.Finish();
}

Result<UniqueFd> SealedMemory(const std::string& bytes) {
  UniqueFd fd(::memfd_create("rex-batch", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return Error::FromErrno(errno, "make memory for a batch of ranks");
  const Status written = WriteAll(fd.get(), bytes);
  if (!written) return written.error();
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return Error::FromErrno(errno, "seal the memory of a batch of ranks");
  }
  return fd;
}

}  // namespace rex
