// The blob of a batch: what the agent writes passes the maker's check unchanged, and nothing that
// is cut or changed makes the check read outside the blob or accept something that points there.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <random>

#include "launcher/template/batch_blob.h"
#include "launcher/template/batch_check.h"

namespace rex {
namespace {

BirthBatch SampleBatch() {
  BirthBatch batch;
  batch.path = "/bin/echo";
  batch.argv = {"echo", "", "two words"};
  batch.wdir = "/tmp";
  batch.common_env = {"A=1", "B=2"};
  batch.umask = 027;
  batch.open_files = 77;
  batch.timer_slack = std::chrono::nanoseconds(5);
  for (int i = 0; i < 3; ++i) {
    BirthBatch::Rank rank;
    for (int j = 0; j < i; ++j) rank.env.push_back("OWN=" + std::to_string(j));
    if (i == 1) rank.cpuset = {3, 1};
    if (i > 0) rank.stdout_fd = UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    batch.ranks.push_back(std::move(rank));
  }
  return batch;
}

rex_batch_request RequestFor(const std::string& blob) {
  return {REX_BATCH_MAGIC, REX_BATCH_VERSION, 3, REX_BATCH_FIXED_FDS + 2, blob.size()};
}

// Checks a copy of exactly this size, so that a sanitizer sees every step outside.
int Check(const rex_batch_request& request, const std::string& blob, size_t* touched = nullptr) {
  const auto copy = std::make_unique<char[]>(blob.size());  // aligned as malloc aligns
  std::memcpy(copy.get(), blob.data(), blob.size());
  BatchView view;
  const int error = CheckBlob(request, copy.get(), blob.size(), &view);
  if (error != 0) return error;
  const auto inside = [&](uint64_t at) {
    EXPECT_LT(at + std::strlen(view.String(at)), blob.size());
    if (touched != nullptr) ++*touched;
  };
  inside(view.header->path);
  inside(view.header->wdir);
  for (uint32_t i = 0; i < view.header->argc; ++i) inside(view.Words(view.header->argv)[i]);
  for (uint32_t i = 0; i < view.header->count; ++i) {
    const rex_blob_rank& rank = view.ranks[i];
    for (uint32_t j = 0; j < rank.env_count; ++j) inside(view.Words(rank.env)[j]);
    EXPECT_LE(rank.cpuset + 8 * rank.cpuset_words, blob.size());
    for (const int32_t fd : rank.fd_index) EXPECT_TRUE(fd == REX_NO_FD || (fd >= 3 && fd < 5));
  }
  return 0;
}

TEST(BatchBlob, PassesTheCheckUnchanged) {
  const BirthBatch batch = SampleBatch();
  const std::string blob = EncodeBatch(batch, 4711);
  const rex_batch_request request = RequestFor(blob);
  EXPECT_EQ(CheckRequest(request, request.fds), 0);
  EXPECT_EQ(RankDescriptors(batch).size(), 2u);
  std::vector<uint64_t> aligned((blob.size() + 7) / 8);
  std::memcpy(aligned.data(), blob.data(), blob.size());
  BatchView view;
  ASSERT_EQ(CheckBlob(request, aligned.data(), blob.size(), &view), 0);
  EXPECT_STREQ(view.String(view.header->path), "/bin/echo");
  EXPECT_STREQ(view.String(view.header->wdir), "/tmp");
  ASSERT_EQ(view.header->argc, 3u);
  EXPECT_STREQ(view.String(view.Words(view.header->argv)[1]), "");
  EXPECT_STREQ(view.String(view.Words(view.header->argv)[2]), "two words");
  EXPECT_STREQ(view.String(view.Words(view.header->common_env)[1]), "B=2");
  EXPECT_EQ(view.header->umask, 027u);
  EXPECT_EQ(view.header->open_files_soft, 77u);
  EXPECT_EQ(view.header->timer_slack_ns, 5u);
  EXPECT_EQ(view.header->agent_pid, 4711);
  EXPECT_EQ(LongestOwnEnv(view), 2u);
  EXPECT_STREQ(view.String(view.Words(view.ranks[2].env)[1]), "OWN=1");
  ASSERT_EQ(view.ranks[1].cpuset_words, 2u);
  EXPECT_EQ(view.Words(view.ranks[1].cpuset)[0], 3u);
  EXPECT_EQ(view.ranks[0].fd_index[1], REX_NO_FD);
  EXPECT_EQ(view.ranks[1].fd_index[1], 3);
  EXPECT_EQ(view.ranks[2].fd_index[1], 4);
}

TEST(BatchBlob, FlagsAndExitCodesHaveBounds) {
  const auto with = [](auto change) {
    BirthBatch batch = SampleBatch();
    std::string blob = EncodeBatch(batch, 1);
    rex_blob_header header;
    std::memcpy(&header, blob.data(), sizeof header);
    EXPECT_EQ(header.flags, 0u);
    EXPECT_EQ(header.failed_exit, 127u);
    change(header);
    std::memcpy(blob.data(), &header, sizeof header);
    return Check(RequestFor(blob), blob);
  };
  EXPECT_EQ(with([](auto& h) { h.flags = REX_BLOB_OUTLIVES; }), 0);
  EXPECT_EQ(with([](auto& h) { h.flags = REX_BLOB_BECOME; }), EPROTO) << "more than one rank";
  EXPECT_EQ(with([](auto& h) { h.flags = REX_BLOB_BECOME << 1; }), EPROTO);
  EXPECT_EQ(with([](auto& h) { h.failed_exit = 255; }), 0);
  EXPECT_EQ(with([](auto& h) { h.failed_exit = 256; }), EPROTO);
  EXPECT_EQ(with([](auto& h) { h.failed_exit = 0; }), EPROTO);
  EXPECT_EQ(with([](auto& h) { h.reserved = 1; }), EPROTO);
}

TEST(BatchBlob, ProgramsMayBeRelativeAndHaveAName) {
  BirthBatch batch = SampleBatch();
  batch.path = "bin/echo";
  std::string blob = EncodeBatch(batch, 1);
  EXPECT_EQ(Check(RequestFor(blob), blob), 0);
  batch.path = "";
  blob = EncodeBatch(batch, 1);
  EXPECT_EQ(Check(RequestFor(blob), blob), EPROTO);
}

TEST(BatchBlob, EveryTruncationIsRefused) {
  const std::string blob = EncodeBatch(SampleBatch(), 1);
  for (size_t size = 0; size < blob.size(); ++size) {
    const std::string cut = blob.substr(0, size);
    EXPECT_EQ(Check(RequestFor(blob), cut), EPROTO) << "another size than announced";
    Check(RequestFor(cut), cut);  // may hold when only padding is missing; must stay inside
  }
}

TEST(BatchBlob, WildValuesNeverLeadOutside) {
  const std::string blob = EncodeBatch(SampleBatch(), 1);
  const uint64_t wild[] = {
      0,        1,        7,     8,     blob.size() - 1, blob.size(), blob.size() + 1,
      1u << 31, 1u << 30, ~0ull, ~7ull, 1ull << 63,      ~0ull >> 1};
  size_t refused = 0;
  for (size_t at = 0; at + 8 <= blob.size(); at += 4) {
    for (const uint64_t value : wild) {
      std::string changed = blob;
      std::memcpy(changed.data() + at, &value, at % 8 == 0 ? 8 : 4);
      if (Check(RequestFor(changed), changed) != 0) ++refused;
    }
  }
  EXPECT_GT(refused, 0u);
}

TEST(BatchBlob, RandomDamageNeverLeadsOutside) {
  const std::string blob = EncodeBatch(SampleBatch(), 1);
  std::mt19937 random(20240);  // fixed: a failure must come again
  for (int round = 0; round < 20000; ++round) {
    std::string changed = blob;
    for (unsigned i = 0; i < 1 + random() % 8; ++i) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    Check(RequestFor(changed), changed);
  }
}

TEST(BatchRequest, EveryBoundIsChecked) {
  const rex_batch_request good{REX_BATCH_MAGIC, REX_BATCH_VERSION, 1, 3, 200};
  EXPECT_EQ(CheckRequest(good, 3), 0);
  EXPECT_EQ(CheckRequest(good, 4), EPROTO) << "descriptors lost or added";
  const auto with = [&](auto change) {
    rex_batch_request request = good;
    change(request);
    return CheckRequest(request, request.fds);
  };
  EXPECT_EQ(with([](auto& r) { r.magic ^= 1; }), EPROTO);
  EXPECT_EQ(with([](auto& r) { r.version += 1; }), EPROTO);
  EXPECT_EQ(with([](auto& r) { r.count = 0; }), EPROTO);
  EXPECT_EQ(with([](auto& r) { r.count = REX_BATCH_MAX_RANKS; }), 0);
  EXPECT_EQ(with([](auto& r) { r.count = REX_BATCH_MAX_RANKS + 1; }), EPROTO);
  EXPECT_EQ(with([](auto& r) { r.fds = REX_BATCH_FIXED_FDS - 1; }), EPROTO);
  EXPECT_EQ(with([](auto& r) { r.fds = REX_BATCH_MAX_FDS; }), 0);
  EXPECT_EQ(with([](auto& r) { r.fds = REX_BATCH_MAX_FDS + 1; }), EPROTO);
  EXPECT_EQ(with([](auto& r) { r.blob_bytes = sizeof(rex_blob_header); }), EPROTO);
  EXPECT_EQ(with([](auto& r) { r.blob_bytes = REX_BATCH_MAX_BLOB_BYTES; }), 0);
  EXPECT_EQ(with([](auto& r) { r.blob_bytes = REX_BATCH_MAX_BLOB_BYTES + 1ull; }), EPROTO);
}

TEST(BirthBatch, FitsAsManyAsHaveDescriptors) {
  const auto null_fd = [] { return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)); };
  std::vector<BirthBatch::Rank> ranks(300);
  EXPECT_EQ(BirthBatch::Fits(ranks, 0), size_t{REX_BATCH_MAX_RANKS});
  EXPECT_EQ(BirthBatch::Fits(ranks, 299), 1u);
  EXPECT_EQ(BirthBatch::Fits(ranks, 300), 0u);
  for (size_t i = 0; i < 80; ++i) {
    ranks[i].stdin_fd = null_fd();
    ranks[i].stdout_fd = null_fd();
    ranks[i].stderr_fd = null_fd();
  }
  EXPECT_EQ(BirthBatch::Fits(ranks, 0), 79u);
  EXPECT_EQ(BirthBatch::Fits(ranks, 79), 221u) << "3 for the first, none for the others";
}

TEST(SealedMemory, CanNeitherChangeNorShrink) {
  const auto fd = SealedMemory("hello");
  ASSERT_TRUE(fd.has_value());
  EXPECT_EQ(::write(fd->get(), "x", 1), -1);
  EXPECT_EQ(::ftruncate(fd->get(), 1), -1);
  EXPECT_EQ(::ftruncate(fd->get(), 100), -1);
  EXPECT_EQ(::mmap(nullptr, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0), MAP_FAILED);
  EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
}

}  // namespace
}  // namespace rex
