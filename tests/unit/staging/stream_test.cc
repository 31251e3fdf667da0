#include "launcher/staging/piece_stream.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

namespace rex {
namespace {

// Two ends of a TCP connection of this machine.
class PieceStream : public ::testing::Test {
 protected:
  PieceStream() {
    ::signal(SIGPIPE, SIG_IGN);
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener.get(), plain, size), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener.get(), plain, &size), 0);
    from_.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(from_.get(), plain, size), 0);
    to_.Reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(SetNonBlocking(from_.get()) && SetNonBlocking(to_.get()));
  }
  void Receive() {
    receiver_ = std::make_unique<PieceReceiver>(
        loop_, std::move(to_),
        PieceReceiver::Handlers{[this](Record record) { records_.push_back(*record); },
                                [this](const Error& why) { gone_ = why; }});
  }
  static std::string Sealed(uint32_t piece, size_t bytes) {
    return SealPiece(TransferKey(), TransferId{}, piece,
                     std::string(bytes, static_cast<char>('a' + piece % 26)));
  }
  template <typename F>
  bool Until(F done) {
    bool late = false;
    Timer bound(loop_, [&] { late = true; });
    bound.Set(std::chrono::seconds(30));
    while (!late && !done()) loop_.RunOnce();
    return done();
  }
  // All of it, in parts of `part` bytes; the loop runs in between.
  void Write(const std::string& bytes, size_t part) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t n = ::write(from_.get(), bytes.data() + at, std::min(part, bytes.size() - at));
      if (n > 0) at += static_cast<size_t>(n);
      loop_.Post([] {});  // the round ends though nothing else is ready
      loop_.RunOnce();
    }
  }

  EventLoop loop_;
  UniqueFd from_;
  UniqueFd to_;
  std::vector<std::string> records_;
  std::optional<Error> gone_;
  std::unique_ptr<PieceReceiver> receiver_;
};

TEST_F(PieceStream, PiecesOfAllSizesComeWholeAndInOrder) {
  std::vector<std::string> expected;
  for (const size_t bytes : {kPieceBytes, kPieceBytes, 1UL, 1000UL, kPieceBytes - 1, 0UL, 7UL}) {
    expected.push_back(Sealed(static_cast<uint32_t>(expected.size()), bytes));
  }
  for (uint32_t i = 0; i < 40; ++i) expected.push_back(Sealed(100 + i, kPieceBytes));
  expected.push_back(EndRecord());
  PieceSender sender(loop_, std::move(from_), {});
  Receive();
  for (size_t i = 0; i + 1 < expected.size(); ++i) {
    sender.Send(std::make_shared<const std::string>(expected[i]));
  }
  sender.End();
  ASSERT_TRUE(Until([&] { return records_.size() == expected.size(); }));
  EXPECT_EQ(records_, expected);
  EXPECT_FALSE(gone_);
  EXPECT_EQ(sender.queued(), 0u);
}

TEST_F(PieceStream, HoweverTheyAreCut) {
  std::vector<std::string> expected;
  std::string all;
  for (uint32_t i = 0; i < 200; ++i) {
    expected.push_back(Sealed(i, i * 977 % 5000));
    all += expected.back();
  }
  expected.push_back(EndRecord());
  all += EndRecord();
  Receive();
  Write(all, 1237);
  ::shutdown(from_.get(), SHUT_WR);
  ASSERT_TRUE(Until([&] { return records_.size() == expected.size(); }));
  EXPECT_EQ(records_, expected);
}

// A piece is looked for once it is whole, and then at once.
TEST_F(PieceStream, AWholePieceIsNotWaitedWith) {
  Receive();
  const std::string piece = Sealed(1, kPieceBytes);
  for (int i = 0; i < 3; ++i) {
    Write(piece, 9000);
    ASSERT_TRUE(Until([&] { return records_.size() == static_cast<size_t>(i) + 1; }));
  }
}

TEST_F(PieceStream, WhatCameBeforeAHangUpIsToldFirst) {
  Receive();
  Write(Sealed(1, 100) + Sealed(2, 100).substr(0, 50), 1000);
  from_.Reset();
  ASSERT_TRUE(Until([&] { return gone_.has_value(); }));
  ASSERT_EQ(records_.size(), 1u);
  EXPECT_EQ(gone_->code, Errc::kClosed);
}

TEST_F(PieceStream, NonsenseEndsIt) {
  Receive();
  Write(Sealed(1, 100) + std::string(kMaxSealedBytes, '\x7f'), 100000);
  ASSERT_TRUE(Until([&] { return gone_.has_value(); }));
  EXPECT_EQ(records_.size(), 1u);
  EXPECT_EQ(gone_->code, Errc::kProtocol);
}

TEST_F(PieceStream, NothingIsReadWhileItsOwnerIsBehind) {
  Receive();
  receiver_->EnableReading(false);
  Write(Sealed(1, kPieceBytes), 100000);
  bool over = false;
  Timer soon(loop_, [&] { over = true; });
  soon.Set(std::chrono::milliseconds(1));
  ASSERT_TRUE(Until([&] { return over; }));
  EXPECT_TRUE(records_.empty());
  receiver_->EnableReading(true);
  ASSERT_TRUE(Until([&] { return records_.size() == 1; }));
}

TEST_F(PieceStream, ASenderThatIsLeftSaysSo) {
  std::optional<Error> left;
  PieceSender sender(loop_, std::move(from_), {{}, [&](const Error& why) { left = why; }});
  to_.Reset();
  ASSERT_TRUE(Until([&] { return left.has_value(); }));
  EXPECT_TRUE(sender.gone());
  sender.Send(std::make_shared<const std::string>(Sealed(1, 10)));
  EXPECT_EQ(sender.queued(), 0u);
}

}  // namespace
}  // namespace rex
