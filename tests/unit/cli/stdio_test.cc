// OutputSink and StdinSource on pipes: order, credit, stalled and vanished readers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <climits>
#include <filesystem>

#include "launcher/base/fd.h"
#include "launcher/cli/console.h"
#include "launcher/cli/output_sink.h"
#include "launcher/cli/stdin_source.h"

namespace rex {
namespace {

constexpr OutputStream kOut = OutputStream::kStdout;
constexpr OutputStream kErr = OutputStream::kStderr;

class StdioTest : public testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    pipe_ = std::move(*MakePipe());
    other_ = std::move(*MakePipe());
  }
  OutputSink::Handlers Record() {
    return {
        .on_written = [this](size_t credit) { credit_ += credit; },
        .on_lost = [this](OutputStream stream, int err) { lost_.emplace_back(stream, err); },
        .on_dropped = [this](OutputStream stream, int err) { dropped_.emplace_back(stream, err); },
        .on_idle = [this] { ++idle_; }};
  }
  template <typename Condition>
  void RunUntil(Condition condition) {
    for (int i = 0; i < 100000 && !condition(); ++i) loop_.RunOnce();
    ASSERT_TRUE(condition());
  }
  // What is in the pipe now; `fd` must have data or be at its end.
  static std::string ReadUpTo(int fd, size_t most) {
    std::string bytes(most, '\0');
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return bytes;
  }

  EventLoop loop_;
  FdPair pipe_;
  FdPair other_;
  size_t credit_ = 0;
  int idle_ = 0;
  std::vector<std::pair<OutputStream, int>> lost_;
  std::vector<std::pair<OutputStream, int>> dropped_;
};

TEST_F(StdioTest, SinkWritesInOrderAndGivesCreditBack) {
  OutputSink sink(loop_, pipe_.second.get(), other_.second.get(), Record());
  sink.Write(kOut, "one ", 4);
  sink.Write(kOut, "two", 3);
  sink.Write(kErr, "three", 0);
  EXPECT_FALSE(sink.idle());
  RunUntil([&] { return sink.idle(); });
  EXPECT_EQ(credit_, 7u);
  EXPECT_GE(idle_, 1);
  EXPECT_EQ(ReadUpTo(pipe_.first.get(), 100), "one two");
  EXPECT_EQ(ReadUpTo(other_.first.get(), 100), "three");
}

TEST_F(StdioTest, SinkKeepsTheOrderOfTwoStreamsIntoOneFile) {
  OutputSink sink(loop_, pipe_.second.get(), pipe_.second.get(), Record());
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    const std::string line = std::to_string(i) + "\n";
    sink.Write(i % 2 == 0 ? kOut : kErr, line, line.size());
    expected += line;
  }
  RunUntil([&] { return sink.idle(); });
  EXPECT_EQ(ReadUpTo(pipe_.first.get(), 65536), expected);
  EXPECT_EQ(credit_, expected.size());
}

TEST_F(StdioTest, AStalledReaderDoesNotStopTheLoopAndLosesNothing) {
  OutputSink sink(loop_, pipe_.second.get(), other_.second.get(), Record());
  const size_t total = 300 << 10;  // more than a pipe holds
  sink.Write(kOut, std::string(total, 'x'), total);
  bool posted = false;
  loop_.Post([&] { posted = true; });
  RunUntil([&] { return posted; });
  sink.Write(kErr, "still here", 0);
  EXPECT_EQ(ReadUpTo(other_.first.get(), 100), "still here");
  EXPECT_FALSE(sink.idle());
  size_t read = 0;
  while (read < total) read += ReadUpTo(pipe_.first.get(), 65536).size();
  RunUntil([&] { return sink.idle(); });
  EXPECT_EQ(read, total);
  EXPECT_EQ(credit_, total);
}

TEST_F(StdioTest, AVanishedReaderIsReportedOnceAndCreditGoesOn) {
  pipe_.first.Reset();
  OutputSink sink(loop_, pipe_.second.get(), other_.second.get(), Record());
  sink.Write(kOut, "a", 1);
  RunUntil([&] { return sink.idle(); });
  sink.Write(kOut, "bc", 2);
  sink.Write(kErr, "d", 1);
  RunUntil([&] { return sink.idle(); });
  EXPECT_EQ(lost_, (std::vector<std::pair<OutputStream, int>>{{kOut, EPIPE}}));
  EXPECT_EQ(dropped_, lost_);
  EXPECT_EQ(credit_, 4u);
  EXPECT_EQ(ReadUpTo(other_.first.get(), 10), "d");
}

TEST_F(StdioTest, BytesWithoutCreditAreLostInSilence) {
  other_.first.Reset();
  OutputSink sink(loop_, pipe_.second.get(), other_.second.get(), Record());
  sink.Write(kErr, "a line of rexlaunch", 0);
  RunUntil([&] { return sink.idle(); });
  sink.Write(kErr, "another", 0);
  EXPECT_EQ(lost_, (std::vector<std::pair<OutputStream, int>>{{kErr, EPIPE}}));
  EXPECT_TRUE(dropped_.empty());
  sink.Write(kErr, "output", 6);
  EXPECT_EQ(dropped_, lost_);
  EXPECT_EQ(credit_, 6u);
}

