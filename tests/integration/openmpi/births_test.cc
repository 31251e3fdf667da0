// Births for another launcher's daemon, without one: this program stands in for orted. It has no
// loop and no thread; it reaps as orted does, after each turn.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <set>

#include "launcher/base/fd.h"
#include "launcher/openmpi/births.h"
#include "tests/support/paths.h"

namespace rex::testing {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{30};

struct FakeRank {
  pid_t pid = 0;
  bool refuse = false;
  bool kill_at_gate = false;
  std::vector<std::pair<rex_birth_failure, int>> ends;
  bool gone = false;
  int status = -1;  // as waitpid's, once reaped
};

class BirthsTest : public ::testing::Test {
 protected:
  void Start(const std::string& library = LibexecPath("librex_template.so"),
             const std::string& spawner = LibexecPath("rexd-spawner")) {
    rex_births_host host{};
    host.self = this;
    host.on_pid = OnPid;
    host.on_end = OnEnd;
    host.on_gone = OnGone;
    host.on_note = OnNote;
    const rex_births_files files{library.c_str(), spawner.c_str()};
    births_.reset(rex_births_new(&host, &files));
    ASSERT_NE(births_, nullptr);
    auto pipe = MakePipe();
    ASSERT_TRUE(pipe.has_value());
    output_ = std::move(pipe->first);
    input_ = std::move(pipe->second);
  }

  // `count` ranks of these words, all writing into one pipe.
  void Add(const std::vector<std::string>& words, size_t count, const std::string& wdir = "/") {
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    for (size_t i = 0; i < count; ++i) {
      const std::string rank = "OMPI_COMM_WORLD_RANK=" + std::to_string(ranks_.size());
      std::vector<std::string> env = {"PATH=/usr/bin:/bin", "COMMON=yes", rank, "LAST=one"};
      std::vector<char*> envp;
      for (auto& entry : env) envp.push_back(entry.data());
      envp.push_back(nullptr);
      ranks_.push_back(std::make_unique<FakeRank>());
      rex_birth_order order{};
      order.rank = ranks_.back().get();
      order.path = words[0].c_str();
      order.argv = argv.data();
      order.env = envp.data();
      order.wdir = wdir.c_str();
      order.stdin_fd = order.stderr_fd = -1;
      order.stdout_fd = ::fcntl(input_.get(), F_DUPFD_CLOEXEC, 3);
      if (want_template_) rex_births_expect(births_.get(), &order);
      rex_births_add(births_.get(), &order);
    }
  }

  // Flushes, runs until nothing is left to be told, reads the output to its end, reaps.
  void RunAll() {
    input_.Reset();
    rex_births_flush(births_.get());
    const Clock::time_point deadline = Clock::now() + kPatience;
    while (rex_births_busy(births_.get()) != 0) {
      ASSERT_LT(Clock::now(), deadline) << "births hang";
      pollfd ready{rex_births_fd(births_.get()), POLLIN, 0};
      ::poll(&ready, 1, 100);
      rex_births_run(births_.get());
      Reap();
    }
    ReadOutput();
    for (bool all = false; !all;) {
      ASSERT_LT(Clock::now(), deadline) << "a rank never ended";
      Reap();
      all = true;
      for (const auto& rank : ranks_) all = all && (rank->pid == 0 || rank->status != -1);
    }
  }

  void Reap() {
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      for (const auto& rank : ranks_) {
        if (rank->pid == pid) rank->status = status;
      }
    }
  }

  void ReadOutput() {
    char bytes[4096];
    for (ssize_t n; (n = ::read(output_.get(), bytes, sizeof bytes)) > 0;) {
      text_.append(bytes, static_cast<size_t>(n));
    }
  }

  bool Noted(const std::string& words) const { return notes_.find(words) != std::string::npos; }
  void ExpectAll(rex_birth_failure failure, int error) const {
    for (const auto& rank : ranks_) {
      ASSERT_EQ(rank->ends.size(), 1u);
      EXPECT_EQ(rank->ends[0].first, failure);
      EXPECT_EQ(rank->ends[0].second, error);
      EXPECT_TRUE(rank->gone);
    }
  }
  void ExpectExit(int code) const {
    for (const auto& rank : ranks_) {
      EXPECT_TRUE(WIFEXITED(rank->status) && WEXITSTATUS(rank->status) == code) << rank->status;
    }
  }

