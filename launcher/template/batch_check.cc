#include "launcher/template/batch_check.h"

#include "launcher/template/raw_sys.h"

namespace rex {

namespace {
constexpr uint32_t kMaxCpusetWords = 1024;  // 65536 cpus
constexpr uint32_t kMaxMemoryWords = 16;    // 1024 NUMA nodes: the kernel's most
constexpr uint32_t kMaxUmask = 0777;

// The blob as bytes. Its last byte is NUL (checked first), so an offset inside it is a string.
struct Bytes {
  const char* base;
  uint64_t size;

  bool HasArray(uint64_t offset, uint64_t count, uint64_t element) const {
    return offset % sizeof(uint64_t) == 0 && offset <= size && count <= (size - offset) / element;
  }
  bool HasString(uint64_t offset) const { return offset < size; }
  bool HasAbsolutePath(uint64_t offset) const { return HasString(offset) && base[offset] == '/'; }
  bool HasPath(uint64_t offset) const { return HasString(offset) && base[offset] != '\0'; }
  bool HasStringList(uint64_t offset, uint32_t count) const {
    if (!HasArray(offset, count, sizeof(uint64_t))) return false;
    const auto* list = reinterpret_cast<const uint64_t*>(base + offset);
    for (uint32_t i = 0; i < count; ++i) {
      if (!HasString(list[i])) return false;
    }
    return true;
  }
};

bool HeaderIsSound(const Bytes& blob, const rex_blob_header& header, uint32_t count) {
  return header.count == count && header.argc >= 1 && header.agent_pid > 0 &&
         (header.flags & ~(REX_BLOB_OUTLIVES | REX_BLOB_BECOME)) == 0 &&
         ((header.flags & REX_BLOB_BECOME) == 0 || header.count == 1) && header.reserved == 0 &&
         header.failed_exit >= 1 && header.failed_exit <= 255 && header.umask <= kMaxUmask &&
         blob.HasPath(header.path) && blob.HasAbsolutePath(header.wdir) &&
         blob.HasStringList(header.argv, header.argc) &&
         blob.HasStringList(header.common_env, header.common_env_count) &&
         blob.HasArray(header.ranks, header.count, sizeof(rex_blob_rank));
}

bool RankIsSound(const Bytes& blob, const rex_blob_rank& rank, uint32_t fds) {
  for (const int32_t index : rank.fd_index) {
    if (index == REX_NO_FD) continue;
    if (index < REX_BATCH_FIXED_FDS || static_cast<uint32_t>(index) >= fds) return false;
  }
  return rank.cpuset_words <= kMaxCpusetWords && rank.mem_words <= kMaxMemoryWords &&
         blob.HasArray(rank.cpuset, rank.cpuset_words, sizeof(uint64_t)) &&
         blob.HasArray(rank.mem_nodes, rank.mem_words, sizeof(uint64_t)) &&
         blob.HasStringList(rank.env, rank.env_count);
}
}  // namespace

int CheckRequest(const rex_batch_request& request, uint32_t fds) {
  const bool sound = request.magic == REX_BATCH_MAGIC && request.version == REX_BATCH_VERSION &&
                     request.count >= 1 && request.count <= REX_BATCH_MAX_RANKS &&
                     request.fds == fds && fds >= REX_BATCH_FIXED_FDS && fds <= REX_BATCH_MAX_FDS &&
                     request.blob_bytes > sizeof(rex_blob_header) &&
                     request.blob_bytes <= REX_BATCH_MAX_BLOB_BYTES;
  return sound ? 0 : sys::kEproto;
}

int CheckBlob(const rex_batch_request& request, const void* blob, size_t bytes, BatchView* view) {
  const Bytes all{static_cast<const char*>(blob), bytes};
  if (bytes != request.blob_bytes || bytes <= sizeof(rex_blob_header)) return sys::kEproto;
  if (all.base[bytes - 1] != '\0') return sys::kEproto;
  const auto* header = reinterpret_cast<const rex_blob_header*>(all.base);
  if (!HeaderIsSound(all, *header, request.count)) return sys::kEproto;
  const auto* ranks = reinterpret_cast<const rex_blob_rank*>(all.base + header->ranks);
  for (uint32_t i = 0; i < header->count; ++i) {
    if (!RankIsSound(all, ranks[i], request.fds)) return sys::kEproto;
  }
  view->base = all.base;
  view->header = header;
  view->ranks = ranks;
  return 0;
}

uint32_t LongestOwnEnv(const BatchView& view) {
  uint32_t longest = 0;
  for (uint32_t i = 0; i < view.header->count; ++i) {
    if (view.ranks[i].env_count > longest) longest = view.ranks[i].env_count;
  }
  return longest;
}

}  // namespace rex