TEST_F(StdioTest, SinkCopesWithADescriptorThatSomebodyMadeNonBlocking) {
  ASSERT_TRUE(SetNonBlocking(pipe_.second.get()));
  OutputSink sink(loop_, pipe_.second.get(), other_.second.get(), Record());
  const size_t total = 300 << 10;
  sink.Write(kOut, std::string(total, 'x'), total);
  size_t read = 0;
  while (read < total) read += ReadUpTo(pipe_.first.get(), 65536).size();
  RunUntil([&] { return sink.idle(); });
  EXPECT_TRUE(lost_.empty());
}

TEST_F(StdioTest, AFullDiskIsReported) {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full);
  OutputSink sink(loop_, full.get(), other_.second.get(), Record());
  sink.Write(kOut, "a", 1);
  RunUntil([&] { return sink.idle(); });
  EXPECT_EQ(lost_, (std::vector<std::pair<OutputStream, int>>{{kOut, ENOSPC}}));
}

TEST_F(StdioTest, StdinIsReadWithinCreditAndToItsEnd) {
  std::string got;
  bool ended = false;
  StdinSource source(
      loop_, pipe_.first.get(),
      {.on_bytes = [&](std::string bytes) { got += bytes; }, .on_end = [&] { ended = true; }});
  ASSERT_TRUE(WriteAll(pipe_.second.get(), "0123456789"));
  EXPECT_TRUE(source.AddCredit(4));
  RunUntil([&] { return got.size() >= 4; });
  EXPECT_EQ(got, "0123");
  EXPECT_EQ(ReadUpTo(pipe_.first.get(), 2), "45");  // not taken without credit
  EXPECT_TRUE(source.AddCredit(100));
  RunUntil([&] { return got.size() >= 8; });
  EXPECT_EQ(got, "01236789");
  pipe_.second.Reset();
  RunUntil([&] { return ended; });
}

TEST_F(StdioTest, StdinFromAFileAndFromNothing) {
  for (const auto& [path, expected] :
       {std::pair<const char*, size_t>{"/proc/self/exe", 100000}, {"/dev/null", 0}}) {
    const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(file);
    size_t got = 0;
    size_t largest = 0;
    bool ended = false;
    StdinSource source(loop_, file.get(),
                       {.on_bytes =
                            [&](const std::string& bytes) {
                              got += bytes.size();
                              largest = std::max(largest, bytes.size());
                            },
                        .on_end = [&] { ended = true; }});
    EXPECT_TRUE(source.AddCredit(1 << 30));
    RunUntil([&] { return ended; });
    EXPECT_GE(got, expected);
    EXPECT_LE(largest, kMaxStdioPayloadBytes);
  }
}

size_t CountThreads() {
  size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    count += task.exists() ? 1 : 0;
  }
  return count;
}

TEST_F(StdioTest, StdinAtItsEndTakesNoThread) {
  const size_t before = CountThreads();
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  int ended = 0;
  StdinSource source(loop_, nothing.get(),
                     {.on_bytes = [](const std::string&) { FAIL(); }, .on_end = [&] { ++ended; }});
  EXPECT_TRUE(source.AddCredit(100));
  EXPECT_TRUE(source.AddCredit(100));
  EXPECT_EQ(CountThreads(), before);
  bool posted = false;
  loop_.Post([&] { posted = true; });
  RunUntil([&] { return posted; });
  EXPECT_EQ(ended, 1);
}

// Runs `f` with `fd` as the standard error output.
template <typename F>
void WithStderr(int fd, F f) {
  const UniqueFd saved(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  ASSERT_TRUE(saved);
  ASSERT_EQ(::dup2(fd, STDERR_FILENO), STDERR_FILENO);
  f();
  ASSERT_EQ(::dup2(saved.get(), STDERR_FILENO), STDERR_FILENO);
}

TEST_F(StdioTest, ALineIsSaidAtOnceOnlyWhereNobodyHasToBeWaitedFor) {
  WithStderr(pipe_.second.get(), [] { EXPECT_TRUE(SaidAtOnce("first")); });
  EXPECT_EQ(ReadUpTo(pipe_.first.get(), 100), "rexlaunch: first\n");
  WithStderr(pipe_.second.get(), [] { EXPECT_FALSE(SaidAtOnce(std::string(PIPE_BUF, 'x'))); });
  ASSERT_TRUE(SetNonBlocking(pipe_.second.get()));
  while (::write(pipe_.second.get(), "filling", 7) > 0) {
  }
  WithStderr(pipe_.second.get(), [] { EXPECT_FALSE(SaidAtOnce("stalled")); });
  other_.first.Reset();
  WithStderr(other_.second.get(), [] { EXPECT_FALSE(SaidAtOnce("nobody reads")); });
}

TEST_F(StdioTest, UnreadableStdinIsAtItsEnd) {
  bool ended = false;
  StdinSource source(
      loop_, pipe_.second.get(),
      {.on_bytes = [](const std::string&) { FAIL(); }, .on_end = [&] { ended = true; }});
  EXPECT_TRUE(source.AddCredit(1));
  RunUntil([&] { return ended; });
}

TEST_F(StdioTest, NothingComesAfterTheSourceIsGone) {
  const int fd = pipe_.first.Release();  // stays open: the thread may still read it
  auto source = std::make_unique<StdinSource>(
      loop_, fd,
      StdinSource::Handlers{.on_bytes = [](const std::string&) { FAIL(); },
                            .on_end = [] { FAIL(); }});
  EXPECT_TRUE(source->AddCredit(1));
  source.reset();
  ASSERT_TRUE(WriteAll(pipe_.second.get(), "late"));
  bool posted = false;
  loop_.Post([&] { posted = true; });
  RunUntil([&] { return posted; });
}

}  // namespace
}  // namespace rex
