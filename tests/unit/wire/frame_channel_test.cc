#include "launcher/base/frame_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <tuple>
#include <vector>

namespace rex {
namespace {

using Message = std::tuple<uint8_t, FrameClass, std::string>;

std::string Frame(const FrameHeader& header, std::string_view payload) {
  const auto bytes = EncodeFrameHeader(header);
  return std::string(bytes.data(), bytes.size()) + std::string(payload);
}

std::string Frame(uint8_t kind, FrameClass frame_class, std::string_view payload,
                  bool more = false) {
  return Frame({static_cast<uint32_t>(payload.size()), kind, frame_class, more}, payload);
}

struct FeedResult {
  std::vector<Message> messages;
  std::string error;  // "" when there was none
};

FeedResult FeedInPieces(std::string_view bytes, size_t piece, size_t max_bytes = 1 << 20) {
  FrameReader reader(max_bytes);
  FeedResult out;
  const bool go = true;
  const auto take = [&out](uint8_t kind, FrameClass c, std::string payload) {
    out.messages.emplace_back(kind, c, std::move(payload));
  };
  while (!bytes.empty()) {
    const size_t n = std::min(piece, bytes.size());
    if (const Status fed = reader.Feed(bytes.substr(0, n), take, go); !fed) {
      EXPECT_EQ(fed.error().code, Errc::kProtocol);
      out.error = fed.error().text;
      return out;
    }
    bytes.remove_prefix(n);
  }
  return out;
}

TEST(FrameHeader, GoldenBytes) {
  const auto bytes = EncodeFrameHeader({0x0102, 0x10, FrameClass::kStdio, true});
  EXPECT_EQ(std::string(bytes.data(), bytes.size()),
            std::string("\x02\x01\x00\x00\x10\x02\x01\x00", 8));
}

TEST(FrameHeader, RoundTrip) {
  for (const uint32_t size : {0u, 1u, static_cast<uint32_t>(kMaxFrameBytes)}) {
    for (const FrameClass c :
         {FrameClass::kControl, FrameClass::kData, FrameClass::kStdio, FrameClass::kImage}) {
      const auto bytes = EncodeFrameHeader({size, 255, c, false});
      const auto back = DecodeFrameHeader({bytes.data(), bytes.size()});
      ASSERT_TRUE(back);
      EXPECT_EQ(back->bytes, size);
      EXPECT_EQ(back->kind, 255);
      EXPECT_EQ(back->frame_class, c);
      EXPECT_FALSE(back->more);
    }
  }
}

TEST(FrameHeader, EveryBadFieldIsRefused) {
  const auto refused = [](size_t at, char value) {
    auto bytes = EncodeFrameHeader({0, 1, FrameClass::kControl, false});
    bytes[at] = value;
    return !DecodeFrameHeader({bytes.data(), bytes.size()});
  };
  EXPECT_TRUE(refused(3, 1));   // 16 MiB
  EXPECT_TRUE(refused(2, 2));   // 128 KiB
  EXPECT_FALSE(refused(2, 1));  // 64 KiB
  EXPECT_TRUE(refused(5, 4));
  EXPECT_TRUE(refused(6, 2));
  EXPECT_TRUE(refused(6, char(0x80)));
  EXPECT_FALSE(refused(6, 1));
  EXPECT_TRUE(refused(7, 1));
}

TEST(FrameReader, PiecesOfAnySizeGiveTheSameMessages) {
  const std::string bytes =
      Frame(1, FrameClass::kControl, "hello") + Frame(2, FrameClass::kStdio, "") +
      Frame(3, FrameClass::kStdio, "part one, ", true) + Frame(4, FrameClass::kControl, "urgent") +
      Frame(3, FrameClass::kStdio, "part two");
  const std::vector<Message> expected = {{1, FrameClass::kControl, "hello"},
                                         {2, FrameClass::kStdio, ""},
                                         {4, FrameClass::kControl, "urgent"},
                                         {3, FrameClass::kStdio, "part one, part two"}};
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    const FeedResult fed = FeedInPieces(bytes, piece);
    EXPECT_EQ(fed.error, "");
    EXPECT_EQ(fed.messages, expected) << "pieces of " << piece;
  }
}

TEST(FrameReader, ATruncatedStreamGivesOnlyWholeMessages) {
  const std::string one = Frame(1, FrameClass::kControl, "hello");
  const std::string bytes = one + Frame(2, FrameClass::kControl, "world");
  for (size_t n = 0; n < bytes.size(); ++n) {
    const FeedResult fed = FeedInPieces(std::string_view(bytes).substr(0, n), 3);
    EXPECT_EQ(fed.error, "");
    EXPECT_EQ(fed.messages.size(), n < one.size() ? 0u : 1u);
  }
}

TEST(FrameReader, RefusesMessagesAboveTheBound) {
  const std::string part(600, 'x');
  const std::string bytes = Frame(1, FrameClass::kControl, part, true);
  EXPECT_EQ(FeedInPieces(bytes + Frame(1, FrameClass::kControl, part), 64, 1000).error,
            "message larger than 1000 bytes");
  EXPECT_EQ(FeedInPieces(bytes + Frame(1, FrameClass::kControl, part), 64, 1200).error, "");
  // Each class has its own unfinished message and its own bound.
  EXPECT_EQ(FeedInPieces(bytes + Frame(1, FrameClass::kStdio, part), 64, 1000).error, "");
}

TEST(FrameReader, RefusesAMessageThatBreaksOff) {
  EXPECT_EQ(FeedInPieces(
                Frame(1, FrameClass::kControl, "a", true) + Frame(2, FrameClass::kControl, "b"), 64)
                .error,
            "a message was broken off");
}

TEST(FrameReader, RefusesBadHeaders) {
  std::string bad = Frame(1, FrameClass::kControl, "a");
  bad[5] = 9;
  EXPECT_EQ(FeedInPieces(bad, 64).error, "unknown frame class");
}

TEST(FrameReader, StopsBetweenMessagesWhenTold) {
  FrameReader reader(1000);
  bool go = true;
  int seen = 0;
  const std::string two = Frame(1, FrameClass::kControl, "a") + Frame(2, FrameClass::kControl, "b");
  const Status fed = reader.Feed(
      two,
      [&](uint8_t, FrameClass, const std::string&) {
        ++seen;
        go = false;
      },
      go);
  EXPECT_TRUE(fed);
  EXPECT_EQ(seen, 1);
}

// Two channels over a socket pair on one loop.
class FrameChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    auto pair = MakeStreamPair();
    ASSERT_TRUE(pair);
    ours_ = std::move(pair->first);
    theirs_ = std::move(pair->second);
  }
  FrameChannel::Handlers Record() {
    return {.on_message =
                [this](uint8_t kind, FrameClass c, std::string payload) {
                  received_.emplace_back(kind, c, std::move(payload));
                },
            .on_closed = [this](const Error& error) { closed_.push_back(error.code); }};
  }
  static FrameChannel::Handlers Ignore() {
    return {.on_message = [](uint8_t, FrameClass, const std::string&) {},
            .on_closed = [](const Error&) {}};
  }
  template <typename Condition>
  void RunUntil(Condition condition) {
    for (int i = 0; i < 10000 && !condition(); ++i) loop_.RunOnce();
    ASSERT_TRUE(condition());
  }

  EventLoop loop_;
  UniqueFd ours_;
  UniqueFd theirs_;
  std::vector<Message> received_;
  std::vector<Errc> closed_;
};