  static int OnPid(void* self, void* handle, pid_t pid, int) {
    auto* rank = static_cast<FakeRank*>(handle);
    rank->pid = pid;
    // Held: it is there, and has not begun.
    EXPECT_EQ(::kill(pid, 0), 0);
    if (rank->kill_at_gate) {
      ::kill(pid, SIGKILL);
      EXPECT_EQ(::waitpid(pid, &rank->status, 0), pid);
    }
    static_cast<BirthsTest*>(self)->told_ += 1;
    return rank->refuse ? 1 : 0;
  }
  static void OnEnd(void*, void* handle, rex_birth_failure failure, int error, const char* text) {
    auto* rank = static_cast<FakeRank*>(handle);
    EXPECT_FALSE(rank->gone);
    EXPECT_NE(text, nullptr);
    rank->ends.emplace_back(failure, error);
  }
  static void OnGone(void*, void* handle) {
    auto* rank = static_cast<FakeRank*>(handle);
    EXPECT_FALSE(rank->gone);
    rank->gone = true;
  }
  static void OnNote(void* self, const char* line) {
    static_cast<BirthsTest*>(self)->notes_ += std::string(line) + "\n";
  }

  struct Free {
    void operator()(rex_births* births) const { rex_births_free(births); }
  };
  std::vector<std::unique_ptr<FakeRank>> ranks_;
  std::unique_ptr<rex_births, Free> births_;
  UniqueFd output_;
  UniqueFd input_;
  std::string text_;
  std::string notes_;
  size_t told_ = 0;
  bool want_template_ = true;
};

TEST_F(BirthsTest, RanksOfATemplateAreForked) {
  Start();
  Add({ProgramPath("testprog"), "rank"}, 8);
  RunAll();
  ExpectAll(REX_BIRTH_OK, 0);
  ExpectExit(0);
  EXPECT_TRUE(Noted("8 ranks by template")) << notes_;
}

TEST_F(BirthsTest, MoreThanOneBatchOfThem) {
  Start();
  Add({ProgramPath("testprog"), "exit", "3"}, 300);
  RunAll();
  ExpectAll(REX_BIRTH_OK, 0);
  ExpectExit(3);
  EXPECT_TRUE(Noted("237 ranks by template")) << notes_;
}

TEST_F(BirthsTest, OneRankIsExecuted) {
  Start();
  Add({ProgramPath("testprog"), "exit", "0"}, 1);
  RunAll();
  ExpectAll(REX_BIRTH_OK, 0);
  EXPECT_TRUE(Noted("1 ranks by exec")) << notes_;
}

TEST_F(BirthsTest, EnvironmentIsTheRanksAlone) {
  Start();
  Add({"/usr/bin/env"}, 2);
  RunAll();
  ExpectAll(REX_BIRTH_OK, 0);
  EXPECT_EQ(text_.find("REX"), std::string::npos) << text_;
  EXPECT_EQ(text_.find("LD_PRELOAD"), std::string::npos) << text_;
  for (const char* entry : {"COMMON=yes\n", "RANK=0\n", "RANK=1\n", "LAST=one\n"}) {
    EXPECT_NE(text_.find(entry), std::string::npos) << text_;
  }
}

TEST_F(BirthsTest, WithoutTemplateLibraryTheyAreExecuted) {
  Start("/nowhere/librex_template.so");
  Add({ProgramPath("testprog"), "exit", "0"}, 4);
  RunAll();
  ExpectAll(REX_BIRTH_OK, 0);
  EXPECT_TRUE(Noted("4 ranks by exec")) << notes_;
}

