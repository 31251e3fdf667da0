#include "launcher/tree/srun_starter.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include "launcher/base/log.h"
#include "launcher/tree/join_lines.h"
#include "launcher/tree/srun_command.h"
#include "launcher/tree/start_text.h"

extern char** environ;

namespace rex {

namespace {

constexpr std::chrono::milliseconds kWordsBound{500};
// While nodes start, srun names the one that failed before or after it ends all others, and on a
// busy machine seconds apart: its own end is awaited that long.
constexpr std::chrono::milliseconds kStepEndBound{5000};
constexpr std::chrono::seconds kLeastLifetime{300};  // of the credential: munge's own default
constexpr size_t kMaxLineBytes = 8 << 10;

constexpr std::string_view kMungeRemedy =
    "is munged running on this machine? `munge -n | unmunge`; without munge start the agents by "
    "ssh";

StartPhase PhaseOf(StartState state) {
  if (state == StartState::kGreeted) return StartPhase::kHandshake;
  return state == StartState::kJoined ? StartPhase::kReady : StartPhase::kSsh;
}

}  // namespace

struct SrunStarter::Node {
  Node(EventLoop& loop, NodeSpec what, std::function<void()> on_settle_bound)
      : spec(std::move(what)), settle_bound(loop, std::move(on_settle_bound)) {}
  NodeSpec spec;
  StartState state = StartState::kQueued;
  Clock::Time since{0};  // in this state
  bool failing = false;
  Blame blame = Blame::kNone;
  std::string words;  // the end of what its daemons said, and Slurm of it
  StartEvidence evidence;
  std::function<void()> when_settled;
  Timer settle_bound;
};

SrunStarter::SrunStarter(EventLoop& loop, ChildTable& children, const TreeOptions& options,
                         BroadcastTicket ticket, Handlers handlers, Encode encode)
    : loop_(loop),
      children_(children),
      options_(options),
      ticket_(std::move(ticket)),
      handlers_(std::move(handlers)),
      encode_(encode),
      bound_(loop, [this] { OnBound(); }) {}

SrunStarter::~SrunStarter() = default;

void SrunStarter::Later(std::function<void()> task) {
  loop_.Post([alive = std::weak_ptr<bool>(alive_), task = std::move(task)] {
    if (!alive.expired()) task();
  });
}

SrunStarter::Node* SrunStarter::Find(NodeId node) {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                  [node](const auto& n) { return n->spec.id == node; });
  return found == nodes_.end() ? nullptr : found->get();
}

std::optional<StartStage> SrunStarter::Stage(NodeId id) const {
  for (const auto& node : nodes_) {
    if (node->spec.id == id) return StartStage{node->state, node->since};
  }
  return std::nullopt;
}

SrunStarter::Node* SrunStarter::OfTask(std::optional<size_t> task) {
  return task && *task < nodes_.size() ? nodes_[*task].get() : nullptr;
}

std::vector<NodeSpec> SrunStarter::Specs() const {
  std::vector<NodeSpec> specs;
  for (const auto& node : nodes_) specs.push_back(node->spec);
  return specs;
}

bool SrunStarter::Open(const Node& node) const {
  return !node.failing && node.state != StartState::kReady && node.state != StartState::kFailed;
}

void SrunStarter::Move(Node& node, StartEvent event) {
  const auto next = NextStart(node.state, event);
  if (!next) return;
  node.state = *next;
  node.since = loop_.clock().Now();
}

// ---- starting

void SrunStarter::Add(const NodeSpec& node) {
  REX_CHECK(process_ == nullptr && Find(node.id) == nullptr);
  nodes_.push_back(std::make_unique<Node>(loop_, node, [this, id = node.id] {
    if (Node* found = Find(id)) Settled(*found);
  }));
  if (nodes_.size() == 1) Later([this] { Begin(); });
}

void SrunStarter::Begin() {
  if (closed_) return;
  for (const auto& node : nodes_) Move(*node, StartEvent::kTurn);
  if (ticket_.port == 0) {
    return FailAll("node " + ticket_.parent_name + " can't listen for TCP connections", "");
  }
  bound_.Set(options_.start_timeout);
  Spawn();
  if (process_) EncodeTicket();
}

