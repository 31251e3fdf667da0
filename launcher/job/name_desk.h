// The DVM's names as hosts ask for them: the NameStore with its clock, and where answers go. Loop
// thread only.
#pragma once

#include <functional>

#include "launcher/base/event_loop.h"
#include "launcher/job/name_store.h"

namespace rex {

class NameDesk {
 public:
  using Answer = std::function<void(NodeId, const pmix::HostMessage&)>;
  NameDesk(EventLoop& loop, Answer answer)
      : loop_(loop), answer_(std::move(answer)), store_(loop.clock()), timer_(loop, [this] {
          Send(store_.Expire(loop_.clock().Now()));
          SetTimer();
        }) {}

  void OnRequest(NodeId from, const pmix::Publish& m) { Send(store_.Publish(m, from)); }
  void OnRequest(NodeId from, const pmix::Lookup& m) { Send(store_.Lookup(m, from)); }
  void OnRequest(NodeId from, const pmix::Unpublish& m) { Send(store_.Unpublish(m, from)); }
  // Also of a whole name space: kRankWildcard.
  void OnProcGone(const pmix::ProcId& proc) { Send(store_.OnProcGone(proc)); }
  const NameStore& store() const { return store_; }

 private:
  void Send(const NameStore::Replies& replies) {
    for (const NameStore::Reply& reply : replies) answer_(reply.node, reply.message);
    SetTimer();
  }
  void SetTimer() {
    const auto next = store_.NextDeadline();  // may be in the past: then at once
    if (next) timer_.Set(*next - loop_.clock().Now());
  }

  EventLoop& loop_;
  Answer answer_;
  NameStore store_;
  Timer timer_;
};

}  // namespace rex
