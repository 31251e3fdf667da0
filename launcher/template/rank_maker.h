// The agent's end of the spawner and of each template: starts the process, sends batches, reports
// births. Loop thread only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/child_table.h"
#include "launcher/base/event_loop.h"
#include "launcher/template/template_proto.h"

namespace rex {

// What one batch has in common, and what each of its ranks has for itself.
struct BirthBatch {
  uint64_t owner = 0;             // whose it is, for Release
  std::string path;               // absolute, or relative to wdir
  std::vector<std::string> argv;  // at least one word
  std::string wdir;               // absolute
  std::vector<std::string> common_env;
  std::string library_path = {};  // of an exec, for its ld.so alone; empty: nothing
  uint32_t umask = 022;
  uint64_t open_files = 1024;               // RLIMIT_NOFILE: soft
  uint64_t open_files_hard = 1 << 20;       // and hard; never above the spawner's
  std::chrono::nanoseconds timer_slack{0};  // 0: as it is
  bool outlives = false;                    // ranks do not die with their parent
  // The last batch, of one rank: a template need not clone itself but becomes it. Others take no
  // notice.
  bool become = false;
  uint32_t failed_exit = 127;  // exit code of one that can't go on, 1..255

  struct Rank {
    std::vector<std::string> env;  // after the common ones
    std::vector<uint64_t> cpuset;  // bit i of word j is cpu 64*j+i; empty: affinity as it is
    // NUMA nodes that its memory comes from, likewise; empty: the kernel's default. Where the
    // kernel refuses that, as containers do, the default stays.
    std::vector<uint64_t> mem_nodes;
    UniqueFd stdin_fd;  // none: /dev/null
    UniqueFd stdout_fd;
    UniqueFd stderr_fd;
  };
  std::vector<Rank> ranks;  // 1..Fits(ranks, 0)

  // How many of `ranks`, from `begin` on, fit in one datagram's descriptors.
  static size_t Fits(const std::vector<Rank>& ranks, size_t begin);
};

struct BirthFailure {
  size_t index = 0;  // in the batch
  rex_birth_phase phase = REX_PHASE_SETUP;
  int error = 0;  // errno(3)
};

// How a rank came to be.
enum class Birth : uint8_t { kExec, kTemplate };
constexpr const char* BirthName(Birth birth) {
  return birth == Birth::kTemplate ? "template" : "exec";
}

// Events of one batch, in this order: OnPids once; OnFailure for each rank that could not go on
// (what fails before the gate, e.g. a missing wdir, may come before Release()); OnBorn once. Or
// OnLost instead of whatever is left, and nothing after it. None is called from inside Submit() or
// Release(). Each may destroy the RankMaker.
struct BatchEvents {
  // The ranks' pids, in order, held at the gate. Fewer than asked: `error` is the errno; the gate
  // is closed by the maker and the ones that were made end by themselves (REX_GATE_CLOSED), then
  // OnBorn. Adopt() them here: afterwards the table no longer keeps the ends of unknown children.
  std::function<void(const std::vector<pid_t>& pids, int error, Birth birth)> on_pids;
  std::function<void(const BirthFailure&)> on_failure;
  std::function<void()> on_born;  // every rank has exec'ed or ended
  // The maker died or spoke nonsense, or time ran out. Ranks whose pids were never told end by
  // themselves at the closed gate; those whose pids were told are the caller's to kill.
  std::function<void(const Error&)> on_lost;
  // Instead of all the others, from a maker that is not replaced: it could not make this batch,
  // whatever it had made of it is gone, and the batch comes back whole, to be made by another. Not
  // set: on_lost is called in its place. May be called from inside Submit().
  std::function<void(BirthBatch, const Error& why)> on_returned;
};

// A maker's process, just started as a child of this one.
struct MakerProcess {
  pid_t pid = 0;
  UniqueFd socket;
};

// What kind of process a RankMaker runs.
struct MakerProgram {
  std::string name;  // in messages: "the spawner"
  Birth birth = Birth::kExec;
  std::function<Result<MakerProcess>()> start;
  // Templates: greets first, is not replaced when it ends, gives batches back.
  bool is_template = false;
  // Templates: after a good greeting; before each batch. An error ends the template.
  std::function<Status(pid_t)> on_greeting;
  std::function<Status(pid_t)> before_batch;
};

class RankMaker {
 public:
  // The spawner starts, as a child of this process (`children`, which outlives this, reaps it),
  // with the first batch or StartAhead(): where a template makes the ranks nobody needs it. One
  // that died is replaced when the next batch is sent. `bound`: the longest time from Submit to
  // on_pids, and from Release to on_born. Errors: kNotFound, its program is missing.
  static Result<std::unique_ptr<RankMaker>> MakeSpawner(EventLoop& loop, ChildTable& children,
                                                        std::chrono::milliseconds bound);
  // Any kind of process, started at once. Errors: kNotFound, kPermission, kResource.
  static Result<std::unique_ptr<RankMaker>> StartMaker(EventLoop& loop, ChildTable& children,
                                                       MakerProgram program,
                                                       std::chrono::milliseconds bound);
  // A batch will come: its process need not be waited for then.
  void StartAhead();
  ~RankMaker();  // ends the process, closes all gates; no events any more

  // Queues a batch; the batch's descriptors are closed here once they are sent (a template's: once
  // its pids are told). A spawner has one batch at a time, a template a second one that waits at
  // its socket, in order; the next follows right after on_pids, so that any number of batches can
  // be held at their gates.
  void Submit(BirthBatch batch, BatchEvents events);
  // Opens the gates of all of the owner's batches whose on_pids has been called and that are still
  // held: call it in each on_pids, or once after the last.
  void Release(uint64_t owner = 0);

  pid_t pid() const;  // 0 while there is none
  bool alive() const;

 private:
  class Impl;
  explicit RankMaker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rex
