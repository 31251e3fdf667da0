// rexd-stagers, mpirun's and nodes', in one process: this test is the plug-ins that own them and
// carry their messages. Pieces go over real sockets. Files are a directory's; whether a machine
// gives an image or directories is the test's to say.
#include "launcher/openmpi/stager.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "launcher/image/image_maker.h"

namespace rex::openmpi {
namespace {

constexpr uint32_t kJob = 7;
constexpr uint32_t kMpirun = 0;
constexpr uint8_t kFrameKind = 1;

// One stager, its owner's end of the socket, and what it said and nobody took yet.
struct End {
  std::unique_ptr<Stager> stager;
  std::unique_ptr<FrameChannel> owner;
  std::deque<StagerMessage> said;
  bool over = false;           // it has told that its owner is gone or speaks nonsense
  std::set<std::string> dirs;  // its own
};

class StagerTest : public ::testing::Test {
 protected:
  StagerTest() : dir_("/dev/shm/rex-stager-test-" + std::to_string(::getpid())) {
    ::signal(SIGPIPE, SIG_IGN);
    std::filesystem::create_directories(dir_ + "/files");
  }
  ~StagerTest() override {
    ends_.clear();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }

  std::string Program(const std::string& name, const std::string& rest = "exit 0\n") {
    const std::string path = dir_ + "/files/" + name;
    std::ofstream(path, std::ios::binary) << "#!/bin/sh\n" << rest;
    ::chmod(path.c_str(), 0755);
    return path;
  }

  // What the machines of this test are.
  StagerMachine MachineOf(uint32_t node) {
    StagerMachine machine;
    machine.make_image = [this](const ImageQuery& query, const StoreOptions& store) {
      ++images_made_;
      if (!image_error_.empty()) return Result<MadeImage>(Error{Errc::kInvalid, image_error_});
      auto made = MakeImage(query, SendRules({}), nullptr);
      if (!made) return made;
      made->image.store = store;
      made->image.fault = fault_;
      return made;
    };
    machine.make_dir = [this, node](const std::string& parent) -> Result<PrivateDir> {
      if (full_.contains(parent)) return Error{Errc::kResource, parent + " is full"};
      auto dir = PrivateDir::Create(dir_);
      if (dir) ends_[node].dirs.insert(dir->path());
      return dir;
    };
    machine.in_background = [this](std::function<void()> task) {
      if (hold_background_) {
        background_.push_back(std::move(task));
      } else {
        task();
      }
    };
    return machine;
  }

  End& At(uint32_t node) {
    End& end = ends_[node];
    if (end.stager) return end;
    auto pair = MakeStreamPair();
    EXPECT_TRUE(pair.has_value());
    end.stager = std::make_unique<Stager>(loop_, std::move(pair->first), MachineOf(node),
                                          [&end] { end.over = true; });
    end.owner = std::make_unique<FrameChannel>(
        loop_, std::move(pair->second), kMostStagerBytes,
        FrameChannel::Handlers{[this, node](uint8_t, FrameClass, const std::string& payload) {
                                 const auto message = DecodeStagerMessage(payload);
                                 ASSERT_TRUE(message.has_value());
                                 Take(node, *message);
                               },
                               [](const Error&) {}});
    return end;
  }
  void Tell(uint32_t node, const StagerMessage& message) {
    TellBytes(node, EncodeStagerMessage(message));
  }
  void TellBytes(uint32_t node, const std::string& bytes) {
    At(node).owner->Send(kFrameKind, FrameClass::kControl, bytes);
  }

  // The plug-ins: they carry what one stager has for another.
  void Take(uint32_t node, const StagerMessage& message) {
    if (message.kind != REX_STAGER_PEER || keep_peers_) {
      ends_[node].said.push_back(message);
      return;
    }
    StagerMessage carried = message;
    carried.node = node;
    if (!gone_.contains(message.node)) Tell(message.node, carried);
  }