TEST_F(FrameChannelTest, CarriesMessagesOfAnySize) {
  FrameChannel sender(loop_, std::move(ours_), 1 << 10, Ignore());
  FrameChannel receiver(loop_, std::move(theirs_), 8 << 20, Record());
  std::vector<Message> sent;
  for (const size_t size : {size_t{0}, size_t{1}, kMaxFrameBytes - 1, kMaxFrameBytes,
                            kMaxFrameBytes + 1, size_t{5} << 20}) {
    std::string payload(size, 'x');
    if (size > 0) payload.back() = 'y';
    sent.emplace_back(7, FrameClass::kStdio, payload);
    sender.Send(7, FrameClass::kStdio, std::move(payload));
  }
  RunUntil([&] { return received_.size() == sent.size(); });
  EXPECT_EQ(received_, sent);
  EXPECT_EQ(sender.QueuedBytes(), 0u);
}

TEST_F(FrameChannelTest, UrgentMessagesOvertakeLargeOnes) {
  FrameChannel sender(loop_, std::move(ours_), 1 << 10, Ignore());
  FrameChannel receiver(loop_, std::move(theirs_), 64 << 20, Record());
  sender.Send(1, FrameClass::kStdio, std::string(32 << 20, 'x'));
  sender.Send(2, FrameClass::kControl, "now");
  RunUntil([&] { return received_.size() == 2; });
  EXPECT_EQ(std::get<0>(received_[0]), 2);
}

