// Namespaces and their clients in libpmix.
//
// libpmix wants the calls of one namespace in order, each after the one before has called back:
// register_nspace, register_client for every local rank, setup_fork. setup_fork walks lists that
// the progress thread changes, without a lock, so it runs on that thread, and one registration or
// deregistration is under way at a time; others wait in line. Loop thread only, but for the steps
// inside registration.cc that say otherwise.
//
// Ranks are never deregistered one by one. PMIx_server_deregister_client (libpmix 4.2.2) closes a
// rank's connection without taking it out of the event loop; when libpmix has not seen the rank's
// own end of it before, the loop goes on believing that it watches that descriptor, so the next
// rank whose connection gets the number is never heard.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "pmix-server/host/server.h"
#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

class Registration {
 public:
  using Send = std::function<void(const HostMessage&)>;

  // `loop` and `server` must outlive this, and this every callback of libpmix: in the product all
  // of them live until _exit.
  Registration(EventLoop& loop, const PmixServer& server, Send send)
      : loop_(loop),
        server_(server),
        send_(std::move(send)),
        closes_timer_(loop, [this] { AwaitCloses(std::move(after_closes_)); }) {}
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  // Answers with JobRegistered; a failed registration leaves no namespace behind.
  void Register(RegisterJob job);
  // The job's ranks have been reaped. Answers with JobDeregistered, also for a name that is not
  // registered; by then what they registered for cleanup has gone.
  void Deregister(const std::string& name_space);

 private:
  struct Pending;  // a registration under way

  void Enqueue(std::function<void()> step);
  void Next();
  void StartRegister(const std::shared_ptr<RegisterJob>& job);
  void AwaitCloses(std::function<void()> then);
  void StartDeregister(const std::string& name_space, std::function<void()> done);
  void Finish(std::unique_ptr<Pending> pending);
  void Fail(const std::string& name_space, int32_t status, const std::string& text);

  static void OnNamespace(int status, void* pending) noexcept;
  static void OnClient(int status, void* pending) noexcept;
  static void SetupForks(Pending& pending);
  static void HandBack(Pending* pending);

  EventLoop& loop_;
  const PmixServer& server_;
  const Send send_;
  std::set<std::string> registered_;
  std::deque<std::function<void()>> queue_;
  bool busy_ = false;
  std::function<void()> after_closes_;
  Clock::Time closes_deadline_{0};
  Timer closes_timer_;
};

}  // namespace rex::pmix
