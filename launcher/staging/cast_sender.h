// The head's end of a multicast: window by window, paced, each window until every node has all of
// it or has had its chances. What is then still missing nodes ask for over the tree. Loop thread
// only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/staging/cast_burst.h"
#include "launcher/staging/cast_socket.h"
#include "launcher/staging/piece_puzzle.h"
#include "launcher/staging/piece_stream.h"

namespace rex {

class CastSender {
 public:
  struct Handlers {
    // The sealed pieces of a block, by number. False: the transfer has failed; nothing more is
    // asked.
    std::function<bool(uint64_t block, std::vector<Record>*)> seal;
    std::function<void()> on_end;  // once, from the loop: there is nothing more to send
  };
  CastSender(EventLoop& loop, const ImageCast& cast, const Geometry& geometry, UniqueFd socket,
             std::set<NodeId> nodes, Handlers handlers);
  CastSender(const CastSender&) = delete;
  CastSender& operator=(const CastSender&) = delete;

  void OnGaps(NodeId from, const ImageGaps& gaps);
  void OnNodeLost(NodeId node);
  uint64_t sent() const { return sent_; }  // bytes of datagrams

  static constexpr uint32_t kRounds = 8;  // of one window
  static constexpr int kMarks = 12;       // without an answer
  static constexpr std::chrono::milliseconds kMarkPause{60};

 private:
  struct Fragment {
    uint32_t piece = 0;
    uint16_t number = 0;
  };
  void BeginWindow();
  void OnTick();
  bool SendBurst();
  const std::string* RecordOf(uint32_t piece);
  void Mark();
  void EndRound();
  void Adapt(double loss);
  void End();

  EventLoop& loop_;
  const ImageCast cast_;
  const Geometry geometry_;
  UniqueFd socket_;
  std::set<NodeId> nodes_;
  Handlers handlers_;
  const std::vector<PiecePuzzle::Expected> pieces_;
  uint32_t window_ = 0;
  uint32_t round_ = 0;
  std::deque<Fragment> queue_;
  CastBurst burst_;
  size_t round_fragments_ = 0;
  std::map<uint32_t, Record> records_;  // of this window
  std::set<NodeId> silent_;             // have not answered this mark
  std::map<uint32_t, uint64_t> union_;  // of what they lack
  size_t worst_ = 0;                    // fragments that one node lacks
  int marks_ = 0;
  double bytes_per_second_ = 120e6;
  double budget_ = 0;
  Clock::Time last_tick_{0};
  Clock::Time round_begin_{0};
  uint64_t round_sent_ = 0;
  uint64_t sent_ = 0;
  bool ended_ = false;
  Timer tick_;
  Timer mark_;
  WriteWatcher writable_;
};

}  // namespace rex
