// The host as a process: wires libpmix to the agent's connection and runs until that ends.
//
// Threads: the loop's, which is libpmix's progress thread; main waits. (If libpmix does not show
// its event base, main runs a loop of its own.) All state here is the loop thread's; upcalls come
// through UpcallSink, which posts. Ends with _exit when the agent is gone: libpmix is not
// finalized, and requests nobody will answer go with the process.
#pragma once

#include <latch>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/frame_channel.h"
#include "pmix-server/host/own_collectives.h"
#include "pmix-server/host/registration.h"
#include "pmix-server/host/request_table.h"
#include "pmix-server/host/server.h"

namespace rex::pmix {

class HostProcess final : public UpcallSink {
 public:
  struct Options {
    UniqueFd agent;           // connected stream socket
    std::string session_dir;  // absolute, exists, private
    std::string node_name;
    bool own_loop = false;       // do not run on libpmix's event base
    bool takes_tools = false;    // who is no rank may connect
    uint32_t generation = 0;     // hosts that the node has had before
    uint32_t one_job_ranks = 0;  // the only job to come has so many ranks; 0: any number may come
  };

  // Starts libpmix, sends HostReady and serves. Returns only with the error of a failed start;
  // otherwise the process ends here: exit code 0 at the agent's end of file, 1 after nonsense.
  Error Run(Options options);

  void Request(HostMessage message, OnAnswer on_answer) override;
  void Tell(HostMessage message, std::function<void()> then) override;
  Clock::Time Now() const override { return clock_.Now(); }

 private:
  void MakeLoop(event_base* base, UniqueFd agent);
  EventLoop& Loop();
  void Serve(UniqueFd agent);
  void OpenChannel(UniqueFd agent);
  void Send(const HostMessage& message);
  void OnFrame(uint8_t kind, const std::string& payload);
  void OnMessage(HostMessage message);
  void Answer(uint64_t request, HostMessage& message);
  void AwaitRelease(const Fence& fence);
  void TellRelease(uint64_t request);
  // Errors: kProtocol.
  rex::Status OnAboutCollectives(HostMessage& message);
  void RaiseEvent(const EventRaised& event);
  void AskModex(const ModexRequest& request);
  [[noreturn]] void Leave(const Error& error);

  MonotonicClock clock_;
  std::unique_ptr<EventLoop> loop_;
  std::latch loop_made_{1};
  RequestTable requests_;
  std::map<std::vector<ProcId>, int> releases_;         // to tell of, by participants
  std::map<uint64_t, std::vector<ProcId>> release_of_;  // request, under way
  std::unique_ptr<Timer> along_timer_;
  std::unique_ptr<FrameChannel> channel_;
  std::unique_ptr<PmixServer> server_;
  std::unique_ptr<Registration> registration_;
  std::unique_ptr<OwnCollectives> collectives_;
};

}  // namespace rex::pmix
