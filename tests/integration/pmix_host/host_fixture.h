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
#include "pmix-server/client/host_client.h"
#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

struct RankResult {
  uint32_t rank = 0;
  int wait_status = 0;  // waitpid(2)
  std::string out;
  std::string err;
};

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
  bool host_running() const { return host_pid_ > 0; }

  // A job on this node; `apps` gives each app's ranks. Its directory exists.
  RegisterJob MakeJob(const std::string& name_space, const std::vector<uint32_t>& apps);
  // Sends it and waits for the answer.
  JobRegistered Register(const RegisterJob& job);
  void Deregister(const std::string& name_space);

  // Starts one process per rank with the environment the host gave, and waits for all of them.
  std::vector<RankResult> RunRanks(const JobRegistered& job, const std::vector<std::string>& argv);
  void StartRanks(const JobRegistered& job, const std::vector<std::string>& argv);
  std::vector<RankResult> WaitRanks();

  void Send(const HostMessage& message) { client_->Send(message); }
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

  // Files and sockets of this user that a PMIx server may leave outside its directory.
  static std::vector<std::string> TempEntries();

  EventLoop loop_;
  std::string session_dir_;
  pid_t host_pid_ = -1;
  HostReady ready_;
  bool closed_ = false;
  std::unique_ptr<HostClient> client_;
  std::vector<HostMessage> seen_;
  // A test may answer a message itself: true stops the built-in answer.
  std::function<bool(const HostMessage&)> intercept_;
  std::map<uint32_t, pid_t> rank_pids_;

 private:
  struct Running;
  void OnMessage(const HostMessage& message);
  void AnswerPublish(const Publish& publish);
  void AnswerLookup(const Lookup& lookup);
  void AnswerUnpublish(const Unpublish& unpublish);
  void AnswerQuery(const Query& query);
  std::vector<Published> Find(const Lookup& lookup) const;

  std::map<std::string, Published> published_;
  std::vector<Lookup> waiting_;
  std::vector<std::unique_ptr<Running>> running_;
  std::vector<std::string> temp_before_;
};

// Lines NAME=VALUE of a probe's output.
std::map<std::string, std::string> Lines(const std::string& out);
// The value of NAME in an environment, or "(none)".
std::string EnvValue(const JobRegistered& job, uint32_t rank, const std::string& name);

}  // namespace rex::pmix
