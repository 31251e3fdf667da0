#include "launcher/agent/member.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "launcher/agent/check_facts.h"
#include "launcher/base/log.h"

namespace rex {

namespace {
// From the end of the link to the agent's: ranks get a second between TERM and KILL. The keeper
// ends what is left a little later.
constexpr std::chrono::milliseconds kLeaveBound{3000};
constexpr std::chrono::milliseconds kCloseBound{500};
// --check waits that long, five seconds in all, for a way back that is being tried.
constexpr std::chrono::milliseconds kCheckPause{50};
constexpr int kCheckLooks = 100;

}  // namespace

Member::Member(EventLoop& loop, MemberOptions options)
    : loop_(loop),
      options_(std::move(options)),
      children_(loop),
      node_(loop, children_, std::move(options_.node),
            {[this](JobNumber job, PartEvent event) {
               if (leaving_) return;
               const bool ended = std::holds_alternative<PartEnded>(event);
               PartFrame frame = EncodePart(job, event);
               tree_->Send(kHeadNode, frame.kind, frame.frame_class, std::move(frame.payload));
               if (ended) LeaveIfUseless();
             },
             [this] { OnKeeperLost(); },
             {}}),
      sigterm_(loop, SIGTERM, [this] { OnTerminate(); }),
      loads_timer_(loop, [this] { PassLoadsOn(); }),
      leave_(loop, [this] { Finish(); }),
      check_(loop, [this] { AnswerCheck(); }) {}

Status Member::Start() {
  const Status started = node_.Start();
  if (!started) return started;
  UniqueFd in = std::move(options_.channel_in);
  UniqueFd out = std::move(options_.channel_out);
  tree_ = options_.slurm_node.empty()
              ? Tree::Join(loop_, children_, std::move(in), std::move(out), TreeHandlers())
              : Tree::JoinThroughSrun(loop_, children_, std::move(in), std::move(out),
                                      options_.slurm_node, TreeHandlers());
  return Ok{};
}

Tree::Handlers Member::TreeHandlers() {
  Tree::Handlers handlers;
  handlers.on_welcome = [this](const Welcome& welcome) { OnWelcome(welcome); };
  handlers.on_message = [this](NodeId from, uint8_t kind, FrameClass, std::string payload) {
    OnMessage(from, kind, std::move(payload));
  };
  handlers.on_uplink_message = [this](NodeId child, uint8_t kind, std::string payload) {
    return node_.OnUplinkMessage(child, kind, std::move(payload));
  };
  handlers.on_lost = [this](const std::vector<NodeId>& nodes, const Error& why) {
    OnLost(nodes, why);
  };
  return handlers;
}

void Member::OnWelcome(const Welcome& welcome) {
  dvm_nodes_ = welcome.nodes;
  ExchangePort port;
  port.self = tree_->self();
  port.parent = tree_->parent();
  port.children = [this] { return tree_->children(); };
  port.below = [this](NodeId child) -> const std::vector<NodeId>& { return tree_->below(child); };
  port.send = [this](NodeId to, uint8_t kind, FrameClass frame_class, std::string payload) {
    tree_->Send(to, kind, frame_class, std::move(payload));
  };
  port.has_uplink = [this](NodeId child) { return tree_->HasUplink(child); };
  port.send_by_uplink = [this](NodeId child, uint8_t kind, std::string payload) {
    tree_->SendByUplink(child, kind, std::move(payload));
  };
  const std::string hostname = node_.facts().name;
  node_.SetUp(tree_->self(), welcome.name, std::move(port),
              welcome.options.max_message_bytes - kMaxExchangeHeaderBytes, MakeUplinkPort(welcome));
  node_.SetImagePort(ImagePortOf(*tree_), welcome.options.kind == BootstrapKind::kVirtual
                                              ? "-" + welcome.name
                                              : std::string());
  node_.job_begin = loop_.clock().Now();
  facts_ = AgentFacts{hostname, node_.facts().slots, EncodeHardware(*node_.facts().hardware),
                      "",       REX_VERSION,         node_.facts().open_files};
  looks_ = welcome.options.looks;
  if (looks_ != LoadLooks::kNever) {
    return node_.WatchLoad([this](const FoundLoad& found) { OnFoundLoad(found); });
  }
  tree_->Ready(*std::exchange(facts_, std::nullopt));
}

UplinkPort Member::MakeUplinkPort(const Welcome& welcome) {
  UplinkPort port;
  port.may_dial = [this] { return !leaving_ && tree_->MayDialUplink(); };
  port.dial = [this](std::function<void(Result<AuthenticatedStream>)> on_done) {
    tree_->DialUplink(std::move(on_done));
  };
  port.self = tree_->self();
  port.parent = tree_->parent();
  port.parent_name = welcome.parent_name;
  port.node_timeout = welcome.options.node_timeout;
  port.max_message_bytes = welcome.options.max_message_bytes;
  return port;
}

void Member::OnFoundLoad(const FoundLoad& found) {
  if (leaving_) return;
  if (facts_) {
    facts_->foreign = found.foreign;
    facts_->capacity = found.capacity;
    return tree_->Ready(*std::exchange(facts_, std::nullopt));
  }
  loads_.Add({tree_->self(), found.foreign, found.capacity});
  PassLoadsOn();
}

Status Member::OnLoadNews(NodeId child, const std::string& payload) {
  const auto news = DecodeLoadNews(payload);
  if (!news) return news.error();
  const std::vector<NodeId>& below = tree_->below(child);
  for (const LoadNews& one : *news) {
    const bool known =
        one.node == child || std::find(below.begin(), below.end(), one.node) != below.end();
    // What was on its way when a node changed its place in the tree is old.
    if (known) loads_.Add(one);
  }
  PassLoadsOn();
  return Ok{};
}

void Member::PassLoadsOn() {
  const auto due = loads_.Due();
  if (!due || leaving_) return;
  const Clock::Time now = loop_.clock().Now();
  if (*due > now) return loads_timer_.Set(*due - now);
  tree_->Send(tree_->parent(), kLoadNewsKind, FrameClass::kControl,
              EncodeLoadNews(loads_.Take(now)));
}

// A head that can't be understood is none.
void Member::OnMessage(NodeId from, uint8_t kind, std::string payload) {
  if (leaving_) return;
  const Status taken = Take(from, kind, std::move(payload));
  if (taken) return;
  Log(LogLevel::kError, "bad message from=" + std::to_string(Index(from)) +
                            " kind=" + std::to_string(kind) + " why=" + taken.error().text);
  Leave(taken.error().text);
}

Status Member::Take(NodeId from, uint8_t kind, std::string payload) {
  if (kind >= kFirstExchangeKind && kind <= kLastExchangeKind) {
    return node_.OnExchange(from, kind, std::move(payload));
  }
  if (kind == kLoadNewsKind) return OnLoadNews(from, payload);
  if (from != kHeadNode) return Error{Errc::kProtocol, "a command that is not the head's"};
  if (kind >= kFirstImageKind && kind <= kLastImageKind) {
    return node_.OnImage(kind, std::move(payload));
  }
  if (kind == kCheckAskKind) {
    auto path = DecodeAsk(payload);
    if (!path) return path.error();
    check_path_ = *std::move(path);
    check_looks_ = 0;
    check_.Set(std::chrono::milliseconds(0));
    return Ok{};
  }
  auto command = DecodeCommand(kind, payload, dvm_nodes_);
  if (!command) return command.error();
  const bool launch = std::holds_alternative<LaunchPart>(command->body);
  if (launch && looks_ == LoadLooks::kUntilLaunch) node_.StopWatchingLoad();
  return node_.Command(command->job, std::move(command->body));
}

void Member::AnswerCheck() {
  if (leaving_) return;
  if (tree_->tries_way_back() && ++check_looks_ < kCheckLooks) return check_.Set(kCheckPause);
  CheckFacts facts = ReadCheckFacts(node_.facts().slots, node_.facts().session_dir, check_path_);
  facts.way_back = options_.slurm_node.empty() ? tree_->way_back() : "by srun's network";
  tree_->Send(kHeadNode, kCheckFactsKind, FrameClass::kControl, ToWire(facts));
}

void Member::OnLost(const std::vector<NodeId>& nodes, const Error& why) {
  const bool above = std::find(nodes.begin(), nodes.end(), kHeadNode) != nodes.end();
  if (above) return Leave(why.text);
  node_.OnNodesLost(nodes);
}

// Without its host nothing can run here any more. What was told goes out first.
void Member::LeaveIfUseless() {
  if (!node_.host_lost()) return;
  loop_.Post([this] {
    if (!node_.any_parts()) Leave("the PMIx host was killed");
  });
}

void Member::OnKeeperLost() {
  node_.FailParts(
      InternalFailure("the keeper (rexd) was killed",
                      "find out who kills processes there (the kernel's OOM killer? `dmesg`)"));
  // What was told goes out first.
  loop_.Post([this] { Leave("the keeper was killed"); });
}

void Member::OnTerminate() {
  // The step ends, on every node, and Slurm says why to the head: that is the cause, not this.
  if (!options_.slurm_node.empty()) return Leave("told to end by Slurm");
  node_.FailParts(
      InternalFailure("the agent (rexd-agent) was told to end (SIGTERM)",
                      "find out who ends processes there (a batch system at its time limit?)"));
  loop_.Post([this] { Leave("told to end by SIGTERM"); });
}

void Member::Leave(const std::string& why) {
  if (leaving_) return;
  Log(LogLevel::kInfo, "leaving why=" + why);
  leaving_ = true;
  leave_.Set(kLeaveBound);
  node_.Abandon([this] { Finish(); });
}

void Member::Finish() {
  leave_.Cancel();
  tree_->Close(kCloseBound);
  node_.CleanUp();
  loop_.Stop();
}

}  // namespace rex