  template <typename F>
  bool Until(F done) {
    bool late = false;
    Timer bound(loop_, [&] { late = true; });
    bound.Set(std::chrono::seconds(50));
    while (!late) {
      if (done()) return true;
      loop_.RunOnce();
    }
    return false;
  }
  // The next word of this kind from this stager; none came: kind is another.
  StagerMessage Await(uint32_t node, rex_stager_kind kind) {
    StagerMessage found;
    EXPECT_TRUE(Until([&] {
      std::deque<StagerMessage>& said = ends_[node].said;
      for (auto at = said.begin(); at != said.end(); ++at) {
        if (at->kind != kind) continue;
        found = *at;
        said.erase(at);
        return true;
      }
      return false;
    })) << "no message of kind "
        << kind;
    return found;
  }
  // Something that always has an answer is behind all that was sent before.
  void Sync(uint32_t node) {
    if (node == kMpirun) {
      Tell(node, {REX_STAGER_MAKE, 99, node, {"memory", "always", "auto"}});
      Await(node, REX_STAGER_MADE);
    } else {
      Tell(node, {REX_STAGER_BEGIN, 99, node, {"n1", "head", "no key", ""}});
      Await(node, REX_STAGER_FAILED);
    }
  }
  // Whatever it was told before has been read.
  bool Said(uint32_t node, rex_stager_kind kind) {
    Sync(node);
    for (const StagerMessage& message : ends_[node].said) {
      if (message.kind == kind) return true;
    }
    return false;
  }

  StagerMessage Make(const std::vector<std::string>& programs, const std::string& mode = "always") {
    StagerMessage make{REX_STAGER_MAKE, kJob, kMpirun, {dir_, mode, "tree"}};
    for (const std::string& program : programs) {
      make.words.push_back(program.empty() ? "" : JoinParts({program, "LD_LIBRARY_PATH=/nowhere"}));
    }
    Tell(kMpirun, make);
    return Await(kMpirun, REX_STAGER_MADE);
  }
  void Begin(uint32_t node, const StagerMessage& made) {
    Tell(node, {REX_STAGER_BEGIN,
                kJob,
                node,
                {"n" + std::to_string(node), "head", made.words[0], made.words[1]}});
  }
  void Start(uint32_t nodes) {
    StagerMessage start{REX_STAGER_START, kJob, kMpirun, {}};
    for (uint32_t i = 1; i <= nodes; ++i) {
      start.words.push_back(std::to_string(i) + " n" + std::to_string(i));
    }
    Tell(kMpirun, start);
  }
  // The program's path on the node, once it is ready.
  std::string AwaitPlaced(uint32_t node) {
    const StagerMessage ready = Await(node, REX_STAGER_READY);
    if (ready.words.size() < 2) return "";
    const auto parts = SplitParts(ready.words[1]);
    return parts.empty() ? "" : parts[0];
  }

