// The image of one job: made in a thread before the job is placed, sent by an ImageSource once its
// nodes are told to launch. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/base/phase.h"
#include "launcher/image/image_maker.h"
#include "launcher/staging/image_source.h"
#include "launcher/wire/messages.h"

namespace rex {

// Where the job's images are kept.
StoreOptions StoreOf(const StageSpec& stage);

// Whether a job's programs may have to be sent to somebody.
// `elsewhere`: on other nodes than the head's.
bool MayStage(const JobSpec& spec, bool elsewhere);

class HeadImage {
 public:
  // From the loop: `on_made` once the image is made; `on_failed` if it can't be, or later: the job
  // can't go on.
  HeadImage(EventLoop& loop, const JobSpec& spec, std::function<void()> on_made,
            std::function<void(const Failure&)> on_failed);
  HeadImage(const HeadImage&) = delete;
  HeadImage& operator=(const HeadImage&) = delete;
  ~HeadImage() { *alive_ = false; }

  // For LaunchPart; empty: there is nothing to send. Once it is made.
  const std::string& wire() const { return wire_; }
  // LaunchPart goes to `nodes` (without the head's own) now. `ranks`: how many each has.
  void Launch(uint32_t job, const std::vector<NodeId>& nodes, const std::vector<uint32_t>& ranks,
              ImagePort port, std::function<const std::string&(NodeId)> name_of,
              std::function<void(const Notice&)> on_notice);
  // `key`: ImageKeyOf the message. Errors: kProtocol.
  Status OnMessage(NodeId from, uint64_t key, uint8_t kind, const std::string& payload);
  void OnNodesLost(const std::vector<NodeId>& nodes);
  bool Knows(const TransferId& id) const;

  // "closure" and "image", as far as they have begun.
  std::vector<Phase> Phases(const std::string& node) const;

 private:
  void OnMade(Result<MadeImage> made);
  void AddSource(uint64_t key, NodeId at, const std::vector<NodeId>& nodes, const ImagePort& port);
  void OnSourceFailed(NodeId at, const ImageFailed& failed);

  EventLoop& loop_;
  const StageSpec stage_;
  const std::string program_;  // the first app's, as typed: for failures
  std::function<void()> on_made_;
  std::function<void(const Failure&)> on_failed_;
  std::function<const std::string&(NodeId)> name_of_;
  std::function<void(const Notice&)> on_notice_;
  Clock::Time begin_;
  Clock::Time made_at_{0};
  std::shared_ptr<const Image> image_;
  std::string wire_;
  std::vector<Notice> notes_;  // for the user, once it is sent
  size_t plug_ins_ = 0;        // that were seen in earlier runs, among the files
  // One, for all nodes; with --creation=single one for each rank of a node, by ImageKey.
  std::map<std::pair<uint64_t, NodeId>, std::unique_ptr<ImageSource>> sources_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rex
