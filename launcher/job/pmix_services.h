// Answers what ranks ask of PMIx beyond starting and ending: fences, modex, names, queries, logs.
// One job on one node; the answers go to the host as messages. Loop thread only.
#pragma once

#include <functional>
#include <string>

#include "launcher/base/event_loop.h"
#include "launcher/job/job_plan.h"
#include "launcher/job/name_store.h"
#include "launcher/job/rank_table.h"
#include "launcher/job/start_up_times.h"
#include "pmix-server/proto/host_types.h"

namespace rex {

class PmixServices {
 public:
  struct Deps {
    EventLoop& loop;
    const JobPlan& plan;
    const NodeFacts& node;
    RankTable& ranks;
    StartUpTimes& times;
    std::function<void(const pmix::HostMessage&)> to_host;
    std::function<void(Rank, bool to_stdout, const std::string& text)> log;
    // Signals the ranks' process groups.
    std::function<void(const std::vector<Rank>&, int signo)> signal;
  };
  explicit PmixServices(Deps deps);

  // True when the message was one of ours.
  bool Handle(const pmix::HostMessage& message);
  // A rank is gone: what it published for its lifetime goes.
  void OnRankGone(Rank rank);
  // The ranks of this job that `targets` name (empty or wildcard: all).
  std::vector<Rank> Resolve(const std::vector<pmix::ProcId>& targets) const;

 private:
  bool On(const pmix::Fence& m);
  bool On(const pmix::FenceReleased& m);
  bool On(const pmix::DirectModex& m);
  bool On(const pmix::Publish& m);
  bool On(const pmix::Lookup& m);
  bool On(const pmix::Unpublish& m);
  bool On(const pmix::EventRaised& m);
  bool On(const pmix::JobControl& m);
  bool On(const pmix::LogText& m);
  bool On(const pmix::Query& m);
  template <typename T>
  bool On(const T&) {
    return false;
  }
  bool IsWholeJob(const std::vector<pmix::ProcId>& participants) const;
  void SendAll(std::vector<pmix::HostMessage> messages);
  void SetNameTimer();

  Deps deps_;
  NameStore names_;
  Timer name_timer_;
};

}  // namespace rex
