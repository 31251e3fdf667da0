// The spawner against an agent that talks nonsense: it answers EPROTO and goes on.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <optional>
#include <random>

#include "launcher/base/descendants.h"
#include "launcher/base/programs.h"
#include "launcher/template/batch_blob.h"
#include "tests/integration/spawner/maker_fixture.h"
#include "tests/support/paths.h"

namespace rex::testing {
namespace {

class Malformed : public ::testing::Test {
 protected:
  void SetUp() override {
    auto pair = MakeSeqpacketPair();
    ASSERT_TRUE(pair.has_value());
    socket_ = std::move(pair->first);
    const timeval bound{20, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    const int theirs = pair->second.get();
    const auto pid = SpawnProgram(
        {LibexecPath("rexd-spawner"), "--agent-fd=" + std::to_string(theirs)}, {theirs});
    ASSERT_TRUE(pid.has_value()) << pid.error().text;
    pid_ = *pid;
    auto gate = MakePipe();
    auto report = MakePipe();
    gate_ = std::move(*gate);
    report_ = std::move(*report);
    blob_ = EncodeBatch(OneRank(), ::getpid());
  }
  // It still works, and ends at the end of file.
  void TearDown() override {
    const auto answer = Ask(Request(), Fds());
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->started, 1u);
    EXPECT_EQ(answer->error, 0);
    ExpectDescriptorsFreed();
    gate_.second.Reset();  // never: the rank leaves
    int status = 0;
    ASSERT_EQ(::waitpid(pid_of_rank_, &status, 0), pid_of_rank_);
    EXPECT_EQ(WEXITSTATUS(status), REX_GATE_CLOSED);
    socket_.Reset();
    ASSERT_EQ(::waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(status, 0) << "ends by itself";
  }
  static BirthBatch OneRank() {
    BirthBatch batch;
    batch.path = "/bin/true";
    batch.argv = {"true"};
    batch.wdir = "/";
    batch.ranks.resize(1);
    return batch;
  }
  rex_batch_request Request() const {
    return {REX_BATCH_MAGIC, REX_BATCH_VERSION, 1, REX_BATCH_FIXED_FDS, blob_.size()};
  }
  std::vector<int> Fds() {
    auto memory = SealedMemory(blob_);
    EXPECT_TRUE(memory.has_value());
    memory_ = std::move(*memory);
    return {memory_.get(), gate_.first.get(), report_.second.get()};
  }
  // Sends `bytes` of `data` with `fds`; the answer's head, nothing when none came.
  std::optional<rex_batch_answer> AskRaw(const void* data, size_t bytes,
                                         const std::vector<int>& fds) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(253 * sizeof(int))> control{};
    iovec part{const_cast<void*>(data), bytes};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
    }
    EXPECT_EQ(::sendmsg(socket_.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes));
    struct {
      rex_batch_answer head;
      std::array<int32_t, REX_BATCH_MAX_RANKS> pids;
    } answer{};
    const ssize_t n = ::recv(socket_.get(), &answer, sizeof answer, 0);
    if (n < static_cast<ssize_t>(sizeof answer.head)) return std::nullopt;
    if (answer.head.started > 0) pid_of_rank_ = answer.pids[0];
    return answer.head;
  }
  std::optional<rex_batch_answer> Ask(const rex_batch_request& request,
                                      const std::vector<int>& fds) {
    return AskRaw(&request, sizeof request, fds);
  }
  void ExpectRefused(const std::optional<rex_batch_answer>& answer) {
    ASSERT_TRUE(answer.has_value()) << "it died or hangs";
    EXPECT_EQ(answer->magic, REX_BATCH_MAGIC);
    EXPECT_EQ(answer->started, 0u);
    EXPECT_EQ(answer->error, EPROTO);
  }
  // The spawner closes a batch's descriptors right after its answer; all but its own five.
  void ExpectDescriptorsFreed() {
    const std::string path = "/proc/" + std::to_string(pid_) + "/fd/";
    for (int round = 0; round < 2000; ++round) {
      bool more = false;
      for (int fd = 0; fd < 300; ++fd) {
        if (fd <= 2) continue;
        std::array<char, 64> target{};
        if (::readlink((path + std::to_string(fd)).c_str(), target.data(), target.size() - 1) < 0) {
          continue;
        }
        const std::string what = target.data();
        if (what != "/dev/null" && what.rfind("socket:", 0) != 0) more = true;
      }
      if (!more) return;
      ::usleep(1000);
    }
    ADD_FAILURE() << "the spawner keeps a batch's descriptors";
  }

