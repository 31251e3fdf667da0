// A stand-in for the agent: loop, child table, rank maker, and a record of what happened to each
// batch.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/template/rank_maker.h"

namespace rex::testing {

// One batch as the agent saw it.
struct BatchRecord {
  std::vector<pid_t> pids;
  std::vector<std::optional<ExitStatus>> ends;  // one for each pid
  int error = 0;
  Birth birth = Birth::kExec;
  bool told = false;
  bool born = false;
  std::vector<BirthFailure> failures;
  std::optional<Error> lost;
  std::string events;  // p: on_pids, f: on_failure, b: on_born, l: on_lost

  bool Over() const { return born || lost.has_value(); }
  bool AllEnded() const;
};

class MakerTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  void StartMaker(std::chrono::milliseconds bound = std::chrono::seconds(20));
  // /bin/true `count` times, with /dev/null everywhere.
  static BirthBatch Simple(size_t count, const std::string& path = "/bin/true");
  // Events that fill `record`; `release` (may be empty) is called when the pids are told.
  BatchEvents Recorder(const std::shared_ptr<BatchRecord>& record, std::function<void()> release);
  // Submits; on_pids adopts, and releases when `release`.
  std::shared_ptr<BatchRecord> Submit(BirthBatch batch, bool release = true);
  // Runs the loop until `done`, for at most `bound`; false when it ran out.
  bool RunUntil(const std::function<bool()>& done,
                std::chrono::milliseconds bound = std::chrono::seconds(20));
  bool RunUntilOver(const std::shared_ptr<BatchRecord>& record);  // and all its ranks ended

  EventLoop loop_;
  std::unique_ptr<ChildTable> children_;
  std::unique_ptr<RankMaker> maker_;
  size_t open_fds_ = 0;  // in this process before the maker was started
};

// Descriptors that this process has open.
size_t OpenDescriptors();
// Reads a descriptor to its end.
std::string ReadToEnd(int fd);
std::string ProbePath();

}  // namespace rex::testing
