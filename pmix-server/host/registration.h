// Namespaces and their clients in libpmix.
//
// libpmix wants the calls of one namespace in order, each after the one before has called back:
// register_nspace, register_client for every local rank, setup_fork. setup_fork walks lists that
// the progress thread changes, without a lock, so it runs on that thread, and one registration or
// deregistration is under way at a time; others wait in line. Loop thread only, but for the steps
// inside registration.cc that say otherwise.
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
      : loop_(loop), server_(server), send_(std::move(send)) {}
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  // Answers with JobRegistered; a failed registration leaves no namespace behind.
  void Register(RegisterJob job);
  // Answers with JobDeregistered, also for a name that is not registered.
  void Deregister(const std::string& name_space);
  // The rank has been reaped: its connection and what it registered for cleanup can go. No answer.
  void RankGone(const ProcId& proc);

 private:
  struct Pending;  // a registration under way

  void Enqueue(std::function<void()> step);
  void Next();
  void StartRegister(const std::shared_ptr<RegisterJob>& job);
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
};

}  // namespace rex::pmix
