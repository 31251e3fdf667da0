// A batch of ranks as the spawner gets it. Input: u8 (bit 0: announce the blob's true size), the
// request, then the blob.
#include <string.h>

#include <memory>

#include "launcher/template/batch_blob.h"
#include "launcher/template/batch_check.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

constexpr size_t kMostStrings = 4096;  // lists may overlap, so few bytes can name many strings

// A copy of exactly the blob's size, so that a sanitizer sees every step outside.
struct Blob {
  explicit Blob(std::string_view from) : bytes(new char[from.size()]), size(from.size()) {
    if (size > 0) memcpy(bytes.get(), from.data(), size);
  }
  std::unique_ptr<char[]> bytes;  // aligned as operator new aligns: 16
  size_t size;
};

class Reader {
 public:
  Reader(const BatchView& view, size_t size) : view_(view), size_(size) {}

  std::string String(uint64_t at) const {
    REX_CHECK(at < size_);
    const size_t length = strlen(view_.String(at));
    REX_CHECK(at + length < size_);
    return {view_.String(at), length};
  }
  std::vector<uint64_t> Words(uint64_t at, uint32_t count) const {
    REX_CHECK(at <= size_ && count <= (size_ - at) / sizeof(uint64_t));
    return {view_.Words(at), view_.Words(at) + count};
  }
  std::vector<std::string> Strings(uint64_t at, uint32_t count) const {
    std::vector<std::string> list;
    for (const uint64_t string : Words(at, count)) list.push_back(String(string));
    return list;
  }

 private:
  const BatchView& view_;
  size_t size_;
};

size_t CountStrings(const BatchView& view) {
  size_t strings = size_t{view.header->argc} + view.header->common_env_count;
  for (uint32_t i = 0; i < view.header->count; ++i) strings += view.ranks[i].env_count;
  return strings;
}

// What the spawner would use, as the agent's writer takes it; descriptors aside.
BirthBatch ToBatch(const BatchView& view, size_t size) {
  const Reader reader(view, size);
  const rex_blob_header& header = *view.header;
  BirthBatch batch;
  batch.path = reader.String(header.path);
  batch.argv = reader.Strings(header.argv, header.argc);
  batch.wdir = reader.String(header.wdir);
  batch.common_env = reader.Strings(header.common_env, header.common_env_count);
  batch.umask = header.umask;
  batch.open_files = header.open_files_soft;
  batch.open_files_hard = header.open_files_hard;
  batch.outlives = (header.flags & REX_BLOB_OUTLIVES) != 0;
  batch.become = (header.flags & REX_BLOB_BECOME) != 0;
  batch.failed_exit = header.failed_exit;
  batch.timer_slack = std::chrono::nanoseconds(header.timer_slack_ns);
  for (uint32_t i = 0; i < header.count; ++i) {
    BirthBatch::Rank rank;
    rank.env = reader.Strings(view.ranks[i].env, view.ranks[i].env_count);
    rank.cpuset = reader.Words(view.ranks[i].cpuset, view.ranks[i].cpuset_words);
    batch.ranks.push_back(std::move(rank));
  }
  return batch;
}

void CheckBounds(const rex_batch_request& request, const BatchView& view) {
  REX_CHECK(view.header->count == request.count && request.count <= REX_BATCH_MAX_RANKS);
  REX_CHECK(view.header->argc >= 1 && view.header->agent_pid > 0);
  uint32_t longest = 0;
  for (uint32_t i = 0; i < view.header->count; ++i) {
    for (const int32_t index : view.ranks[i].fd_index) {
      REX_CHECK(index == REX_NO_FD ||
                (index >= REX_BATCH_FIXED_FDS && index < static_cast<int32_t>(request.fds)));
    }
    if (view.ranks[i].env_count > longest) longest = view.ranks[i].env_count;
  }
  REX_CHECK(LongestOwnEnv(view) == longest);
}

// What the agent writes of it passes the same check and means the same.
void RoundTrip(const BatchView& view, size_t size) {
  const BirthBatch batch = ToBatch(view, size);
  const Blob wire(EncodeBatch(batch, view.header->agent_pid));
  const rex_batch_request request{REX_BATCH_MAGIC, REX_BATCH_VERSION, view.header->count,
                                  REX_BATCH_FIXED_FDS, wire.size};
  BatchView again;
  REX_CHECK(CheckRequest(request, REX_BATCH_FIXED_FDS) == 0);
  REX_CHECK(CheckBlob(request, wire.bytes.get(), wire.size, &again) == 0);
  const std::string second = EncodeBatch(ToBatch(again, wire.size), again.header->agent_pid);
  REX_CHECK(second == std::string_view(wire.bytes.get(), wire.size));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const bool true_size = (in.Byte() & 1) != 0;
  auto request = in.Take<rex_batch_request>();
  const Blob blob(in.Rest());
  if (true_size) request.blob_bytes = blob.size;
  if (CheckRequest(request, request.fds) != 0) return 0;
  BatchView view;
  if (CheckBlob(request, blob.bytes.get(), blob.size, &view) != 0) {
    REX_CHECK(view.header == nullptr);
    return 0;
  }
  CheckBounds(request, view);
  if (CountStrings(view) <= kMostStrings) RoundTrip(view, blob.size);
  return 0;
}

}  // namespace rex