void SrunStarter::Spawn() {
  const auto argv = SrunCommand(Specs(), options_);
  if (!argv) return FailAll(argv.error().text, "");
  auto process = StartProcess::Spawn(
      loop_, children_, *argv, SrunEnvironment(environ), StartProcess::Kind::kRemoteShell,
      {[this](const std::string& line) { OnLine(line); }, [this] { OnEnd(); }});
  if (!process) return FailAll(process.error().text, "put Slurm's srun into PATH");
  process_ = std::move(*process);
  Log(LogLevel::kInfo, "start nodes=" + std::to_string(nodes_.size()) +
                           " srun pid=" + std::to_string(process_->pid()));
  in_ = process_->TakeInput();
  out_ = process_->TakeOutput();
  for (const UniqueFd* fd : {&in_, &out_}) {
    if (const Status set = SetNonBlocking(fd->get()); !set) return FailAll(set.error().text, "");
  }
  read_watcher_ = std::make_unique<ReadWatcher>(loop_, in_.get(), [this] { ReadOutput(); });
}

// munge answers in a millisecond, or hangs: so in a thread, which nobody waits for.
void SrunStarter::EncodeTicket() {
  BroadcastTicket ticket = ticket_;
  ticket.nodes = Specs();
  const auto lifetime = std::max<std::chrono::seconds>(kLeastLifetime, options_.start_timeout);
  std::thread([loop = &loop_, alive = std::weak_ptr<bool>(alive_), this, encode = encode_, lifetime,
               secret = ToWire(ticket)]() mutable {
    auto credential = encode(secret, lifetime);
    Wipe(secret);
    loop->Post([alive, this, credential = std::move(credential)] {
      if (!alive.expired()) OnCredential(credential);
    });
  }).detach();
}

void SrunStarter::OnCredential(Result<std::string> credential) {
  if (closed_ || !out_) return;
  if (!credential) {
    FailAll(credential.error().text, std::string(kMungeRemedy));
    return process_->Signal(SIGTERM);
  }
  credential_ = *std::move(credential) + "\n";
  write_watcher_ = std::make_unique<WriteWatcher>(loop_, out_.get(), [this] { WriteCredential(); });
  write_watcher_->Enable(true);
}