TEST_F(BirthsTest, WhatTheTemplateCannotMakeIsExecuted) {
  Start();
  Add({LibexecPath("rexd-spawner")}, 2);  // static
  RunAll();
  ExpectAll(REX_BIRTH_OK, 0);
  ExpectExit(2);  // its usage
  EXPECT_TRUE(Noted("no template") && Noted("2 ranks by exec")) << notes_;
  EXPECT_EQ(notes_.find("no template"), notes_.rfind("no template")) << notes_;  // tried once
}

TEST_F(BirthsTest, TemplateThatEndsIsReplacedByExec) {
  Start();
  Add({ProgramPath("needs_missing_library")}, 3);
  RunAll();
  ExpectAll(REX_BIRTH_OK, 0);
  ExpectExit(127);  // ld.so's, in each rank
  EXPECT_TRUE(Noted("is given up") && Noted("3 ranks by exec")) << notes_;
}

TEST_F(BirthsTest, WithoutSpawnerTheyFail) {
  want_template_ = false;
  Start("", "/nowhere/rexd-spawner");
  Add({"/bin/true"}, 2);
  RunAll();
  ExpectAll(REX_BIRTH_NO_PROCESS, ENOENT);
}

TEST_F(BirthsTest, MissingProgram) {
  Start();
  Add({"/nowhere/program"}, 2);
  RunAll();
  ExpectAll(REX_BIRTH_NO_EXEC, ENOENT);
  ExpectExit(1);
}

TEST_F(BirthsTest, MissingDirectory) {
  want_template_ = false;
  Start();
  Add({"/bin/true"}, 2, "/nowhere");
  RunAll();
  ExpectAll(REX_BIRTH_NO_DIRECTORY, ENOENT);
  ExpectExit(1);
}

TEST_F(BirthsTest, DirectoryGoesToTheRanks) {
  Start();
  Add({"/bin/pwd"}, 2, "/usr");
  RunAll();
  EXPECT_EQ(text_, "/usr\n/usr\n");
}

TEST_F(BirthsTest, RelativeProgramsAreSeenFromTheirDirectory) {
  Start();
  Add({"bin/pwd"}, 2, "/usr");
  RunAll();
  ExpectAll(REX_BIRTH_OK, 0);
  EXPECT_EQ(text_, "/usr\n/usr\n");
}

TEST_F(BirthsTest, ARefusedRankNeverRuns) {
  Start();
  Add({"/bin/echo", "ran"}, 3);
  ranks_[1]->refuse = true;
  RunAll();
  EXPECT_EQ(ranks_[1]->ends[0].first, REX_BIRTH_REFUSED);
  EXPECT_TRUE(WIFSIGNALED(ranks_[1]->status));
  EXPECT_EQ(text_, "ran\nran\n");
}

TEST_F(BirthsTest, ARankThatIsGoneAtTheGateIsAFailure) {
  Start();
  Add({"/bin/echo", "ran"}, 3);
  ranks_[2]->kill_at_gate = true;
  RunAll();
  EXPECT_EQ(ranks_[2]->ends[0].first, REX_BIRTH_NO_PROCESS);
  EXPECT_EQ(text_, "ran\nran\n");
}

TEST_F(BirthsTest, SeveralKindsAtOnce) {
  Start();
  Add({"/bin/echo", "one"}, 2);
  Add({"/bin/echo", "two"}, 2);
  Add({"/nowhere/program"}, 1);
  RunAll();
  EXPECT_EQ(ranks_[4]->ends[0].first, REX_BIRTH_NO_EXEC);
  std::multiset<std::string> lines;
  for (size_t at = 0; at + 4 <= text_.size(); at += 4) lines.insert(text_.substr(at, 4));
  EXPECT_EQ(lines, (std::multiset<std::string>{"one\n", "one\n", "two\n", "two\n"}));
}

TEST_F(BirthsTest, EndedBeforeTheFlushNobodyRuns) {
  Start();
  Add({"/bin/echo", "ran"}, 4);
  births_.reset();
  input_.Reset();
  ReadOutput();
  EXPECT_EQ(text_, "");
  EXPECT_EQ(told_, 0u);
  while (::waitpid(-1, nullptr, 0) > 0) {  // the template
  }
}

}  // namespace
}  // namespace rex::testing