TEST_F(FrameChannelTest, ReportsTheEndOnceAfterWhatWasSent) {
  FrameChannel receiver(loop_, std::move(theirs_), 1 << 10, Record());
  {
    FrameChannel sender(loop_, std::move(ours_), 1 << 10, Ignore());
    sender.Send(1, FrameClass::kControl, "last words");
  }
  RunUntil([&] { return !closed_.empty(); });
  EXPECT_EQ(received_, (std::vector<Message>{{1, FrameClass::kControl, "last words"}}));
  EXPECT_EQ(closed_, std::vector<Errc>{Errc::kClosed});
  EXPECT_TRUE(receiver.closed());
}

TEST_F(FrameChannelTest, NonsenseCostsTheConnection) {
  FrameChannel receiver(loop_, std::move(theirs_), 1 << 10, Record());
  ASSERT_TRUE(WriteAll(ours_.get(), "GET / HTTP/1.1\r\n\r\n"));
  RunUntil([&] { return !closed_.empty(); });
  EXPECT_EQ(closed_, std::vector<Errc>{Errc::kProtocol});
  receiver.Send(1, FrameClass::kControl, "no effect");
  EXPECT_EQ(receiver.QueuedBytes(), 0u);
}

TEST_F(FrameChannelTest, AHandlerMayDestroyTheChannel) {
  std::unique_ptr<FrameChannel> receiver;
  int seen = 0;
  receiver = std::make_unique<FrameChannel>(
      loop_, std::move(theirs_), 1 << 10,
      FrameChannel::Handlers{.on_message =
                                 [&](uint8_t, FrameClass, const std::string&) {
                                   ++seen;
                                   receiver.reset();
                                 },
                             .on_closed = [](const Error&) { FAIL(); }});
  const std::string frame = Frame(1, FrameClass::kControl, "a");
  ASSERT_TRUE(WriteAll(ours_.get(), frame + frame));
  RunUntil([&] { return seen > 0; });
  EXPECT_EQ(seen, 1);
  EXPECT_FALSE(receiver);
}

