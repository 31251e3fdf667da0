// Runs a real rexd-pmix and plays the rest of the DVM for it: the keeper that starts it and the
// agent it talks to, with real libpmix clients as ranks.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "pmix-server/proto/host_types.h"
#include "tests/integration/pmix_host/rank_runner.h"
#include "tests/integration/pmix_host/started_host.h"
#include "tests/support/shared_files.h"

namespace rex::pmix {

class HostFixture : public ::testing::Test {
 protected:
  HostFixture();
  ~HostFixture() override;
  void SetUp() override;
  void TearDown() override;  // ends the host and looks for what it left

  // Starts the host and waits for HostReady.
  void StartHost();
  // Closes the agent's end and waits for the host's end. Its wait status.
  int StopHost();
  bool host_running() const { return host_.running(); }
  bool closed() const { return host_.closed(); }

  // A job on this node; `apps` gives each app's ranks. Its directory exists.
  RegisterJob MakeJob(const std::string& name_space, const std::vector<uint32_t>& apps);
  // Sends it and waits for the answer.
  JobRegistered Register(const RegisterJob& job);
  void Deregister(const std::string& name_space);

  // Starts one process per rank with the environment the host gave, and waits for all of them.
  std::vector<RankResult> RunRanks(const JobRegistered& job, const std::vector<std::string>& argv);
  void StartRanks(const JobRegistered& job, const std::vector<std::string>& argv);
  std::vector<RankResult> WaitRanks();

  void Send(const HostMessage& message) { host_.Send(message); }
  // Runs the loop until `done`; fails the test after half a minute.
  void Until(const std::function<bool()>& done, const char* what);
  // Messages of one type, in the order of their arrival.
  template <typename T>
  std::vector<T> Seen() const {
    std::vector<T> out;
    for (const auto& message : seen_) {
      if (const auto* m = std::get_if<T>(&message)) out.push_back(*m);
    }
    return out;
  }

  EventLoop loop_;
  std::string session_dir_;
  StartedHost host_;
  RankRunner ranks_{loop_};
  HostReady ready_;
  std::vector<HostMessage> seen_;
  // A test may answer a message itself: true stops the built-in answer.
  std::function<bool(const HostMessage&)> intercept_;

 private:
  void OnMessage(const HostMessage& message);
  void AnswerPublish(const Publish& publish);
  void AnswerLookup(const Lookup& lookup);
  void AnswerUnpublish(const Unpublish& unpublish);
  void AnswerQuery(const Query& query);
  std::vector<Published> Find(const Lookup& lookup) const;

  std::map<std::string, Published> published_;
  std::vector<Lookup> waiting_;
  rex::testing::SharedFiles shared_files_;
};

// The value of NAME in an environment, or "(none)".
std::string EnvValue(const JobRegistered& job, uint32_t rank, const std::string& name);

}  // namespace rex::pmix