// More than a pipe holds, with a thousand nodes. An error shows as srun's end.
void SrunStarter::WriteCredential() {
  const ssize_t n = ::write(out_.get(), credential_.data(), credential_.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  credential_.erase(0, n < 0 ? credential_.size() : static_cast<size_t>(n));
  if (credential_.empty()) write_watcher_->Enable(false);
}

// ---- what srun says

void SrunStarter::ReadOutput() {
  std::array<char, 16 << 10> bytes;
  const ssize_t n = ::read(in_.get(), bytes.data(), bytes.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return read_watcher_->Enable(false);
  line_.append(bytes.data(), static_cast<size_t>(n));
  for (size_t end = line_.find('\n'); end != line_.npos; end = line_.find('\n')) {
    const std::string line = line_.substr(0, end);
    line_.erase(0, end + 1);
    OnOutput(line);
  }
  if (line_.size() > kMaxLineBytes) line_.clear();
}

void SrunStarter::OnOutput(std::string_view line) {
  const SrunLine said = ParseSrunLine(line);
  if (said.text.starts_with(kMarkerStart)) {
    return OnGreeting(said.task, said.text.substr(kMarkerStart.size()));
  }
  Node* node = OfTask(said.task);
  KeepEnd(node != nullptr ? &node->words : &said_, std::string(said.text) + "\n");
}

// "VERSION NODE"
void SrunStarter::OnGreeting(std::optional<size_t> task, std::string_view greeting) {
  Node* node = OfTask(task);
  const size_t space = greeting.find(' ');
  if (node == nullptr || space == greeting.npos || !Open(*node)) return;
  const std::string version(greeting.substr(0, space));
  const std::string name(greeting.substr(space + 1));
  StartEvidence evidence;
  evidence.phase = StartPhase::kMarker;
  if (version != ticket_.version) {
    evidence.detail = "'" + options_.rexd + "' is of version " + version + " there, of version " +
                      ticket_.version + " here";
    evidence.remedy = "install the same version of rex on every node";
    return Fail(*node, evidence, false);
  }
  if (name != node->spec.name) {
    evidence.detail = "srun's task " + std::to_string(*task) + " is on node " + name;
    evidence.remedy = "this Slurm does not keep the order of --nodelist; start the agents by ssh";
    return Fail(*node, evidence, false);
  }
  Move(*node, StartEvent::kMarker);
}

void SrunStarter::OnLine(const std::string& line) {
  if (closed_) return;
  const SrunLine said = ParseSrunLine(line);
  if (step_end_.empty() && IsStepEnd(said.text)) OnStepEnd(said.text);
  Node* node = OfTask(said.task);
  if (node != nullptr) return OnNodeLine(*node, said.text);
  OnSlurmLine(line);
}

// Of a step that ran this explains all; of one that was just starting it may be the consequence.
void SrunStarter::OnStepEnd(std::string_view line) {
  step_end_ = WithoutSrunPrefix(line);
  for (const auto& node : nodes_) {
    if (EverythingSaid())
      Settled(*node);
    else if (node->when_settled)
      node->settle_bound.Set(kStepEndBound);
  }
}

void SrunStarter::OnNodeLine(Node& node, std::string_view text) {
  KeepEnd(&node.words, std::string(text) + "\n");
  constexpr std::string_view kCantJoin = "rexd: can't join: ";
  if (text.starts_with(kCantJoin) && Open(node)) {
    StartEvidence evidence;
    evidence.detail = text.substr(kCantJoin.size());
    evidence.remedy = "every node must reach this one over TCP: see SrunPortRange and firewalls";
    return Fail(node, evidence, false);
  }
  if (IsKeeperNews(text)) return Settled(node);
  const bool of_slurm = text.starts_with("slurmstepd");
  if (Open(node) && !IsStepEnd(text)) node.blame = std::max(node.blame, Blame::kSpoke);
  if (options_.verbose || (node.state == StartState::kReady && !of_slurm && !node.failing)) {
    handlers_.on_line(node.spec, std::string(text));
  }
}

void SrunStarter::OnSlurmLine(const std::string& line) {
  KeepEnd(&said_, line + "\n");
  const BlamedNodes blamed = FindBlamed(line, Specs());
  for (const size_t index : blamed.nodes) {
    Node& node = *nodes_[index];
    node.blame = std::max(node.blame, blamed.how);
    KeepEnd(&node.words, line + "\n");
    // A task's own words may come behind; where none was launched there are none.
    if (Open(node)) Fail(node, StartEvidence(), blamed.how == Blame::kTask);
  }
  if (!EverythingSaid()) return;
  for (const auto& node : nodes_) Settled(*node);
  if (options_.verbose) handlers_.on_line(NodeSpec{NodeId{}, "srun", "", 0}, line);
}

// ---- links

void SrunStarter::OnHandshake(NodeId id) {
  Node* node = Find(id);
  if (node == nullptr || !Open(*node)) return;
  Move(*node, StartEvent::kMarker);  // its line may be on its way still
  Move(*node, StartEvent::kHandshake);
}

bool SrunStarter::OnFacts(NodeId id) {
  Node* node = Find(id);
  if (node == nullptr || !Open(*node) || node->state != StartState::kJoined) return false;
  Move(*node, StartEvent::kFacts);
  const bool all = std::none_of(nodes_.begin(), nodes_.end(),
                                [this](const auto& other) { return Open(*other); });
  if (all) bound_.Cancel();
  return true;
}

void SrunStarter::OnLinkClosed(NodeId id, const Error& why) {
  Node* node = Find(id);
  if (node == nullptr || !Open(*node)) return;
  StartEvidence evidence;
  evidence.detail = why.code == Errc::kProtocol ? why.text : "";
  Fail(*node, evidence, true);
}

void SrunStarter::ExplainLoss(NodeId id, std::string what, std::function<void(std::string)> done) {
  Node* node = Find(id);
  if (node == nullptr) return Later([what, done] { done(what); });
  node->failing = true;  // its lines are part of the explanation
  Settle(*node, [this, node, what = std::move(what), done = std::move(done)] {
    if (!closed_) done(LossText(*node, what));
  });
}

std::string SrunStarter::LossText(const Node& node, const std::string& what) const {
  const auto end = process_ ? process_->end() : std::nullopt;
  if (const std::string why = GivenUpBecause(node); !why.empty()) return what + "; " + why;
  if (!step_end_.empty()) return what + "; " + std::string(kSlurmSays) + step_end_;
  return rex::ExplainLoss(what, node.words, end, "srun");
}

// ---- ends

void SrunStarter::OnBound() {
  for (const auto& node : nodes_) {
    if (!Open(*node)) continue;
    StartEvidence evidence;
    evidence.timed_out = true;
    Fail(*node, evidence, false);
  }
}

void SrunStarter::OnEnd() {
  if (closed_) return;
  ReadOutput();
  FailAfterEnd();
  for (const auto& node : nodes_) Settled(*node);
}

void SrunStarter::FailAfterEnd() {
  for (const auto& node : nodes_) {
    if (Open(*node)) Fail(*node, StartEvidence(), false);
  }
}

bool SrunStarter::Starting() const {
  return std::any_of(nodes_.begin(), nodes_.end(), [this](const auto& n) { return Open(*n); });
}

bool SrunStarter::StepIsOver() const { return !step_end_.empty() || (process_ && process_->end()); }

bool SrunStarter::EverythingSaid() const {
  return !process_ || process_->end() || (!step_end_.empty() && !Starting());
}

// srun gives all nodes up when it can't start one: that one is to be named. How the tasks of a step
// that was ended as a whole, or of nodes that were ready, came to their ends says nothing.
std::string SrunStarter::GivenUpBecause(const Node& node) const {
  if (!StepIsOver()) return "";
  std::vector<Blame> blames;
  size_t self = 0;
  for (const auto& other : nodes_) {
    if (other.get() == &node) self = blames.size();
    blames.push_back(other->blame);
  }
  const bool launching = step_end_.empty() && node.state != StartState::kReady;
  const auto culprit = Culprit(blames, self, launching ? Blame::kSpoke : Blame::kLaunch);
  return culprit ? "srun gave it up because of node " + nodes_[*culprit]->spec.name : "";
}

void SrunStarter::FailAll(const std::string& detail, const std::string& remedy) {
  StartEvidence evidence;
  evidence.detail = detail;
  evidence.remedy = remedy;
  for (const auto& node : nodes_) {
    if (Open(*node)) Fail(*node, evidence, false);
  }
}

void SrunStarter::Fail(Node& node, StartEvidence evidence, bool wait_for_words) {
  node.failing = true;
  node.evidence = std::move(evidence);
  if (node.evidence.phase == StartPhase::kSsh) node.evidence.phase = PhaseOf(node.state);
  const auto conclude = [this, &node] { Conclude(node); };
  const bool words_to_come = wait_for_words && process_ && !process_->end();
  if (words_to_come) return Settle(node, conclude);
  Later(conclude);
}

std::string SrunStarter::Words(const Node& node) const { return said_ + node.words; }

void SrunStarter::Conclude(Node& node) {
  if (closed_ || node.state == StartState::kFailed) return;
  node.state = StartState::kFailed;
  const std::string why = GivenUpBecause(node);
  if (!why.empty() && node.evidence.detail.empty() && !node.evidence.timed_out) {
    node.evidence.phase = StartPhase::kParent;
    node.evidence.detail = why;
  }
  node.evidence.errors = Words(node);
  if (process_) node.evidence.end = process_->end();
  StartContext context;
  context.node = node.spec.id;
  context.name = node.spec.name;
  context.command = "srun --overlap -N1 -w";
  context.program = "srun";
  context.rexd = options_.rexd;
  context.bound = options_.start_timeout;
  const StartFailure failure = ExplainStart(node.evidence, context);
  Log(LogLevel::kInfo,
      "start failed node=" + failure.name + " phase=" + failure.phase + " cause=" + failure.cause);
  handlers_.on_failed(failure);
}

void SrunStarter::Settle(Node& node, std::function<void()> then) {
  node.when_settled = std::move(then);
  const auto bound = Starting() ? kStepEndBound : kWordsBound;
  node.settle_bound.Set(EverythingSaid() ? std::chrono::milliseconds(0) : bound);
}

void SrunStarter::Settled(Node& node) {
  if (!node.when_settled) return;
  node.settle_bound.Cancel();
  // In a turn of its own: we may be inside the process's callback.
  Later(std::exchange(node.when_settled, nullptr));
}

void SrunStarter::Close() {
  closed_ = true;
  bound_.Cancel();
  read_watcher_.reset();
  write_watcher_.reset();
  for (const auto& node : nodes_) node->when_settled = nullptr;
}

std::vector<pid_t> SrunStarter::ProcessIds() const {
  if (!process_ || process_->end()) return {};
  return {process_->pid()};
}

void SrunStarter::SignalAll(int signo) {
  if (process_) process_->Signal(signo);
}

}  // namespace rex
