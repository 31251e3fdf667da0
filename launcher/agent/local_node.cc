#include "launcher/agent/local_node.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "launcher/base/fd.h"
#include "launcher/base/log.h"
#include "launcher/base/private_dir.h"
#include "launcher/lease/lease_message.h"
#include "sched/placement/lease_plan.h"

namespace rex {

namespace {
constexpr std::chrono::seconds kBirthBound{60};
constexpr std::chrono::seconds kTemplateBound{5};  // a batch with a template
constexpr std::chrono::milliseconds kSweepBound{3000};
constexpr uint64_t kDefaultMaxModex = uint64_t{1} << 30;

// Whether the process was started in this job, or by a rank of it, and has not hidden it.
bool IsOfNameSpace(pid_t pid, const std::string& name_space) {
  const auto environment = ReadFile("/proc/" + std::to_string(pid) + "/environ");
  if (!environment) return false;
  const std::string entry = "PMIX_NAMESPACE=" + name_space + '\0';
  const size_t at = environment->find(entry);
  return at == 0 || (at != std::string::npos && (*environment)[at - 1] == '\0');
}

Failure HostFailure(const std::string& why) {
  return InternalFailure("the PMIx host (rexd-pmix) ended: " + why,
                         "its last words may stand above; run again with REX_LOG=debug");
}

// A node that is alone.
ExchangePort NoOthers() {
  ExchangePort port;
  port.children = [] { return std::vector<NodeId>{}; };
  port.below = [](NodeId) -> const std::vector<NodeId>& {
    static const std::vector<NodeId> none;
    return none;
  };
  port.send = [](NodeId, uint8_t, FrameClass, const std::string&) {};
  return port;
}
}  // namespace

NodeFacts ReadNodeFacts(const NodeOptions& options) {
  NodeFacts node;
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  node.name = name.data();
  node.session_dir = options.session_dir;
  node.shm_dir = options.shm_dir;
  node.open_files = options.open_files;
  node.fabrics = ReadFabricFacts();
  auto topology = Topology::OfThisNode();
  if (topology) {
    node.slots = topology->usable_cores();
    node.hardware = std::make_shared<const Hardware>(HardwareOf(*topology));
    node.core_numbers = CoreNumbersOf(*topology, *node.hardware);
    node.topology = std::make_shared<const Topology>(*std::move(topology));
  } else {
    Log(LogLevel::kWarn, "topology unknown, one slot assumed why=" + topology.error().text);
    node.hardware = std::make_shared<const Hardware>(PlainHardware(1));
  }
  return node;
}

LocalNode::LocalNode(EventLoop& loop, ChildTable& children, NodeOptions options, Handlers handlers)
    : loop_(loop),
      children_(children),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      programs_(loop, options_.shm_dir, options_.session_dir),
      plug_ins_(loop, {[this](JobNumber job) {
                         const auto part = parts_.find(job);
                         return part == parts_.end() ? std::vector<Part::Sample>{}
                                                     : part->second->Samples();
                       },
                       [this](JobNumber job, PartPlugIns seen) { Tell(job, std::move(seen)); }}) {}

LocalNode::~LocalNode() = default;

Status LocalNode::Start() {
  auto maker = RankMaker::MakeSpawner(loop_, children_, kBirthBound);
  if (!maker) return maker.error();
  maker_ = std::move(*maker);
  templates_ = std::make_unique<TemplateStore>(loop_, children_, *maker_, kTemplateBound);
  ConnectHost(std::move(options_.host_fd));
  keeper_watcher_ =
      std::make_unique<ReadWatcher>(loop_, options_.keeper_fd.get(), [this] { OnKeeperGone(); });
  facts_ = ReadNodeFacts(options_);
  SetUp(kHeadNode, facts_.name, NoOthers(), kDefaultMaxModex);
  return Ok{};
}

void LocalNode::SetUp(NodeId id, const std::string& name, ExchangePort port,
                      uint64_t max_modex_bytes, std::optional<UplinkPort> uplink) {
  facts_.id = id;
  facts_.name = name;
  exchange_ = std::make_unique<Exchange>(
      Exchange::Deps{loop_, std::move(port), [this](const pmix::HostMessage& m) { SendToHost(m); },
                     [this](NodeId from, pmix::HostMessage m) {
                       if (handlers_.to_head) handlers_.to_head(from, std::move(m));
                     },
                     max_modex_bytes, options_.uplink_after,
                     [this] {
                       if (uplink_) uplink_->Want();
                     }});
  if (uplink) MakeUplink(*std::move(uplink));
}

void LocalNode::WatchLoad(std::function<void(const FoundLoad&)> on_found) {
  constexpr size_t kWords = 1024 / 64;  // where nothing is known of the cores: any thread counts
  CpuMask cpus = facts_.topology ? facts_.topology->usable_cpus() : CpuMask(kWords, ~uint64_t{0});
  load_watch_ = std::make_unique<LoadWatch>(
      loop_, WatchThisNode(std::move(cpus), facts_.slots, ::getppid()), std::move(on_found));
}

// ---- the head's word

Status LocalNode::Command(JobNumber job, PartCommand command) {
  if (auto* launch = std::get_if<LaunchPart>(&command)) {
    if (known_.contains(job)) return Error{Errc::kProtocol, "one job launched twice"};
    return MakePart(job, std::move(*launch));
  }
  if (const auto known = known_.find(job);
      known != known_.end() && std::holds_alternative<EndPart>(command)) {
    const std::string& name = known->second.launch.name_space;
    exchange_->RemoveNamespace(name);
    if (known->second.elsewhere) SendToHost(pmix::DeregisterJob{name});
    known_.erase(known);
  }
  const auto part = parts_.find(job);
  return part == parts_.end() ? Status(Ok{}) : part->second->On(std::move(command));
}

void LocalNode::SetImagePort(ImagePort port, const std::string& store_suffix) {
  store_suffix_ = store_suffix;
  images_ = std::make_unique<ImageNode>(loop_, std::move(port));
}

Status LocalNode::OnImage(uint8_t kind, std::string payload) {
  return images_ ? images_->OnMessage(kind, std::move(payload))
                 : Status(Error{Errc::kProtocol, "pieces of an image for the head"});
}

namespace {
// What several copies of an image become for a part: planned and placed when all are.
struct CopiesUnderWay {
  StageHandlers handlers;
  std::vector<std::vector<StagedProgram>> planned;
  size_t plans = 0;
  size_t placed = 0;
  bool failed = false;