TEST_F(FrameChannelTest, MessagesForLaterGoWithTheNextOne) {
  FrameChannel sender(loop_, std::move(ours_), 1 << 10, Ignore());
  const auto arrived = [&] {
    std::string bytes(1 << 10, '\0');
    const ssize_t n = ::recv(theirs_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return bytes.substr(0, n < 0 ? 0 : static_cast<size_t>(n));
  };
  const std::string a = Frame(1, FrameClass::kControl, "a");
  sender.SendLater(1, FrameClass::kControl, "a");
  EXPECT_EQ(arrived(), "");
  sender.Send(1, FrameClass::kControl, "b");
  EXPECT_EQ(arrived(), a + Frame(1, FrameClass::kControl, "b")) << "in one write";
  sender.SendLater(1, FrameClass::kControl, "a");
  sender.Push();
  EXPECT_EQ(arrived(), a);
}

TEST_F(FrameChannelTest, FlushIsBoundedWhenThePeerDoesNotRead) {
  FrameChannel sender(loop_, std::move(ours_), 1 << 10, Ignore());
  sender.Send(1, FrameClass::kStdio, std::string(4 << 20, 'x'));
  sender.Flush(std::chrono::milliseconds(20));
  EXPECT_GT(sender.QueuedBytes(), 0u);
}

TEST_F(FrameChannelTest, PausedReadingLeavesMessagesWithTheSender) {
  FrameChannel receiver(loop_, std::move(theirs_), 1 << 10, Record());
  receiver.EnableReading(false);
  ASSERT_TRUE(WriteAll(ours_.get(), Frame(1, FrameClass::kControl, "a")));
  bool posted = false;
  loop_.Post([&] { posted = true; });
  RunUntil([&] { return posted; });
  EXPECT_TRUE(received_.empty());
  receiver.EnableReading(true);
  RunUntil([&] { return !received_.empty(); });
}

// ---- descriptors

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

ino_t FileOf(int fd) {
  struct stat file {};
  return ::fstat(fd, &file) == 0 ? file.st_ino : 0;
}

class FrameChannelFdTest : public FrameChannelTest {
 protected:
  // A receiver that takes one descriptor with each message of `kind`.
  FrameChannel::Handlers TakeWith(uint8_t kind) {
    return {.on_message =
                [this, kind](uint8_t of, FrameClass c, std::string payload) {
                  received_.emplace_back(of, c, std::move(payload));
                  if (of != kind) return;
                  UniqueFd fd = receiver_->TakeFd();
                  EXPECT_TRUE(fd) << "it comes later than message " << received_.size();
                  if (!fd) return;
                  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
                  files_.push_back(FileOf(fd.get()));
                },
            .on_closed = [this](const Error& error) { closed_.push_back(error.code); }};
  }
  // A descriptor whose file nobody else has; which one is written down.
  UniqueFd NewFile() {
    auto pipe = MakePipe();
    EXPECT_TRUE(pipe);
    sent_.push_back(FileOf(pipe->first.get()));
    return std::move(pipe->first);
  }
  std::unique_ptr<FrameChannel> receiver_;
  std::vector<ino_t> sent_;
  std::vector<ino_t> files_;
};

TEST_F(FrameChannelFdTest, OneOfABurstIsThereWithEachMessage) {
  constexpr size_t kMany = 20;
  const size_t before = OpenDescriptors();
  {
    FrameChannel sender(loop_, std::move(ours_), 1 << 10, Ignore());
    receiver_ = std::make_unique<FrameChannel>(loop_, std::move(theirs_), 1 << 20, TakeWith(1));
    receiver_->AllowFds();
    for (size_t i = 0; i < kMany; ++i) {
      sender.Send(2, FrameClass::kControl, "without");
      sender.SendWithFd(1, FrameClass::kControl, std::string(i * 100, 'x'), NewFile());
      sender.SendLater(2, FrameClass::kData, "without");
    }
    sender.Push();
    RunUntil([&] { return received_.size() == 3 * kMany; });
    EXPECT_EQ(files_, sent_);
    EXPECT_FALSE(receiver_->TakeFd()) << "one too many";
    receiver_.reset();
  }
  EXPECT_EQ(OpenDescriptors(), before - 2) << "the two ends of the socket are closed, no more";
}

TEST_F(FrameChannelFdTest, BehindAMessageThatTheKernelDoesNotTakeAtOnce) {
  FrameChannel sender(loop_, std::move(ours_), 1 << 10, Ignore());
  receiver_ = std::make_unique<FrameChannel>(loop_, std::move(theirs_), 64 << 20, TakeWith(1));
  receiver_->AllowFds();
  sender.Send(2, FrameClass::kData, std::string(16 << 20, 'x'));
  EXPECT_GT(sender.QueuedBytes(), 0U);
  sender.SendWithFd(1, FrameClass::kData, "behind it", NewFile());
  sender.SendWithFd(1, FrameClass::kData, std::string(3 << 20, 'y'), NewFile());
  sender.SendWithFd(1, FrameClass::kData, "last", NewFile());
  sender.Send(2, FrameClass::kControl, "before all");
  RunUntil([&] { return received_.size() == 5; });
  EXPECT_EQ(std::get<2>(received_[0]), "before all");
  EXPECT_EQ(std::get<2>(received_[1]).size(), size_t{16} << 20);
  EXPECT_EQ(std::get<2>(received_[3]).size(), size_t{3} << 20);
  EXPECT_EQ(files_, sent_);
}

TEST_F(FrameChannelFdTest, AnUrgentOneOvertakesALargeMessage) {
  FrameChannel sender(loop_, std::move(ours_), 1 << 10, Ignore());
  receiver_ = std::make_unique<FrameChannel>(loop_, std::move(theirs_), 64 << 20, TakeWith(1));
  receiver_->AllowFds();
  sender.Send(2, FrameClass::kData, std::string(16 << 20, 'x'));
  sender.SendWithFd(1, FrameClass::kControl, "now", NewFile());
  RunUntil([&] { return received_.size() == 2; });
  EXPECT_EQ(std::get<2>(received_[0]), "now");
  EXPECT_EQ(files_, sent_);
}

TEST_F(FrameChannelFdTest, WhoDoesNotAllowThemGetsNone) {
  FrameChannel sender(loop_, std::move(ours_), 1 << 10, Ignore());
  FrameChannel receiver(loop_, std::move(theirs_), 1 << 20, Record());
  const size_t before = OpenDescriptors();
  for (int i = 0; i < 5; ++i) sender.SendWithFd(1, FrameClass::kControl, "a", NewFile());
  RunUntil([&] { return received_.size() == 5; });
  EXPECT_EQ(OpenDescriptors(), before);
  EXPECT_FALSE(receiver.TakeFd());
}

TEST_F(FrameChannelFdTest, OfThoseThatNobodyTakesFourAreKept) {
  FrameChannel sender(loop_, std::move(ours_), 1 << 10, Ignore());
  FrameChannel receiver(loop_, std::move(theirs_), 1 << 20, Record());
  receiver.AllowFds();
  const size_t before = OpenDescriptors();
  for (int i = 0; i < 7; ++i) sender.SendWithFd(1, FrameClass::kControl, "a", NewFile());
  RunUntil([&] { return received_.size() == 7; });
  EXPECT_EQ(OpenDescriptors(), before + 4);
  for (size_t i = 0; i < 4; ++i) {
    const UniqueFd fd = receiver.TakeFd();
    ASSERT_TRUE(fd);
    EXPECT_EQ(FileOf(fd.get()), sent_[i]) << "those that came first";
  }
  EXPECT_FALSE(receiver.TakeFd());
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(FrameChannelFdTest, WhatCannotBeSentAnyMoreIsClosed) {
  const size_t before = OpenDescriptors();
  {
    FrameChannel sender(loop_, std::move(ours_), 1 << 10, Record());
    sender.Send(1, FrameClass::kData, std::string(16 << 20, 'x'));
    sender.SendWithFd(1, FrameClass::kData, "behind it", NewFile());
    EXPECT_EQ(OpenDescriptors(), before + 1);
    theirs_.Reset();
    RunUntil([&] { return !closed_.empty(); });
    sender.SendWithFd(1, FrameClass::kData, "too late", NewFile());
  }
  EXPECT_EQ(OpenDescriptors(), before - 2);
}

}  // namespace
}  // namespace rex