  EventLoop loop_;
  const std::string dir_;
  std::map<uint32_t, End> ends_;
  std::string image_error_;
  std::string fault_;
  std::set<std::string> full_;  // parents without room
  std::set<uint32_t> gone_;     // what goes there is lost
  bool hold_background_ = false;
  bool keep_peers_ = false;
  std::vector<std::function<void()>> background_;
  int images_made_ = 0;
};

std::string Text(const std::string& path) {
  const auto bytes = ReadFile(path, 1 << 30);
  return bytes ? *bytes : "(none)";
}

TEST_F(StagerTest, NodesGetTheProgram) {
  const std::string program = Program("app", "echo " + std::string(300'000, 'x') + "\n");
  const StagerMessage made = Make({program});
  EXPECT_EQ(made.words[3], "1");
  EXPECT_EQ(made.words[2].find("1 files of "), 0u) << made.words[2];
  for (const uint32_t node : {1u, 2u}) Begin(node, made);
  Start(2);
  for (const uint32_t node : {1u, 2u}) {
    const std::string placed = AwaitPlaced(node);
    EXPECT_NE(placed, program);
    EXPECT_EQ(Text(placed), Text(program));
  }
  Tell(kMpirun, {REX_STAGER_END, kJob, kMpirun, {}});
  const StagerMessage account = Await(kMpirun, REX_STAGER_ACCOUNT);
  // The nodes are one machine, with one store.
  EXPECT_NE(account.words[0].find("bytes sent for 1 nodes"), std::string::npos) << account.words[0];
}

TEST_F(StagerTest, WhatIsInPlaceIsNotSent) {
  const std::string program = Program("app");
  const StagerMessage made = Make({program}, "auto");
  Begin(1, made);
  const StagerMessage ready = Await(1, REX_STAGER_READY);
  ASSERT_EQ(ready.words.size(), 2u);
  const auto parts = SplitParts(ready.words[1]);
  ASSERT_GE(parts.size(), 2u);
  EXPECT_EQ(parts[0], program);
  EXPECT_EQ(parts[1], "1");
}

TEST_F(StagerTest, AppsWithoutAProgramHereAreTheNodesOwn) {
  const StagerMessage made = Make({"", Program("app"), ""});
  EXPECT_EQ(made.words[3], "010");
  Begin(1, made);
  Start(1);
  const StagerMessage ready = Await(1, REX_STAGER_READY);
  ASSERT_EQ(ready.words.size(), 4u);
  EXPECT_TRUE(SplitParts(ready.words[1])[0].empty());
  EXPECT_EQ(Text(SplitParts(ready.words[2])[0]), Text(dir_ + "/files/app"));
  EXPECT_TRUE(SplitParts(ready.words[3])[0].empty());
}

TEST_F(StagerTest, WhatNodesSayBeforeTheStartIsKept) {
  const std::string program = Program("app");
  const StagerMessage made = Make({program});
  keep_peers_ = true;
  Begin(1, made);
  const StagerMessage need = Await(1, REX_STAGER_PEER);
  keep_peers_ = false;
  Take(1, need);
  EXPECT_FALSE(Said(kMpirun, REX_STAGER_FAILED));  // it has been read
  Start(1);
  EXPECT_EQ(Text(AwaitPlaced(1)), Text(program));
}

TEST_F(StagerTest, SoManyEarlyMessagesAndNoMoreAreKept) {
  const StagerMessage made = Make({Program("app")});
  const StagerMessage junk{REX_STAGER_PEER, kJob, 1, {"x", "y"}};
  // All are nonsense: each that was kept is refused when there is somebody to read it.
  for (size_t i = 0; i < kMostEarlyMessages + 10; ++i) Tell(kMpirun, junk);
  EXPECT_FALSE(Said(kMpirun, REX_STAGER_FAILED));
  Start(1);
  Sync(kMpirun);
  EXPECT_EQ(ends_[kMpirun].said.size(), kMostEarlyMessages);
}

TEST_F(StagerTest, ALostNodeDoesNotHoldTheOthersUp) {
  const std::string program = Program("app");
  const StagerMessage made = Make({program});
  gone_ = {2};
  Begin(1, made);
  Start(2);
  Tell(kMpirun, {REX_STAGER_LOST, kJob, 2, {}});
  EXPECT_EQ(Text(AwaitPlaced(1)), Text(program));
}

TEST_F(StagerTest, ADamagedPieceIsSentAgain) {
  fault_ = "n1:damage=1";
  const std::string program = Program("app", "echo " + std::string(300'000, 'y') + "\n");
  const StagerMessage made = Make({program});
  Begin(1, made);
  Start(1);
  const StagerMessage ready = Await(1, REX_STAGER_READY);
  EXPECT_NE(ready.words[0].find("1 damaged pieces"), std::string::npos) << ready.words[0];
  EXPECT_EQ(Text(SplitParts(ready.words[1])[0]), Text(program));
}

TEST_F(StagerTest, TwoJobsAtATime) {
  const std::string program = Program("app");
  const StagerMessage one = Make({program});
  StagerMessage make{
      REX_STAGER_MAKE, kJob + 1, kMpirun, {dir_, "always", "auto", JoinParts({program})}};
  Tell(kMpirun, make);
  const StagerMessage other = Await(kMpirun, REX_STAGER_MADE);
  EXPECT_EQ(other.words[0], one.words[0]);  // one key for all of mpirun's
  Begin(1, one);
  Tell(1, {REX_STAGER_BEGIN, kJob + 1, 1, {"n1", "head", other.words[0], other.words[1]}});
  Start(1);
  Tell(kMpirun, {REX_STAGER_START, kJob + 1, kMpirun, {"1 n1"}});
  const std::string first = AwaitPlaced(1);
  const std::string second = AwaitPlaced(1);
  EXPECT_NE(first, second);
  EXPECT_EQ(Text(first), Text(program));
  EXPECT_EQ(Text(second), Text(program));
}

// ---- what goes wrong (docs/design/launch-agent.md, "Failures of an image")

TEST_F(StagerTest, AnImageThatCannotBeMade) {
  image_error_ = "cannot read '/app': it is locked";
  Tell(kMpirun, {REX_STAGER_MAKE, kJob, kMpirun, {"memory", "auto", "auto", JoinParts({"/app"})}});
  const StagerMessage message = Await(kMpirun, REX_STAGER_NOT_MADE);
  EXPECT_EQ(message.job, kJob);
  EXPECT_EQ(message.words[0], image_error_);
  EXPECT_NE(message.words[1], "");  // what to do
}

TEST_F(StagerTest, NothingToSendIsSaid) {
  const StagerMessage made = Make({""});
  EXPECT_EQ(made.words[1], "");
  EXPECT_EQ(made.words[2], "nothing to be sent");
  Start(1);  // out of place: nothing follows
  EXPECT_FALSE(Said(kMpirun, REX_STAGER_FAILED));
}

TEST_F(StagerTest, AJobThatEndsWhileItsImageIsMade) {
  hold_background_ = true;
  Tell(kMpirun,
       {REX_STAGER_MAKE, kJob, kMpirun, {"memory", "auto", "auto", JoinParts({Program("a")})}});
  EXPECT_TRUE(Until([&] { return !background_.empty(); }));
  Tell(kMpirun, {REX_STAGER_END, kJob, kMpirun, {}});
  Await(kMpirun, REX_STAGER_ACCOUNT);
  background_[0]();
  hold_background_ = false;
  EXPECT_FALSE(Said(kMpirun, REX_STAGER_MADE));
}

TEST_F(StagerTest, AStagerThatEndsWhileAnImageIsMade) {
  hold_background_ = true;
  Tell(kMpirun,
       {REX_STAGER_MAKE, kJob, kMpirun, {"memory", "auto", "auto", JoinParts({Program("a")})}});
  EXPECT_TRUE(Until([&] { return !background_.empty(); }));
  ends_[kMpirun].stager.reset();
  background_[0]();
  EXPECT_EQ(images_made_, 1);
  loop_.Post([] {});
  loop_.RunOnce();  // what the task posted finds nobody, and breaks nothing
}

TEST_F(StagerTest, ANodeWithoutRoomForDirectories) {
  const StagerMessage made = Make({Program("app")});
  full_ = {kShmParent, TempParent()};
  Begin(1, made);
  const StagerMessage failed = Await(1, REX_STAGER_FAILED);
  EXPECT_EQ(failed.node, 1u);
  EXPECT_NE(failed.words[0].find("is full"), std::string::npos) << failed.words[0];
  EXPECT_NE(failed.words[1].find("TMPDIR"), std::string::npos) << failed.words[1];
}

TEST_F(StagerTest, OneOfBothDirectoriesIsEnough) {
  const std::string program = Program("app");
  const StagerMessage made = Make({program});
  full_ = {kShmParent};
  Begin(1, made);
  Start(1);
  EXPECT_EQ(Text(AwaitPlaced(1)), Text(program));
}

TEST_F(StagerTest, AStoreThatCannotBe) {
  const std::string program = Program("app");
  Tell(kMpirun, {REX_STAGER_MAKE,
                 kJob,
                 kMpirun,
                 {program + "/store", "always", "auto", JoinParts({program})}});
  const StagerMessage made = Await(kMpirun, REX_STAGER_MADE);
  Begin(1, made);
  Start(1);
  const StagerMessage failed = Await(1, REX_STAGER_FAILED);
  EXPECT_NE(failed.words[0].find(program + "/store"), std::string::npos) << failed.words[0];
  EXPECT_NE(failed.words[1], "");
}

TEST_F(StagerTest, AFileThatChangesWhileItIsSent) {
  const std::string program = Program("app");
  const StagerMessage made = Make({program});
  Program("app", "exit 1\n");
  Begin(1, made);
  Start(1);
  const StagerMessage failed = Await(kMpirun, REX_STAGER_FAILED);
  EXPECT_NE(failed.words[0].find(program), std::string::npos) << failed.words[0];
}

TEST_F(StagerTest, AnImageThatMakesNoSense) {
  const StagerMessage made = Make({Program("app")});
  Tell(1, {REX_STAGER_BEGIN, kJob, 1, {"n1", "head", made.words[0], "nonsense"}});
  EXPECT_EQ(Await(1, REX_STAGER_FAILED).node, 1u);
  Tell(2, {REX_STAGER_BEGIN, kJob, 2, {"n2", "head", "short key", made.words[1]}});
  EXPECT_EQ(Await(2, REX_STAGER_FAILED).words[0], "the image's key is none");
}

TEST_F(StagerTest, APeerThatSpeaksNonsenseIsNamed) {
  const StagerMessage made = Make({Program("app")});
  Start(1);
  Tell(kMpirun, {REX_STAGER_PEER, kJob, 1, {std::string(1, '\x7f'), "junk"}});
  EXPECT_EQ(Await(kMpirun, REX_STAGER_FAILED).node, 1u);
  Begin(1, made);
  Tell(1, {REX_STAGER_PEER, kJob, kMpirun, {std::string(1, '\x7f'), "junk"}});
  Await(1, REX_STAGER_FAILED);
  // Of a job that nobody knows, and without a kind: passed over.
  Tell(1, {REX_STAGER_PEER, 55, kMpirun, {"x", "junk"}});
  Tell(1, {REX_STAGER_PEER, kJob, kMpirun, {"", "junk"}});
  EXPECT_FALSE(Said(1, REX_STAGER_FAILED));
}

TEST_F(StagerTest, MessagesThatAreNotForAStagerArePassedOver) {
  for (const rex_stager_kind kind :
       {REX_STAGER_MADE, REX_STAGER_NOT_MADE, REX_STAGER_ACCOUNT, REX_STAGER_READY,
        REX_STAGER_FAILED, REX_STAGER_OFFER, REX_STAGER_HERE, REX_STAGER_CANCEL}) {
    Tell(1, {kind, kJob, 1, {"a", "b", "c", "d"}});
  }
  for (const rex_stager_kind kind : {REX_STAGER_START, REX_STAGER_LOST}) {
    Tell(1, {kind, kJob, 1, {"1 n1"}});  // of a job that is not there
  }
  EXPECT_FALSE(Said(1, REX_STAGER_FAILED));
  EXPECT_FALSE(ends_[1].over);
}

TEST_F(StagerTest, AnOwnerThatSpeaksNonsenseIsLeft) {
  TellBytes(1, "nonsense");
  EXPECT_TRUE(Until([&] { return ends_[1].over; }));
}

TEST_F(StagerTest, ItEndsWithItsOwnerAndLeavesNothing) {
  const StagerMessage made = Make({Program("app")});
  Begin(1, made);
  Start(1);
  const std::string placed = AwaitPlaced(1);
  EXPECT_TRUE(std::filesystem::exists(placed));
  const std::set<std::string> dirs = ends_[1].dirs;
  EXPECT_EQ(dirs.size(), 2u);
  ends_[1].owner.reset();
  EXPECT_TRUE(Until([&] { return ends_[1].over; }));
  ends_[1].stager.reset();
  for (const std::string& path : dirs) EXPECT_FALSE(std::filesystem::exists(path)) << path;
}

TEST_F(StagerTest, CancelledByMpirunItForgetsTheJob) {
  const StagerMessage made = Make({Program("app")});
  keep_peers_ = true;
  Begin(1, made);
  Await(1, REX_STAGER_PEER);
  Tell(1, {REX_STAGER_END, kJob, 1, {}});
  Tell(1, {REX_STAGER_PEER, kJob, kMpirun, {std::string(1, '\x7f'), "junk"}});
  EXPECT_FALSE(Said(1, REX_STAGER_FAILED));
}

TEST(TransportNamed, Words) {
  EXPECT_EQ(TransportNamed("auto"), Transport::kAuto);
  EXPECT_EQ(TransportNamed("tree"), Transport::kTree);
  EXPECT_EQ(TransportNamed("multicast"), Transport::kMulticast);
  EXPECT_EQ(TransportNamed("pigeon"), Transport::kAuto);
}

TEST(StoreNamed, Words) {
  EXPECT_EQ(StoreNamed("memory").kind, StoreKind::kMemory);
  EXPECT_EQ(StoreNamed("disk").kind, StoreKind::kDisk);
  EXPECT_EQ(StoreNamed("/a/b").kind, StoreKind::kDirectory);
  EXPECT_EQ(StoreNamed("/a/b").directory, "/a/b");
  EXPECT_EQ(StoreNamed("").kind, StoreKind::kMemory);
  EXPECT_EQ(StoreNamed("relative").kind, StoreKind::kMemory);
}

}  // namespace
}  // namespace rex::openmpi
