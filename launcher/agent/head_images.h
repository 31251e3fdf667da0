// The images of all jobs of a DVM at its head, from a job's beginning to its end. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launcher/agent/dvm.h"
#include "launcher/agent/head_image.h"
#include "launcher/part/part_messages.h"

namespace rex {

class HeadImages {
 public:
  // All are set. A job's own: none is called inside a call of the owner's that names this job.
  struct Handlers {
    std::function<void(JobNumber, const Failure&)> on_failed;  // the job can't go on
    std::function<void(JobNumber, const Notice&)> notice;
  };
  HeadImages(EventLoop& loop, Handlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}
  HeadImages(const HeadImages&) = delete;
  HeadImages& operator=(const HeadImages&) = delete;

  // The job will have ranks, perhaps on other nodes. False: nothing is sent for it. True: `then` is
  // called once its image is made, from the loop; not if that fails.
  bool Prepare(JobNumber job, const JobSpec& spec, bool elsewhere, std::function<void()> then);
  // The parts are launched next, with what this sets.
  void Launch(JobNumber job, const Dvm& dvm, LaunchPart* launch);
  // A message about an image. Errors: kProtocol.
  Status OnMessage(NodeId from, uint8_t kind, const std::string& payload);
  void OnNodesLost(const std::vector<NodeId>& nodes);
  // The job has ended: what there is to tell of its image on `node`, the head's.
  std::vector<Phase> End(JobNumber job, const std::string& node);
  // Before the DVM's links go.
  void Clear();

 private:
  EventLoop& loop_;
  Handlers handlers_;
  std::map<JobNumber, std::unique_ptr<HeadImage>> images_;
  std::vector<std::unique_ptr<HeadImage>> over_;  // may be on the stack below us
};

}  // namespace rex