  UniqueFd socket_;
  pid_t pid_ = 0;
  pid_t pid_of_rank_ = 0;
  FdPair gate_;
  FdPair report_;
  UniqueFd memory_;
  std::string blob_;
};

TEST_F(Malformed, WrongSizes) {
  const rex_batch_request request = Request();
  std::array<char, 4096> longer{};
  std::memcpy(longer.data(), &request, sizeof request);
  for (const size_t bytes : {size_t{1}, sizeof request - 1, sizeof request + 1, longer.size()}) {
    ExpectRefused(AskRaw(longer.data(), bytes, Fds()));
    ExpectRefused(AskRaw(longer.data(), bytes, {}));
  }
}

TEST_F(Malformed, WrongHeads) {
  for (size_t at = 0; at < sizeof(rex_batch_request); at += 4) {
    for (const uint32_t value : {0u, 1u, 2u, 3u, 4u, 237u, 238u, 0x7fffffffu, 0xffffffffu}) {
      rex_batch_request request = Request();
      std::memcpy(reinterpret_cast<char*>(&request) + at, &value, 4);
      const rex_batch_request sound = Request();
      if (std::memcmp(&request, &sound, sizeof request) == 0) continue;
      ExpectRefused(Ask(request, Fds()));
    }
  }
}

TEST_F(Malformed, WrongDescriptors) {
  const auto fds = Fds();
  ExpectRefused(Ask(Request(), {}));
  ExpectRefused(Ask(Request(), {fds[0], fds[1]}));
  ExpectRefused(Ask(Request(), {fds[1], fds[1], fds[2]}));
  ExpectRefused(Ask(Request(), {fds[0], fds[0], fds[2]}));
  ExpectRefused(Ask(Request(), {fds[0], fds[1], fds[0]}));
  std::vector<int> many(253, fds[2]);
  std::copy(fds.begin(), fds.end(), many.begin());
  rex_batch_request request = Request();
  request.fds = 253;
  ExpectRefused(Ask(request, many));
}

TEST_F(Malformed, UnsealedMemory) {
  const UniqueFd open(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_TRUE(WriteAll(open.get(), blob_).has_value());
  ExpectRefused(Ask(Request(), {open.get(), gate_.first.get(), report_.second.get()}));
  ASSERT_EQ(::fcntl(open.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  ExpectRefused(Ask(Request(), {open.get(), gate_.first.get(), report_.second.get()}));
}

TEST_F(Malformed, AnotherAgent) {
  const std::string sound = blob_;
  blob_ = EncodeBatch(OneRank(), ::getppid());
  ExpectRefused(Ask(Request(), Fds()));
  blob_ = sound;
}

TEST_F(Malformed, TruncatedBlobs) {
  const std::string sound = blob_;
  for (size_t size = 1; size < sound.size() - 8; size += 5) {
    blob_ = sound.substr(0, size);
    ExpectRefused(Ask(Request(), Fds()));
  }
  blob_ = sound;
}

// Damage that passes the check makes a rank (which waits at the gate for ever): at most it fails
// later by itself. The spawner must live on either way.
TEST_F(Malformed, DamagedBlobs) {
  const std::string sound = blob_;
  std::mt19937 random(4321);  // fixed: a failure must come again
  for (int round = 0; round < 1500; ++round) {
    blob_ = sound;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      const size_t word = random() % (sizeof(rex_blob_header) + sizeof(rex_blob_rank)) / 4 * 4;
      const uint32_t value = random() % 2 == 0 ? static_cast<uint32_t>(random()) : random() % 400;
      std::memcpy(blob_.data() + word, &value, 4);
    }
    const auto answer = Ask(Request(), Fds());
    ASSERT_TRUE(answer.has_value()) << "it died or hangs in round " << round;
    if (answer->started == 0) continue;
    ::kill(pid_of_rank_, SIGKILL);
    ASSERT_EQ(::waitpid(pid_of_rank_, nullptr, 0), pid_of_rank_);
  }
  blob_ = sound;
}

TEST(SpawnerStart, RefusesNonsenseOptions) {
  for (const char* option :
       {"--agent-fd=", "--agent-fd=2", "--agent-fd=x", "--agent-fd=3x", "--x"}) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      const UniqueFd null_device(::open("/dev/null", O_WRONLY | O_CLOEXEC));
      ::dup2(null_device.get(), STDERR_FILENO);
      ::execl(LibexecPath("rexd-spawner").c_str(), "rexd-spawner", option, nullptr);
      ::_exit(127);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(WEXITSTATUS(status), 2) << option;
  }
}

}  // namespace
}  // namespace rex::testing
