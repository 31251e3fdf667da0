// The head's end of a job's image: learns what each node lacks, decides who gets pieces from whom,
// reads, compares and seals, sends to the first node, and sends over the tree what somebody missed.
// docs/design/image.md, "Order". Loop thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/image/image_messages.h"
#include "launcher/staging/cast_sender.h"
#include "launcher/staging/follower_port.h"
#include "launcher/staging/piece_stream.h"

namespace rex {

enum class Creation : uint8_t { kGroup, kMultiple };
enum class Transport : uint8_t { kAuto, kTree, kMulticast };

// From so many nodes on, kAuto looks whether the network carries multicast: below, what the chain
// costs more than that is less than what the look costs when it does not.
inline constexpr size_t kAutoCastNodes = 64;

// Blocks of the head's files, each compared with its digest when it is read.
class ImageReader {
 public:
  explicit ImageReader(std::shared_ptr<const Image> image);
  // Errors: kInvalid: the file is not as it was; as open(2), read(2). All name it.
  Result<std::string> Read(uint64_t block);

 private:
  std::shared_ptr<const Image> image_;
  const Geometry geometry_;
  std::optional<uint32_t> open_file_;
  UniqueFd fd_;
};

class ImageSource {
 public:
  struct Handlers {
    std::function<const std::string&(NodeId)> name_of;
    // The launch can't go on. From the loop, never from inside a call of the owner's.
    std::function<void(NodeId at, const ImageFailed&)> on_failed;
    std::function<void(const std::string&)> on_notice;  // a line for the user
  };
  // `image`: with at least one file.
  ImageSource(EventLoop& loop, ImagePort port, std::shared_ptr<const Image> image,
              Creation creation, Transport transport, Handlers handlers);
  ImageSource(const ImageSource&) = delete;
  ImageSource& operator=(const ImageSource&) = delete;
  ~ImageSource() { *alive_ = false; }

  // LAUNCH with the image goes to these nodes now.
  void Begin(uint64_t job, const std::vector<NodeId>& nodes);
  // kFirstImageKind to kLastImageKind. Errors: kProtocol.
  Status OnMessage(NodeId from, uint8_t kind, const std::string& payload);
  void OnNodesLost(const std::vector<NodeId>& nodes);
  bool Knows(const TransferId& id) const { return transfers_.contains(id); }

  // For the timeline: "3 files, …"; begin and end of all of it. No end yet: not all nodes are done.
  struct Account {
    Clock::Time begin{0};
    Clock::Time end{0};
    std::string note;
  };
  Account account() const;

  // From joining a group to the probes, and from these to giving it up.
  static constexpr std::chrono::milliseconds kProbeBound{1000};
  static constexpr std::chrono::milliseconds kProbePause{100};

 private:
  // One sealed stream: to one node, or by it to all.
  struct Transfer {
    TransferId id{};
    TransferKey key;
    BlockSet coming;
    uint64_t next_block = 0;
    NodeId first{};
    std::unique_ptr<PieceSender> sender;
    bool ended = false;
  };
  struct Repair {
    NodeId node{};
    TransferId transfer{};
    uint64_t block = 0;
  };

  Status OnNeed(NodeId from, const std::string& payload);
  Status OnRepair(NodeId from, const std::string& payload);
  Status OnDone(NodeId from, const std::string& payload);
  void RouteWhenAllAnswered();
  void Route();
  // Multicast: everybody joins, hears a probe through one interface, and is sent to through that.
  bool WantsCast() const;
  void BeginCast();
  Status OnHeard(NodeId from, const std::string& payload);
  void SendProbes();
  void OnProbesOver();
  void StartCast(uint32_t probe);
  void GiveUpCast(const std::string& why);
  Transfer& NewTransfer(const BlockSet& coming);
  void SendRoute(const Transfer& transfer, NodeId to, NodeId source,
                 const std::vector<NodeId>& followers);
  bool OnFollower(const TransferId& id, NodeId node, UniqueFd& socket);
  void Pump(Transfer* transfer);
  bool SealBlock(const Transfer& transfer, uint64_t block, std::vector<Record>* records);
  void PumpRepairs();
  Transfer* Find(const TransferId& id);
  void Fail(NodeId at, ImageFailed failed);

  EventLoop& loop_;
  const ImagePort port_;
  const std::shared_ptr<const Image> image_;
  const Geometry geometry_;
  const Creation creation_;
  const Transport transport_;
  Handlers handlers_;
  ImageReader reader_;
  FollowerPort follower_port_;
  uint64_t job_ = 0;
  std::set<NodeId> unanswered_;
  std::map<NodeId, ImageNeed> needs_;  // of those that want something
  std::map<NodeId, TransferId> routed_;
  std::set<NodeId> awaited_;  // nodes that have not all yet
  std::map<TransferId, std::unique_ptr<Transfer>> transfers_;
  std::deque<Repair> repairs_;
  Timer repair_timer_;
  ImageCast cast_;                    // job 0: none
  std::vector<UniqueFd> probes_;      // a socket for each interface
  std::map<NodeId, uint64_t> heard_;  // bit 0: joined; bit i: probe i
  std::unique_ptr<CastSender> caster_;
  bool probing_ = false;
  int probe_rounds_ = 0;
  Timer probe_timer_;
  bool failed_ = false;
  bool routed_all_ = false;
  unsigned fan_out_ = 1;
  Clock::Time begin_{0};
  Clock::Time end_{0};
  uint64_t sent_direct_ = 0;
  uint64_t sent_by_tree_ = 0;
  uint64_t received_ = 0;  // by all nodes, as they said
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rex