  void OnPlanned(size_t copy, const std::vector<StagedApp>& apps) {
    for (const StagedApp& app : apps) {
      planned[copy].push_back({app.path,
                               app.in_place,
                               app.library_path,
                               app.directory,
                               {},
                               app.interpreter_words,
                               app.openmpi_prefix});
    }
    if (++plans < planned.size()) return;
    std::vector<StagedProgram> programs = planned[0];
    for (size_t i = 0; planned.size() > 1 && i < programs.size(); ++i) {
      for (const auto& one : planned) programs[i].copies.push_back(one[i].own_dir);
    }
    handlers.on_planned(std::move(programs));
  }
  void OnPlaced(const std::string& note) {
    if (++placed == planned.size()) handlers.on_placed(note);
  }
  void OnFailed(const StageProblem& problem) {
    if (std::exchange(failed, true)) return;
    Failure failure = InternalFailure(problem.detail, problem.remedy);
    failure.kind = problem.no_resources ? FailureKind::kNoResources : FailureKind::kNodeFailed;
    handlers.on_failed(std::move(failure));
  }
};
}  // namespace

Result<LocalNode::Staging> LocalNode::PrepareStaging(JobNumber job, const LaunchPart& launch) {
  Staging staging;
  if (launch.image.empty()) return staging;
  const auto image = ImageFromWire<Image>(launch.image);
  if (!image) return image.error();
  const uint32_t ranks = launch.map->CountOn(facts_.id);
  if (!images_ || ranks == 0) return staging;
  staging.wire = launch.image;
  staging.copies = image->private_copies ? ranks : 1;
  if (!image->private_copies) staging.shared = programs_.Use(job, *image);
  return staging;
}

void LocalNode::StageImage(JobNumber job, const std::string& name_space, const Staging& staging,
                           StageHandlers handlers) {
  const uint32_t copies = staging.copies;
  const auto shared = std::make_shared<CopiesUnderWay>();
  shared->handlers = std::move(handlers);
  shared->planned.resize(copies);
  copies_[job] = copies;
  const std::string session = options_.session_dir + "/" + name_space;
  const std::string shm = options_.shm_dir + "/" + name_space;
  for (uint32_t copy = 0; copy < copies; ++copy) {
    const std::string name = copies > 1 ? "/image" + std::to_string(copy) : "/image";
    const bool own = staging.shared.memory.empty();
    const ImageDirs dirs = own ? ImageDirs{shm + name, session + name} : staging.shared;
    const ImageFetch::Place place{ImageKey(job, copy), dirs, session, store_suffix_};
    ImageFetch::Handlers fetch;
    fetch.on_planned = [shared, copy](const std::vector<StagedApp>& apps) {
      shared->OnPlanned(copy, apps);
    };
    fetch.on_placed = [shared](const std::string& note) { shared->OnPlaced(note); };
    fetch.on_failed = [shared](const StageProblem& problem) { shared->OnFailed(problem); };
    const Status begun = images_->Begin(place, staging.wire, std::move(fetch));
    REX_CHECK(begun.has_value());  // decoded before
  }
}

Status LocalNode::MakePart(JobNumber job, LaunchPart launch) {
  auto staging = PrepareStaging(job, launch);
  if (!staging) return staging.error();
  Known& known = known_[job];
  known.launch = launch;
  known.launch.image.clear();
  exchange_->AddNamespace(launch.name_space, launch.map);
  if (launch.map->CountOn(facts_.id) == 0) {
    if (!parts_.empty()) RegisterElsewhere(job);
    return Ok{};
  }
  for (const auto& [other, of_dvm] : known_) {
    if (other != job && !parts_.contains(other)) RegisterElsewhere(other);
  }
  std::function<void(StageHandlers)> stage;
  if (staging->copies > 0) {
    stage = [this, job, name = launch.name_space, staging = *std::move(staging)](
                StageHandlers handlers) { StageImage(job, name, staging, std::move(handlers)); };
  }
  NodeFacts facts = facts_;
  facts.busy_ranks = LiveRanks();
  auto made = std::make_unique<Part>(
      PartServices{loop_, children_, *maker_, *templates_,
                   [this](const pmix::HostMessage& m) { SendToHost(m); },
                   [this, job](PartEvent event) { Tell(job, std::move(event)); },
                   [this, job] { return KillLeftoversOf(job); },
                   [this, job](const std::vector<int>& fds) { KeepLeases(job, fds); },
                   std::move(stage), job},
      std::move(facts), std::move(launch));
  Part& part = *(parts_[job] = std::move(made));
  part.Start();
  if (host_lost_) {
    part.OnHostLost(*host_lost_);
  } else if (host_ready_) {
    part.OnHostReady();
  }
  return Ok{};
}

// libpmix 4.2.2 lets ranks meet (PMIx_Connect) only when it knows all of their jobs, and does not
// ask: so a host that has ranks knows every job of the DVM.
void LocalNode::RegisterElsewhere(JobNumber job) {
  Known& known = known_.at(job);
  if (std::exchange(known.elsewhere, true) || host_lost_) return;
  SendToHost(ForeignRegistrationOf(known.launch, facts_));
}

uint32_t LocalNode::LiveRanks() const {
  uint32_t live = 0;
  for (const auto& [job, part] : parts_) live += part->live();
  return live;
}

// Events leave in a turn of their own, so that nobody is called back from inside a call.
void LocalNode::Tell(JobNumber job, PartEvent event) {
  if (std::holds_alternative<PartRunning>(event)) plug_ins_.Begin(job);
  if (std::holds_alternative<PartDrained>(event)) plug_ins_.End(job);
  if (auto* ended = std::get_if<PartEnded>(&event)) {
    plug_ins_.End(job);
    std::vector<Phase> phases;
    if (!std::exchange(start_told_, true)) phases = StartPhases();
    phases.insert(phases.end(), ended->phases.begin(), ended->phases.end());
    ended->phases = std::move(phases);
  }
  loop_.Post([this, job, event = std::move(event)]() mutable {
    const bool ended = std::holds_alternative<PartEnded>(event);
    handlers_.tell(job, std::move(event));
    if (!ended) return;
    parts_.erase(job);
    const uint32_t copies = copies_.contains(job) ? copies_.extract(job).mapped() : 0;
    for (uint32_t copy = 0; images_ && copy < copies; ++copy) images_->End(ImageKey(job, copy));
    programs_.Release(job);
    ThinkOfHost();
  });
}

Status LocalNode::OnExchange(NodeId from, uint8_t kind, std::string payload) {
  return exchange_->FromNode(from, kind, std::move(payload));
}

Status LocalNode::OnUplinkMessage(NodeId child, uint8_t kind, std::string payload) {
  return exchange_->FromUplink(child, kind, std::move(payload));
}

void LocalNode::OnNodesLost(const std::vector<NodeId>& nodes) { exchange_->OnNodesLost(nodes); }

void LocalNode::FailParts(const Failure& failure, const std::set<JobNumber>* jobs) {
  for (const auto& [job, part] : parts_) {
    if (jobs != nullptr && !jobs->contains(job)) continue;
    Failure here = failure;
    here.node = facts_.name;
    Tell(job, PartFailed{std::move(here), true});
  }
}

void LocalNode::Abandon(std::function<void()> done) {
  if (parts_.empty()) return loop_.Post(std::move(done));
  auto left = std::make_shared<size_t>(parts_.size());
  for (const auto& [job, part] : parts_) {
    part->Abandon([left, done] {
      if (--*left == 0) done();
    });
  }
}

// ---- the node's own processes

void LocalNode::OnHostMessage(pmix::HostMessage message) {
  if (const auto* ready = std::get_if<pmix::HostReady>(&message)) return OnHostReady(*ready);
  if (const auto* lost = std::get_if<pmix::UplinkLost>(&message)) {
    had_uplink_.clear();
    for (const auto& [job, part] : parts_) had_uplink_.insert(job);
    if (uplink_) uplink_->OnHostSaysLost(lost->why);
    return;
  }
  CountTools(message);
  TakeOutOwn(&message);
  if (exchange_->FromHost(std::move(message))) return;
  // As it was: it was not the exchange's. Parts pick what is theirs by its namespace.
  for (const auto& [job, part] : parts_)
    part->OnHostMessage(message);  // NOLINT(bugprone-use-after-move)
}

void LocalNode::TakeOutOwn(pmix::HostMessage* message) const {
  auto* spawn = std::get_if<pmix::Spawn>(message);
  if (spawn == nullptr) return;
  for (const auto& [job, part] : parts_) {
    if (part->name_space() == spawn->proc.name_space) part->TakeOutOwn(spawn);
  }
}

void LocalNode::OnHostClosed(const Error& error) {
  host_lost_ = HostFailure(error.text);
  if (uplink_) uplink_->OnHostGone();
  exchange_->OnHostLost();
  for (const auto& [job, part] : parts_) part->OnHostLost(*host_lost_);
  if (handlers_.on_host_lost) handlers_.on_host_lost(*host_lost_);
}

// Without the keeper they end with this process, which is no different when nobody is killed.
void LocalNode::KeepLeases(JobNumber job, const std::vector<int>& fds) {
  const int keeper = options_.keeper_fd.get();
  const bool told = fds.empty() ? SendLeasesEnd(keeper, job) : SendLeases(keeper, job, fds);
  if (!told) Log(LogLevel::kDebug, "the keeper was not told of leases job=" + std::to_string(job));
}

void LocalNode::OnKeeperGone() {
  keeper_watcher_->Enable(false);
  if (keeper_lost_) return;
  keeper_lost_ = true;
  handlers_.on_keeper_lost();
}

// With other jobs here, only what shows whose it is: what hides it goes with the last job.
std::vector<ProcessInfo> LocalNode::KillLeftoversOf(JobNumber job) {
  const bool alone = std::all_of(parts_.begin(), parts_.end(), [job](const auto& other) {
    return other.first == job || other.second->state() == PartState::kEnded;
  });
  if (alone) return KillLeftovers([](pid_t) { return true; });
  const auto known = parts_.find(job);
  const std::string name = known == parts_.end() ? "" : known->second->name_space();
  return KillLeftovers([&name](pid_t pid) { return IsOfNameSpace(pid, name); });
}

std::vector<ProcessInfo> LocalNode::KillLeftovers(const std::function<bool(pid_t)>& which) {
  std::vector<ProcessInfo> killed;
  const auto deadline = loop_.clock().Now() + kSweepBound;
  for (;;) {
    // What the agent started itself (the spawner, templates about to end, the nodes below with all
    // that runs there) is left to it.
    auto left = FindDescendants(::getpid(), [this](pid_t pid) { return children_.Contains(pid); });
    std::erase_if(left, [&](const ProcessInfo& p) { return !which(p.pid); });
    if (left.empty() || loop_.clock().Now() >= deadline) return killed;
    for (const ProcessInfo& p : left) {
      ::kill(p.pid, SIGKILL);
      const bool known = std::any_of(killed.begin(), killed.end(),
                                     [&](const ProcessInfo& k) { return k.pid == p.pid; });
      if (!known) killed.push_back(p);
    }
    children_.Reap();
    ::usleep(500);
  }
}

void LocalNode::CleanUp() {
  templates_->Clear();
  if (!keeper_lost_) return;  // its duties fall to us
  KillLeftovers([](pid_t) { return true; });
  RemoveTree(options_.session_dir);
  RemoveTree(options_.shm_dir);
}

std::vector<Phase> LocalNode::StartPhases() const {
  std::vector<Phase> phases;
  if (options_.keeper_begin.count() > 0) {
    phases.push_back(
        {"keeper", options_.keeper_begin, options_.agent_begin, facts_.name, "keeper", ""});
  }
  phases.push_back({"agent", options_.agent_begin, job_begin, facts_.name, "agent", ""});
  if (host_ready_) {
    phases.push_back(
        {"host", host_ready_->init_begin, host_ready_->init_end, facts_.name, "host", ""});
  }
  return phases;
}

}  // namespace rex
