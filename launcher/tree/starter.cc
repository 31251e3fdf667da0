#include "launcher/tree/starter.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>

#include "launcher/base/log.h"
#include "launcher/tree/start_command.h"
#include "launcher/tree/start_text.h"

namespace rex {

namespace {

constexpr std::chrono::milliseconds kLossBound{500};
constexpr int kLastReads = 64;  // more than a pipe holds
constexpr Clock::Time kNever = Clock::Time::max();
// A virtual node's keeper needs up to 5 s to end everything below it; ssh far less.
constexpr std::chrono::seconds kEndBound{10};

std::function<double()> Uniform() {
  return [engine = std::mt19937(std::random_device{}())]() mutable {
    return std::uniform_real_distribution<double>(0, 1)(engine);
  };
}

std::string SpawnRemedy(const Error& error, bool is_virtual) {
  if (error.code == Errc::kResource) {
    return "raise this machine's limits of processes and open files (`ulimit -u`, `ulimit -Hn`, "
           "the "
           "cgroup's pids.max), or start fewer nodes";
  }
  if (is_virtual) return "install rex whole";
  return "install that program on this node, or name another with --ssh";
}

StartPhase PhaseOf(StartState state) {
  if (state == StartState::kGreeted) return StartPhase::kHandshake;
  if (state == StartState::kJoined) return StartPhase::kReady;
  return StartPhase::kSsh;
}

}  // namespace

struct Starter::Entry {
  Entry(EventLoop& loop, NodeSpec node, std::function<void()> on_settle_bound)
      : spec(std::move(node)), settle_bound(loop, std::move(on_settle_bound)) {}
  NodeSpec spec;
  std::unique_ptr<StartProcess> process;
  UniqueFd in;  // until the link gets them
  UniqueFd out;
  MarkerReader marker;
  bool send = false;                  // rex goes there first
  std::string missing;                // why, when it was found out by a try
  std::unique_ptr<ShipChannel> ship;  // while this try sends
  bool greeted = false;
  bool failing = false;  // this try ends; only its last words are awaited
  StartEvidence evidence;
  std::function<void()> when_settled;
  std::unique_ptr<ReadWatcher> watcher;
  Timer settle_bound;
};

Starter::Starter(EventLoop& loop, ChildTable& children, const TreeOptions& options,
                 StarterIdentity identity, Handlers handlers)
    : loop_(loop),
      children_(children),
      options_(options),
      identity_(std::move(identity)),
      handlers_(std::move(handlers)),
      queue_(options.start_timeout, Uniform()),
      ship_source_(loop),
      timer_(loop, [this] { Pump(); }) {}

Starter::~Starter() = default;

Starter::Entry* Starter::Find(NodeId node) {
  const auto found = entries_.find(node);
  return found == entries_.end() ? nullptr : found->second.get();
}

void Starter::Add(const NodeSpec& node) {
  queue_.Add(node.id, loop_.clock().Now());
  auto& entry = entries_[node.id];
  if (entry) Retire(*entry);
  entry = std::make_unique<Entry>(loop_, node, [this, id = node.id] {
    if (Entry* found = Find(id)) Settled(*found);
  });
  entry->send = options_.kind == BootstrapKind::kSsh && options_.ship == ShipMode::kAlways;
  Schedule();
}

void Starter::Schedule() {
  Clock::Time due = kNever;
  if (!closed_) due = queue_.NextDue().value_or(kNever);
  for (const Retired& retired : retired_) {
    due = std::min(due, retired.process->end() ? Clock::Time(0) : retired.kill_at);
  }
  if (due == kNever) {
    timer_.Cancel();
  } else {
    timer_.Set(due - loop_.clock().Now());
  }
}

void Starter::Pump() {
  const Clock::Time now = loop_.clock().Now();
  SweepRetired();
  if (!closed_) {
    for (const NodeId node : queue_.Overdue(now)) {
      Entry& entry = *Find(node);
      entry.evidence.timed_out = true;
      Fail(entry, false);
    }
    for (const NodeId node : queue_.TakeTurns(now)) Spawn(*Find(node));
  }
  Schedule();
}

void Starter::Spawn(Entry& entry) {
  Retire(entry);
  entry.ship.reset();
  entry.marker = MarkerReader();
  entry.evidence = StartEvidence();
  entry.greeted = entry.failing = false;
  const NodeId node = entry.spec.id;
  const auto argv = CommandFor(entry);
  if (!argv) {
    entry.evidence.detail = argv.error().text;
    if (entry.send) entry.evidence.remedy = ShipRemedy(entry.evidence.detail);
    return Fail(entry, false);
  }
  const bool is_virtual = options_.kind == BootstrapKind::kVirtual;
  auto process =
      StartProcess::Spawn(loop_, children_, *argv,
                          is_virtual ? StartProcess::Kind::kRexd : StartProcess::Kind::kRemoteShell,
                          {[this, node](const std::string& line) { OnLine(node, line); },
                           [this, node] { OnProcessEnd(node); }});
  if (!process) {
    entry.evidence.detail = process.error().text;
    entry.evidence.remedy = SpawnRemedy(process.error(), is_virtual);
    return Fail(entry, false);
  }
  entry.process = std::move(*process);
  Log(LogLevel::kInfo,
      "start node=" + entry.spec.name + " pid=" + std::to_string(entry.process->pid()));
  Watch(entry);
}

Result<std::vector<std::string>> Starter::CommandFor(const Entry& entry) {
  if (!entry.send) return StartCommand(entry.spec, options_);
  const auto script = ship_source_.Script();
  if (!script) return script.error();
  return ShipCommand(entry.spec, options_, *script);
}

void Starter::Watch(Entry& entry) {
  entry.in = entry.process->TakeInput();
  entry.out = entry.process->TakeOutput();
  Status ready = SetNonBlocking(entry.in.get());
  if (ready && entry.send) ready = BeginShipping(entry);
  if (!ready) {
    entry.evidence.detail = ready.error().text;
    return Fail(entry, false);
  }
  entry.watcher = std::make_unique<ReadWatcher>(
      loop_, entry.in.get(), [this, node = entry.spec.id] { OnReadable(*Find(node)); });
}

Status Starter::BeginShipping(Entry& entry) {
  const Status set = SetNonBlocking(entry.out.get());
  if (!set) return set;
  const NodeId node = entry.spec.id;
  entry.ship = std::make_unique<ShipChannel>(
      loop_, entry.out.get(), ship_source_,
      ShipChannel::Handlers{[this, node] {
                              queue_.Extend(node, loop_.clock().Now());
                              Schedule();
                            },
                            [this, node](const Error& error) {
                              Entry& failed = *Find(node);
                              failed.evidence.detail = error.text;
                              failed.evidence.phase = StartPhase::kShip;
                              failed.evidence.remedy = ShipRemedy(error.text);
                              Fail(failed, false);
                            }});
  return Ok{};
}

bool Starter::TakeShipping(Entry& entry, std::string* bytes) {
  auto rest = entry.ship->Feed(*bytes);
  if (!rest) {
    entry.evidence.detail = rest.error().text;
    Fail(entry, false);
    return false;
  }
  *bytes = *std::move(rest);
  return true;
}

void Starter::OnReadable(Entry& entry) {
  ReadGreeting(entry);
  Schedule();
}

// False: there is nothing to read now, or no more.
bool Starter::ReadGreeting(Entry& entry) {
  std::array<char, 4096> bytes;
  const ssize_t n = ::read(entry.in.get(), bytes.data(), bytes.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {
    Fail(entry, true);
    return false;
  }
  std::string got(bytes.data(), static_cast<size_t>(n));
  if (entry.ship && !TakeShipping(entry, &got)) return true;
  const auto found = entry.marker.Feed(got);
  if (!found) {
    entry.evidence.phase = StartPhase::kMarker;
    entry.evidence.detail = found.error().text;
    Fail(entry, false);
  } else if (*found) {
    OnGreeted(entry);
  }
  return true;
}

void Starter::OnGreeted(Entry& entry) {
  const std::string& theirs = entry.marker.version();
  if (theirs != identity_.version) {
    entry.evidence.phase = StartPhase::kMarker;
    entry.evidence.detail = "'" + options_.rexd + "' is of version " + theirs +
                            " there, of version " + identity_.version + " here";
    entry.evidence.remedy = "install the same version of rex on every node";
    return Fail(entry, false);
  }
  std::string line = KeyLine(*identity_.key, {identity_.dvm, identity_.self, entry.spec.id,
                                              options_.node_timeout, options_.max_message_bytes});
  // Fits a pipe or socket that nothing was written to yet; an error shows as an end of file.
  const ssize_t n = ::write(entry.out.get(), line.data(), line.size());
  Wipe(line);
  if (n != static_cast<ssize_t>(kKeyLineBytes)) return Fail(entry, true);
  entry.watcher.reset();
  entry.ship.reset();
  entry.greeted = true;
  queue_.On(entry.spec.id, StartEvent::kMarker, loop_.clock().Now());
  handlers_.on_channel(entry.spec.id, std::move(entry.in), std::move(entry.out));
}

void Starter::OnHandshake(NodeId node) {
  queue_.On(node, StartEvent::kHandshake, loop_.clock().Now());
  Schedule();
}

bool Starter::OnFacts(NodeId node) {
  const Entry* entry = Find(node);
  if (entry == nullptr || entry->failing) return false;
  return queue_.On(node, StartEvent::kFacts, loop_.clock().Now()).has_value();
}

void Starter::OnLinkClosed(NodeId node, const Error& why) {
  Entry* entry = Find(node);
  if (entry == nullptr || entry->failing) return;
  if (why.code == Errc::kProtocol || why.code == Errc::kTimeout) entry->evidence.detail = why.text;
  Fail(*entry, entry->evidence.detail.empty());
}

// What is in the pipe still counts: the shell's words, or a greeting.
void Starter::OnProcessEnd(NodeId node) {
  Entry* entry = Find(node);
  if (entry != nullptr && entry->process && entry->process->end()) {
    const bool bad = !entry->process->end()->ok();
    const auto open = [entry] { return !entry->greeted && !entry->failing; };
    for (int turn = 0; turn < kLastReads && bad && open() && ReadGreeting(*entry); ++turn) {
    }
    if (bad && open()) Fail(*entry, true);
    Settled(*entry);
  }
  Schedule();
}

void Starter::OnLine(NodeId node, const std::string& line) {
  Entry* entry = Find(node);
  // Last words count until we end the remote shells ourselves: then they complain about that.
  if (signalled_ || entry == nullptr) return;
  if (IsKeeperNews(line)) return closed_ ? void() : Settled(*entry);
  if ((entry->greeted && !entry->failing) || options_.verbose) handlers_.on_line(entry->spec, line);
}

std::optional<StartStage> Starter::Stage(NodeId node) const { return queue_.stage(node); }

void Starter::Fail(Entry& entry, bool wait_for_words) {
  entry.failing = true;
  entry.watcher.reset();
  if (entry.ship) entry.ship->Stop();
  entry.in.Reset();
  entry.out.Reset();
  if (entry.evidence.phase == StartPhase::kSsh) {
    entry.evidence.phase = PhaseOf(queue_.state(entry.spec.id).value_or(StartState::kSpawned));
  }
  queue_.StopClock(entry.spec.id);
  const auto conclude = [this, node = entry.spec.id] {
    if (Entry* found = Find(node)) Conclude(*found);
  };
  const bool words_to_come = wait_for_words && entry.process && !entry.process->end();
  if (words_to_come) return Settle(entry, conclude);
  Later(conclude);
}

void Starter::Later(std::function<void()> task) {
  loop_.Post([alive = std::weak_ptr<bool>(alive_), task = std::move(task)] {
    if (!alive.expired()) task();
  });
}

void Starter::Conclude(Entry& entry) {
  if (closed_ || !entry.failing) return;
  StartEvidence& evidence = entry.evidence;
  evidence.noise = entry.marker.noise();
  if (entry.process) {
    evidence.errors = entry.process->errors();
    evidence.end = entry.process->end();
  }
  Retire(entry);
  if (entry.ship) entry.ship->Explain(&evidence, options_.start_timeout);
  const NodeId node = entry.spec.id;
  const Clock::Time now = loop_.clock().Now();
  if (MaySend(entry)) {
    entry.missing = ExplainStart(evidence, Context(entry.spec)).cause;
    Log(LogLevel::kInfo, "send rex node=" + entry.spec.name + " why=" + entry.missing);
    entry.send = true;
    queue_.On(node, StartEvent::kMissing, now);
    entry.failing = false;
  } else if (ServerWasBusy(evidence) && queue_.MayRetry(node)) {
    Log(LogLevel::kInfo, "start again node=" + entry.spec.name + " why=busy");
    queue_.On(node, StartEvent::kServerBusy, now);
    entry.failing = false;
  } else {
    queue_.On(node, StartEvent::kEnd, now);
    StartFailure failure = ExplainStart(evidence, Context(entry.spec));
    if (!entry.missing.empty()) failure.cause += "; before that: " + entry.missing;
    Log(LogLevel::kInfo, "start failed node=" + failure.name + " phase=" + failure.phase +
                             " cause=" + failure.cause);
    handlers_.on_failed(failure);
  }
  Schedule();
}

bool Starter::MaySend(const Entry& entry) const {
  return options_.kind == BootstrapKind::kSsh && options_.ship == ShipMode::kAuto && !entry.send &&
         RexIsMissing(entry.evidence, Context(entry.spec));
}

void Starter::ExplainLoss(NodeId node, std::string what, std::function<void(std::string)> done) {
  Entry* entry = Find(node);
  if (entry == nullptr || !entry->process) return Later([what, done] { done(what); });
  entry->failing = true;  // its lines are part of the explanation
  Settle(*entry, [this, node, what = std::move(what), done = std::move(done)] {
    Entry& lost = *Find(node);
    const std::string text = rex::ExplainLoss(
        what, lost.process->errors(), lost.process->end(),
        options_.kind == BootstrapKind::kVirtual ? "rexd" : Context(lost.spec).command);
    Retire(lost);
    Schedule();
    if (!closed_) done(text);
  });
}

void Starter::Settle(Entry& entry, std::function<void()> then) {
  entry.when_settled = std::move(then);
  const bool now = !entry.process || entry.process->end();
  entry.settle_bound.Set(now ? std::chrono::milliseconds(0) : kLossBound);
}

void Starter::Settled(Entry& entry) {
  if (!entry.when_settled) return;
  entry.settle_bound.Cancel();
  // In a turn of its own: we may be inside the process's callback.
  Later(std::exchange(entry.when_settled, nullptr));
}

void Starter::Retire(Entry& entry) {
  if (!entry.process) return;
  entry.process->Signal(SIGTERM);
  retired_.push_back({std::move(entry.process), loop_.clock().Now() + kEndBound});
}

void Starter::SweepRetired() {
  std::erase_if(retired_, [](const Retired& r) { return r.process->end().has_value(); });
  for (Retired& retired : retired_) {
    if (retired.kill_at > loop_.clock().Now()) continue;
    retired.process->Signal(SIGKILL);
    retired.kill_at = loop_.clock().Now() + kEndBound;
  }
}

void Starter::Close() {
  closed_ = true;
  for (auto& [node, entry] : entries_) {
    entry->watcher.reset();
    entry->ship.reset();
    entry->in.Reset();
    entry->out.Reset();
    entry->when_settled = nullptr;
  }
}

std::vector<pid_t> Starter::ProcessIds() const {
  std::vector<pid_t> pids;
  const auto add = [&pids](const std::unique_ptr<StartProcess>& process) {
    if (process && !process->end()) pids.push_back(process->pid());
  };
  for (const auto& [node, entry] : entries_) add(entry->process);
  for (const Retired& retired : retired_) add(retired.process);
  return pids;
}

void Starter::SignalAll(int signo) {
  signalled_ = true;
  for (const auto& [node, entry] : entries_) {
    if (entry->process) entry->process->Signal(signo);
  }
  for (const Retired& retired : retired_) retired.process->Signal(signo);
}

StartContext Starter::Context(const NodeSpec& node) const {
  StartContext context;
  context.node = node.id;
  context.name = node.name;
  context.rexd = options_.rexd;
  context.bound = options_.start_timeout;
  if (options_.kind == BootstrapKind::kSsh) context.login = LoginWords(node);
  context.command = options_.kind == BootstrapKind::kVirtual ? options_.rexd : "";
  for (const std::string& word :
       options_.kind == BootstrapKind::kSsh ? options_.ssh : std::vector<std::string>{}) {
    context.command += (context.command.empty() ? "" : " ") + word;
  }
  return context;
}

}  // namespace rex
