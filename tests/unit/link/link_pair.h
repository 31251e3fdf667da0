// Two ends of a link in one loop, over a socket pair, with everything they say written down.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "launcher/link/link.h"
#include "launcher/link/link_dialer.h"
#include "launcher/link/link_listener.h"

namespace rex::testing {

using Message = std::tuple<uint8_t, FrameClass, std::string>;

// Runs the loop until `done`; false after 20 s.
template <typename Done>
bool RunUntil(EventLoop& loop, const Done& done) {
  bool out_of_time = false;
  Timer bound(loop, [&out_of_time] { out_of_time = true; });
  bound.Set(std::chrono::seconds(20));
  while (!done()) {
    if (out_of_time) return false;
    loop.RunOnce();
  }
  return true;
}

// Rounds of the loop that wait for nothing.
inline void RunRounds(EventLoop& loop, int rounds) {
  Timer wake(loop, [] {});
  for (int i = 0; i < rounds; ++i) {
    wake.Set(Clock::Time(0));
    loop.RunOnce();
  }
}

inline LinkKey KeyOf(unsigned char byte) {
  LinkKey key;
  key.bytes.fill(byte);
  return key;
}

inline DvmId DvmOf(unsigned char byte) {
  DvmId dvm;
  dvm.bytes.fill(byte);
  return dvm;
}

// One end: its key, its link and what its handlers were told.
struct End {
  LinkKey key = KeyOf(7);
  LinkParams params;
  std::unique_ptr<Link> link;
  int ups = 0;
  int clocks = 0;
  std::vector<bool> moved;
  std::vector<bool> late;
  std::vector<Message> messages;
  std::optional<Error> closed;
  std::function<void()> on_message;

  End(LinkRole role, NodeId self, NodeId peer) {
    params.role = role;
    params.self = self;
    params.peer = peer;
    params.dvm = DvmOf(9);
    params.key = &key;
    params.version = "1.0";
    params.max_message_bytes = 64 << 20;
  }

  Link::Handlers Handlers() {
    Link::Handlers handlers;
    handlers.on_up = [this] { ++ups; };
    handlers.on_message = [this](uint8_t kind, FrameClass frame_class, std::string payload) {
      EXPECT_FALSE(closed.has_value());
      messages.emplace_back(kind, frame_class, std::move(payload));
      if (on_message) on_message();
    };
    handlers.on_moved = [this](bool tcp) { moved.push_back(tcp); };
    handlers.on_late = [this](bool is) { late.push_back(is); };
    handlers.on_clock = [this] { ++clocks; };
    handlers.on_closed = [this](const Error& error) {
      EXPECT_FALSE(closed.has_value());
      closed = error;
    };
    return handlers;
  }

  void Open(EventLoop& loop, UniqueFd in, UniqueFd out = UniqueFd()) {
    link = std::make_unique<Link>(loop, params, std::move(in), std::move(out),
                                  std::chrono::seconds(10), Handlers());
  }
  bool up() const { return ups > 0; }
};

struct LinkPair {
  EventLoop loop;
  End parent{LinkRole::kParent, NodeId{0}, NodeId{3}};
  End child{LinkRole::kChild, NodeId{3}, NodeId{0}};

  void Open() {
    auto pair = MakeStreamPair();
    ASSERT_TRUE(pair.has_value());
    parent.Open(loop, std::move(pair->first));
    child.Open(loop, std::move(pair->second));
  }
  bool Up() {
    Open();
    return Until([this] { return parent.up() && child.up(); });
  }
  // A TCP connection of the two over loopback, not adopted yet.
  struct Streams {
    std::optional<AuthenticatedStream> parent;
    std::optional<AuthenticatedStream> child;
  };
  Streams Dial() {
    Streams streams;
    auto listener = LinkListener::Open(
        loop, parent.params.self, parent.params.dvm, parent.key, parent.params.version,
        [](NodeId node, LinkStream) { return node == NodeId{3}; },
        [&streams](NodeId, LinkStream, AuthenticatedStream stream) {
          streams.parent = std::move(stream);
        });
    EXPECT_TRUE(listener.has_value());
    LinkDialer dialer(loop, child.params, {"127.0.0.1"}, (*listener)->port(),
                      std::chrono::seconds(10), [&streams](Result<AuthenticatedStream> stream) {
                        EXPECT_TRUE(stream.has_value());
                        if (stream) streams.child = std::move(*stream);
                      });
    EXPECT_TRUE(Until([&] { return streams.parent && streams.child; }));
    return streams;
  }
  void Move() {
    Streams streams = Dial();
    parent.link->AdoptTcp(std::move(*streams.parent));
    child.link->AdoptTcp(std::move(*streams.child));
    EXPECT_TRUE(Until([this] { return MovedBoth(); }));
  }
  bool MovedBoth() const { return parent.link->on_tcp() && child.link->on_tcp(); }
  template <typename Done>
  bool Until(const Done& done) {
    return RunUntil(loop, done);
  }
};

}  // namespace rex::testing
