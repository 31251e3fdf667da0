#include "launcher/wire/messages.h"

#include <algorithm>

#include "launcher/base/decode.h"
#include "launcher/wire/convert.h"
#include "launcher/wire/launch.pb.h"

namespace rex {

namespace {

constexpr int kMaxSignal = 64;  // signal(7): the highest real-time signal
constexpr uint32_t kMaxMilliseconds = 0x7fffffff;
constexpr int64_t kMaxMicroseconds = int64_t{1} << 53;  // 285 years; differences can't overflow

constexpr size_t kMaxNameBytes = 255;   // of a host or a user
constexpr size_t kMaxListBytes = 4096;  // of cpus
constexpr int kMaxPprNumbers = 32;
constexpr uint32_t kMaxBoundSeconds = 86400;  // a day

bool HasNul(const std::string& s) { return s.find('\0') != std::string::npos; }

Status TakeStrings(const google::protobuf::RepeatedPtrField<std::string>& in, const char* field,
                   std::vector<std::string>* out) {
  for (const auto& s : in) {
    if (HasNul(s)) return Bad(field);
    out->push_back(s);
  }
  return Ok{};
}

void PlaceToPb(const PlacePolicy& in, pb::Place* out) {
  out->set_map(static_cast<uint32_t>(in.map));
  out->set_map_object(static_cast<uint32_t>(in.map_object));
  for (const PprPart& part : in.ppr) {
    out->add_ppr(part.count);
    out->add_ppr(part.per_node ? kHwObjects : static_cast<uint32_t>(part.object));
  }
  out->set_map_is_default(in.map_is_default);
  out->set_span(in.span);
  out->set_device(in.device);
  out->set_rank(static_cast<uint32_t>(in.rank));
  out->set_rank_object(static_cast<uint32_t>(in.rank_object));
  out->set_rank_order(static_cast<uint32_t>(in.rank_order));
  out->set_bind(static_cast<uint32_t>(in.bind));
  out->set_bind_object(static_cast<uint32_t>(in.bind_object));
  out->set_bind_is_default(in.bind_is_default);
  out->set_overload(in.overload);
  out->set_ordered(in.ordered);
  out->set_cpu_list(in.cpu_list);
  out->set_cpus_per_rank(in.cpus_per_rank);
  out->set_hwthread_cpus(in.hwthread_cpus);
}

// Takes an enumeration's number; `last` is the highest.
template <typename Enum>
bool TakeEnum(uint32_t number, Enum last, Enum* out) {
  if (number > static_cast<uint32_t>(last)) return false;
  *out = static_cast<Enum>(number);
  return true;
}

Status TakePpr(const pb::Place& m, PlacePolicy* out) {
  if (m.ppr_size() % 2 != 0 || m.ppr_size() > kMaxPprNumbers) return Bad("Place.ppr");
  for (int i = 0; i < m.ppr_size(); i += 2) {
    PprPart part{.count = m.ppr(i), .per_node = m.ppr(i + 1) == kHwObjects};
    if (part.count == 0 || part.count > kMaxRanks) return Bad("Place.ppr");
    const bool known = part.per_node || TakeEnum(m.ppr(i + 1), HwObject::kHwthread, &part.object);
    if (!known) return Bad("Place.ppr");
    out->ppr.push_back(part);
  }
  return out->ppr.empty() == (out->map != MapBy::kPpr) ? Status(Ok{}) : Bad("Place.ppr");
}

Result<PlacePolicy> PlaceFromPb(const pb::Place& m) {
  PlacePolicy out;
  if (!TakeEnum(m.map(), MapBy::kLoad, &out.map)) return Bad("Place.map");
  if (!TakeEnum(m.map_object(), HwObject::kHwthread, &out.map_object)) return Bad("Place.map");
  if (auto s = TakePpr(m, &out); !s) return s.error();
  const bool ranks = TakeEnum(m.rank(), RankBy::kObject, &out.rank) &&
                     TakeEnum(m.rank_object(), HwObject::kHwthread, &out.rank_object) &&
                     TakeEnum(m.rank_order(), RankOrder::kFill, &out.rank_order);
  if (!ranks) return Bad("Place.rank");
  const bool binds = TakeEnum(m.bind(), BindTo::kCpuList, &out.bind) &&
                     TakeEnum(m.bind_object(), HwObject::kHwthread, &out.bind_object);
  if (!binds) return Bad("Place.bind");
  if (m.device().size() > kMaxNameBytes || HasNul(m.device())) return Bad("Place.device");
  if (m.cpu_list().size() > kMaxListBytes || HasNul(m.cpu_list())) return Bad("Place.cpu_list");
  if (m.cpus_per_rank() > kMaxCpusPerRank) return Bad("Place.cpus_per_rank");
  out.map_is_default = m.map_is_default();
  out.span = m.span();
  out.device = m.device();
  out.bind_is_default = m.bind_is_default();
  out.overload = m.overload();
  out.ordered = m.ordered();
  out.cpu_list = m.cpu_list();
  out.cpus_per_rank = m.cpus_per_rank();
  out.hwthread_cpus = m.hwthread_cpus();
  return out;
}

// Places that are named rank by rank. `nodes`: how many there are.
Status TakeFixed(const pb::App& m, uint32_t nodes, AppSpec* app) {
  const auto named = static_cast<uint32_t>(m.fixed_size());
  if (named > 0 && named != m.ranks()) return Bad("App.fixed");
  for (const uint32_t node : m.fixed()) {
    if (node >= std::max(nodes, 1U)) return Bad("App.fixed");
    app->fixed.push_back(node);
  }
  const auto lists = static_cast<uint32_t>(m.slot_lists_size());
  if (lists > 0 && lists != m.ranks()) return Bad("App.slot_lists");
  for (const std::string& list : m.slot_lists()) {
    if (list.size() > kMaxListBytes || HasNul(list)) return Bad("App.slot_lists");
    app->slot_lists.push_back(list);
  }
  return Ok{};
}

// `nodes`: how many the job names.
Result<AppSpec> AppFromPb(const pb::App& m, uint32_t nodes) {
  AppSpec app;
  if (m.argv_size() == 0 || m.argv(0).empty()) return Bad("App.argv");
  if (m.ranks() > kMaxRanks) return Bad("App.ranks");
  if (m.per_node() > kMaxRanks) return Bad("App.per_node");
  if (m.gpus_per_rank() > kMaxGpusPerRank) return Bad("App.gpus_per_rank");
  app.gpus_per_rank = m.gpus_per_rank();
  for (const uint32_t node : m.nodes()) {
    if (node >= nodes) return Bad("App.nodes");
    app.nodes.push_back(node);
  }
  app.per_node = m.per_node();
  auto place = PlaceFromPb(m.place());
  if (!place) return place.error();
  app.place = *std::move(place);
  if (auto s = TakeFixed(m, nodes, &app); !s) return s.error();
  if (!m.wdir().empty() && (m.wdir()[0] != '/' || HasNul(m.wdir()))) return Bad("App.wdir");
  if (HasNul(m.search_path())) return Bad("App.search_path");
  if (auto s = TakeStrings(m.argv(), "App.argv", &app.argv); !s) return s.error();
  if (auto s = TakeStrings(m.env(), "App.env", &app.env); !s) return s.error();
  app.ranks = m.ranks();
  app.wdir = m.wdir();
  app.search_path = m.search_path();
  return app;
}

Result<NodeRequest> NodeFromPb(const pb::NodeRequest& m) {
  if (m.name().empty() || m.name().size() > kMaxNameBytes || HasNul(m.name())) {
    return Bad("NodeRequest.name");
  }
  if (m.slots() > kMaxRanks) return Bad("NodeRequest.slots");
  if (m.user().size() > kMaxNameBytes || HasNul(m.user())) return Bad("NodeRequest.user");
  if (m.port() > UINT16_MAX) return Bad("NodeRequest.port");
  if (m.max_slots() > kMaxRanks) return Bad("NodeRequest.max_slots");
  return NodeRequest{m.name(), m.here(), m.slots(), m.user(), m.port(), m.max_slots()};
}

void StageToPb(const StageSpec& in, pb::Stage* out) {
  out->set_mode(static_cast<uint32_t>(in.mode));
  out->set_creation(static_cast<uint32_t>(in.creation));
  out->set_transport(static_cast<uint32_t>(in.transport));
  out->set_store(static_cast<uint32_t>(in.store));
  out->set_store_dir(in.store_dir);
  out->set_store_bytes(in.store_bytes);
  out->set_hold_ms(static_cast<uint32_t>(in.hold.count()));
  for (const std::string& file : in.preload_files) out->add_preload_files(file);
}

bool IsAbsolute(const std::string& path) {
  return !path.empty() && path[0] == '/' && !HasNul(path) && path.size() <= 4096;
}

Result<StageSpec> StageFromPb(const pb::Stage& m) {
  StageSpec stage;
  if (m.mode() > static_cast<uint32_t>(StageRequest::kNever)) return Bad("Stage.mode");
  if (m.creation() > static_cast<uint32_t>(CreationRequest::kSingle)) return Bad("Stage.creation");
  if (m.store() > static_cast<uint32_t>(StoreRequest::kDirectory)) return Bad("Stage.store");
  if (m.transport() > static_cast<uint32_t>(TransportRequest::kMulticast)) {
    return Bad("Stage.transport");
  }
  stage.transport = static_cast<TransportRequest>(m.transport());
  stage.mode = static_cast<StageRequest>(m.mode());
  stage.creation = static_cast<CreationRequest>(m.creation());
  stage.store = static_cast<StoreRequest>(m.store());
  const bool named = stage.store == StoreRequest::kDirectory;
  if (named ? !IsAbsolute(m.store_dir()) : !m.store_dir().empty()) return Bad("Stage.store_dir");
  if (m.hold_ms() > kMaxMilliseconds) return Bad("Stage.hold_ms");
  if (m.preload_files_size() > static_cast<int>(kMaxPreloadFiles))
    return Bad("Stage.preload_files");
  for (const std::string& file : m.preload_files()) {
    if (!IsAbsolute(file)) return Bad("Stage.preload_files");
    stage.preload_files.push_back(file);
  }
  stage.store_dir = m.store_dir();
  stage.store_bytes = m.store_bytes();
  stage.hold = std::chrono::milliseconds(m.hold_ms());
  return stage;
}

Status TakeBounds(const pb::Dvm& m, DvmSpec* out) {
  if (m.start_timeout_s() < 1 || m.start_timeout_s() > kMaxBoundSeconds) {
    return Bad("Dvm.start_timeout_s");
  }
  if (m.node_timeout_s() < 1 || m.node_timeout_s() > kMaxBoundSeconds) {
    return Bad("Dvm.node_timeout_s");
  }
  if (m.max_modex_bytes() == 0) return Bad("Dvm.max_modex_bytes");
  out->start_timeout = std::chrono::seconds(m.start_timeout_s());
  out->node_timeout = std::chrono::seconds(m.node_timeout_s());
  out->max_modex_bytes = m.max_modex_bytes();
  return Ok{};
}

Status TakeDescribed(const pb::LaunchJob& m, std::vector<DescribedNode>* nodes) {
  if (m.described_size() > static_cast<int>(kMaxDescribedNodes)) return Bad("described");
  if (m.described_size() > 0 && !m.do_not_launch()) return Bad("described");
  for (const pb::DescribedNode& d : m.described()) {
    const bool named = !d.name().empty() && d.name().size() <= kMaxNameBytes && !HasNul(d.name());
    if (!named) return Bad("DescribedNode.name");
    if (d.slots() > kMaxRanks) return Bad("DescribedNode.slots");
    const bool known = d.topology() < static_cast<uint32_t>(m.topologies_size());
    if (!known) return Bad("DescribedNode.topology");
    if (d.load() > kMostMaxLoad) return Bad("DescribedNode.load");
    nodes->push_back({d.name(), d.slots(), d.topology(), d.load()});
  }
  return Ok{};
}

void LoadToPb(const LoadRequest& in, pb::Load* out) {
  out->set_lightest_first(in.lightest_first);
  out->set_limited(in.max_load != kNoMaxLoad);
  if (in.max_load != kNoMaxLoad) out->set_max_load(in.max_load);
  out->set_wait_s(static_cast<uint32_t>(in.wait.count()));
}

Status TakeLoad(const pb::Load& m, LoadRequest* out) {
  if (m.max_load() > kMostMaxLoad) return Bad("Load.max_load");
  if (m.wait_s() > kMaxBoundSeconds) return Bad("Load.wait_s");
  out->lightest_first = m.lightest_first();
  if (m.limited()) out->max_load = m.max_load();
  out->wait = std::chrono::seconds(m.wait_s());
  return Ok{};
}

}  // namespace

void DvmToPb(const DvmSpec& in, pb::Dvm* out) {
  for (const NodeRequest& node : in.nodes) {
    pb::NodeRequest* n = out->add_nodes();
    n->set_name(node.name);
    n->set_here(node.here);
    n->set_slots(node.slots);
    n->set_user(node.user);
    n->set_port(node.port);
    n->set_max_slots(node.max_slots);
  }
  out->set_bootstrap(static_cast<pb::Dvm::Bootstrap>(in.bootstrap));
  out->set_tree(static_cast<pb::Dvm::Tree>(in.tree));
  out->set_ship(static_cast<pb::Dvm::Ship>(in.ship));
  for (const auto& word : in.ssh) out->add_ssh(word);
  out->set_rexd(in.rexd);
  out->set_start_timeout_s(static_cast<uint32_t>(in.start_timeout.count()));
  out->set_node_timeout_s(static_cast<uint32_t>(in.node_timeout.count()));
  out->set_max_modex_bytes(in.max_modex_bytes);
  out->set_allow_missing(in.allow_missing);
  out->set_pool(in.pool);
  out->set_max_slots(in.max_slots);
}

Result<DvmSpec> DvmFromPb(const pb::Dvm& m) {
  DvmSpec dvm;
  if (m.nodes_size() > static_cast<int>(kMaxJobNodes)) return Bad("Dvm.nodes");
  for (const auto& n : m.nodes()) {
    auto node = NodeFromPb(n);
    if (!node) return node.error();
    dvm.nodes.push_back(*std::move(node));
  }
  if (m.bootstrap() < 0 || m.bootstrap() > pb::Dvm::SLURM) return Bad("Dvm.bootstrap");
  if (m.tree() < 0 || m.tree() > pb::Dvm::TWO_LEVEL) return Bad("Dvm.tree");
  if (!m.rexd().empty() && (m.rexd()[0] != '/' || HasNul(m.rexd()))) return Bad("Dvm.rexd");
  dvm.bootstrap = static_cast<Bootstrap>(m.bootstrap());
  dvm.tree = static_cast<TreeRequest>(m.tree());
  if (m.ship() < 0 || m.ship() > pb::Dvm::SHIP_NEVER) return Bad("Dvm.ship");
  dvm.ship = static_cast<ShipRequest>(m.ship());
  dvm.rexd = m.rexd();
  dvm.allow_missing = m.allow_missing();
  dvm.pool = m.pool();
  if (m.max_slots() > kMaxRanks) return Bad("Dvm.max_slots");
  dvm.max_slots = m.max_slots();
  if (auto s = TakeStrings(m.ssh(), "Dvm.ssh", &dvm.ssh); !s) return s.error();
  if (auto s = TakeBounds(m, &dvm); !s) return s.error();
  return dvm;
}

void PhaseToPb(const Phase& in, pb::Phase* out) {
  out->set_name(in.name);
  out->set_begin_us(in.begin.count());
  out->set_end_us(in.end.count());
  out->set_node(in.node);
  out->set_process(in.process);
  out->set_note(in.note);
}

Result<Phase> PhaseFromPb(const pb::Phase& in) {
  for (const int64_t us : {in.begin_us(), in.end_us()}) {
    if (us < -kMaxMicroseconds || us > kMaxMicroseconds) return Bad("Phase.begin_us, end_us");
  }
  return Phase{in.name(),
               std::chrono::microseconds(in.begin_us()),
               std::chrono::microseconds(in.end_us()),
               in.node(),
               in.process(),
               in.note()};
}

void FailureToPb(const Failure& in, pb::Failure* out) {
  out->set_kind(static_cast<pb::Failure::Kind>(in.kind));
  out->set_rank(in.rank);
  out->set_node(in.node);
  out->set_pid(static_cast<uint64_t>(in.pid));
  out->set_signo(static_cast<uint32_t>(in.signo));
  out->set_core_dumped(in.core_dumped);
  out->set_code(in.code);
  out->set_program(in.program);
  out->set_detail(in.detail);
  out->set_remedy(in.remedy);
  out->set_others(in.others);
  out->set_phase(static_cast<pb::Failure::JobPhase>(in.phase));
  if (in.job != kFirstJob) out->set_job(in.job);
}

Result<Failure> FailureFromPb(const pb::Failure& in) {
  if (in.kind() < 0 || in.kind() > kLastFailureKind) return Bad("Failure.kind");
  if (in.phase() < 0 || in.phase() > kLastJobPhase) return Bad("Failure.phase");
  if (in.signo() > kMaxSignal) return Bad("Failure.signo");
  Failure out;
  out.kind = static_cast<FailureKind>(in.kind());
  out.phase = static_cast<JobPhase>(in.phase());
  out.rank = in.rank();
  out.node = in.node();
  out.pid = static_cast<int64_t>(in.pid());
  out.signo = static_cast<int>(in.signo());
  out.core_dumped = in.core_dumped();
  out.code = in.code();
  out.program = in.program();
  out.detail = in.detail();
  out.remedy = in.remedy();
  out.others = in.others();
  out.job = in.job() == 0 ? kFirstJob : in.job();
  return out;
}

bool JobSpec::WantsLoads() const {
  const auto by_load = [](const AppSpec& app) { return app.place.map == MapBy::kLoad; };
  return load.lightest_first || load.max_load != kNoMaxLoad || show_allocation ||
         std::any_of(apps.begin(), apps.end(), by_load);
}

uint32_t JobSpec::TotalRanks() const {
  uint32_t total = 0;
  for (const auto& app : apps) total += app.ranks;
  return total;
}

std::string ToWire(const Hello& m) {
  pb::Hello out;
  out.set_version(m.version);
  return out.SerializeAsString();
}

template <>
Result<Hello> FromWire(const std::string& payload) {
  const auto m = Parse<pb::Hello>(payload, "Hello");
  if (!m) return m.error();
  if (m->version().empty() || m->version().size() > 64) return Bad("Hello.version");
  return Hello{m->version()};
}

std::string ToWire(const JobSpec& m) {
  pb::LaunchJob out;
  for (const auto& app : m.apps) {
    pb::App* a = out.add_apps();
    for (const auto& word : app.argv) a->add_argv(word);
    for (const auto& e : app.env) a->add_env(e);
    a->set_ranks(app.ranks);
    a->set_wdir(app.wdir);
    a->set_search_path(app.search_path);
    a->set_per_node(app.per_node);
    a->set_gpus_per_rank(app.gpus_per_rank);
    for (const uint32_t node : app.nodes) a->add_nodes(node);
    PlaceToPb(app.place, a->mutable_place());
    for (const uint32_t node : app.fixed) a->add_fixed(node);
    for (const std::string& list : app.slot_lists) a->add_slot_lists(list);
  }
  for (const DescribedNode& node : m.described) {
    pb::DescribedNode* d = out.add_described();
    d->set_name(node.name);
    d->set_slots(node.slots);
    d->set_topology(node.topology);
    d->set_load(node.load);
  }
  for (const std::string& text : m.topologies) out.add_topologies(text);
  out.set_local_memory(m.local_memory);
  out.set_leases(m.leases);
  LoadToPb(m.load, out.mutable_load());
  out.set_show_json(m.show_json);
  DvmToPb(m.dvm, out.mutable_dvm());
  StageToPb(m.stage, out.mutable_stage());
  out.set_node_env(m.node_env);
  out.set_check(m.check);
  for (const auto& e : m.env) out.add_env(e);
  out.set_cwd(m.cwd);
  out.set_stdin_rank(m.stdin_rank);
  out.set_stdout_pipe(m.stdout_pipe);
  out.set_grace_ms(static_cast<uint32_t>(m.grace.count()));
  out.set_timeout_ms(static_cast<uint32_t>(m.timeout.count()));
  out.set_report_state(m.report_state);
  out.set_progress(m.progress);
  out.set_report_after_ms(static_cast<uint32_t>(m.report_after.count()));
  out.set_oversubscribe(m.oversubscribe);
  out.set_verbose(m.verbose);
  out.set_umask(m.umask);
  out.set_open_files(m.open_files);
  out.set_open_files_hard(m.open_files_hard);
  out.set_no_template(m.no_template);
  out.set_may_decline(m.may_decline);
  out.set_timer_slack_us(static_cast<uint32_t>(m.timer_slack.count()));
  out.set_slots(m.slots);
  out.set_refuse_oversubscribe(m.refuse_oversubscribe);
  out.set_show_map(m.show_map);
  out.set_show_allocation(m.show_allocation);
  out.set_show_bindings(m.show_bindings);
  out.set_show_topology(m.show_topology);
  out.set_do_not_launch(m.do_not_launch);
  out.set_stack_traces(m.stack_traces);
  out.set_cwd_in_session(m.cwd_in_session);
  return out.SerializeAsString();
}

template <>
Result<JobSpec> FromWire(const std::string& payload) {
  const auto m = Parse<pb::LaunchJob>(payload, "LaunchJob");
  if (!m) return m.error();
  JobSpec job;
  if (m->apps_size() < 1 || m->apps_size() > static_cast<int>(kMaxApps)) return Bad("apps");
  auto dvm = DvmFromPb(m->dvm());
  if (!dvm) return dvm.error();
  job.dvm = *std::move(dvm);
  auto stage = StageFromPb(m->stage());
  if (!stage) return stage.error();
  job.stage = *std::move(stage);
  if (auto s = TakeDescribed(*m, &job.described); !s) return s.error();
  if (auto s = TakeLoad(m->load(), &job.load); !s) return s.error();
  if (auto s = TakeStrings(m->topologies(), "topologies", &job.topologies); !s) return s.error();
  const size_t nodes = job.described.empty() ? job.dvm.nodes.size() : job.described.size();
  uint64_t total = 0;
  bool counted = true;
  for (const auto& a : m->apps()) {
    auto app = AppFromPb(a, static_cast<uint32_t>(nodes));
    if (!app) return app.error();
    total += app->ranks;
    counted = counted && app->ranks > 0;
    job.apps.push_back(std::move(*app));
  }
  if (total > kMaxRanks) return Bad("apps.ranks");
  if (auto s = TakeStrings(m->env(), "env", &job.env); !s) return s.error();
  if (m->cwd().empty() || m->cwd()[0] != '/' || HasNul(m->cwd())) return Bad("cwd");
  // The number of ranks may not be known before placement.
  const int64_t ranks = counted && nodes == 0 ? static_cast<int64_t>(total) : kMaxRanks;
  if (m->stdin_rank() < kStdinNone || m->stdin_rank() >= ranks) return Bad("stdin_rank");
  job.node_env = m->node_env();
  job.check = m->check();
  if (m->grace_ms() > kMaxMilliseconds) return Bad("grace_ms");
  if (m->timeout_ms() > kMaxMilliseconds) return Bad("timeout_ms");
  if (m->umask() > 0777) return Bad("umask");
  if (m->open_files() == 0) return Bad("open_files");
  if (m->open_files_hard() < m->open_files()) return Bad("open_files_hard");
  job.cwd = m->cwd();
  job.stdin_rank = m->stdin_rank();
  job.stdout_pipe = m->stdout_pipe();
  job.grace = std::chrono::milliseconds(m->grace_ms());
  job.timeout = std::chrono::milliseconds(m->timeout_ms());
  job.report_state = m->report_state();
  job.progress = m->progress();
  if (m->report_after_ms() > kMaxMilliseconds) return Bad("report_after_ms");
  job.report_after = std::chrono::milliseconds(m->report_after_ms());
  job.oversubscribe = m->oversubscribe();
  job.verbose = m->verbose();
  job.umask = m->umask();
  job.open_files = m->open_files();
  job.open_files_hard = m->open_files_hard();
  job.timer_slack = std::chrono::microseconds(m->timer_slack_us());
  if (m->slots() > kMaxRanks) return Bad("slots");
  job.slots = m->slots();
  job.refuse_oversubscribe = m->refuse_oversubscribe();
  job.local_memory = m->local_memory();
  job.leases = m->leases();
  if (!job.leases.empty() && job.leases != "none" && job.leases[0] != '/') return Bad("leases");
  job.show_json = m->show_json();
  job.show_map = m->show_map();
  job.show_allocation = m->show_allocation();
  job.show_bindings = m->show_bindings();
  job.show_topology = m->show_topology();
  job.do_not_launch = m->do_not_launch();
  job.stack_traces = m->stack_traces();
  job.cwd_in_session = m->cwd_in_session();
  job.no_template = m->no_template();
  job.may_decline = m->may_decline();
  return job;
}

std::string ToWire(const SignalRanks& m) {
  pb::Signal out;
  out.set_signo(static_cast<uint32_t>(m.signo));
  return out.SerializeAsString();
}

template <>
Result<SignalRanks> FromWire(const std::string& payload) {
  const auto m = Parse<pb::Signal>(payload, "Signal");
  if (!m) return m.error();
  if (m->signo() < 1 || m->signo() > kMaxSignal) return Bad("Signal.signo");
  return SignalRanks{static_cast<int>(m->signo())};
}

std::string ToWire(const EndJob& m) {
  pb::EndJob out;
  out.set_signo(static_cast<uint32_t>(m.signo));
  return out.SerializeAsString();
}

template <>
Result<EndJob> FromWire(const std::string& payload) {
  const auto m = Parse<pb::EndJob>(payload, "EndJob");
  if (!m) return m.error();
  if (m->signo() < 1 || m->signo() > kMaxSignal) return Bad("EndJob.signo");
  return EndJob{static_cast<int>(m->signo())};
}

std::string ToWire(const Credit& m) {
  pb::Credit out;
  out.set_bytes(m.bytes);
  return out.SerializeAsString();
}

template <>
Result<Credit> FromWire(const std::string& payload) {
  const auto m = Parse<pb::Credit>(payload, "Credit");
  if (!m) return m.error();
  if (m->bytes() == 0 || m->bytes() > (uint64_t{1} << 32)) return Bad("Credit.bytes");
  return Credit{m->bytes()};
}

std::string ToWire(const Notice& m) {
  pb::Notice out;
  out.set_level(static_cast<pb::Notice::Level>(m.level));
  out.set_text(m.text);
  return out.SerializeAsString();
}

template <>
Result<Notice> FromWire(const std::string& payload) {
  const auto m = Parse<pb::Notice>(payload, "Notice");
  if (!m) return m.error();
  if (m->level() < 0 || m->level() > pb::Notice::PLAIN) return Bad("Notice.level");
  return Notice{static_cast<Notice::Level>(m->level()), m->text()};
}

std::string ToWire(const Progress& m) {
  pb::Progress out;
  out.set_phase(static_cast<pb::Failure::JobPhase>(m.phase));
  out.set_done(m.done);
  out.set_total(m.total);
  return out.SerializeAsString();
}

template <>
Result<Progress> FromWire(const std::string& payload) {
  const auto m = Parse<pb::Progress>(payload, "Progress");
  if (!m) return m.error();
  if (m->phase() < 0 || m->phase() > kLastJobPhase) return Bad("Progress.phase");
  if (m->done() > m->total() || m->total() > kMaxRanks) return Bad("Progress.done, total");
  return Progress{static_cast<JobPhase>(m->phase()), m->done(), m->total()};
}

std::string ToWire(const JobStarted& m) {
  pb::JobStarted out;
  out.set_job(m.job);
  out.set_name_space(m.name_space);
  out.set_total(m.total);
  for (const auto& r : m.ranks) {
    pb::RankInfo* info = out.add_ranks();
    info->set_rank(r.rank);
    info->set_node(r.node);
    info->set_pid(static_cast<uint64_t>(r.pid));
    info->set_birth(r.birth);
  }
  return out.SerializeAsString();
}

template <>
Result<JobStarted> FromWire(const std::string& payload) {
  const auto m = Parse<pb::JobStarted>(payload, "JobStarted");
  if (!m) return m.error();
  if (m->total() > kMaxRanks || m->ranks_size() > static_cast<int>(kMaxRanks)) {
    return Bad("JobStarted.total");
  }
  JobStarted out;
  if (m->job() == 0) return Bad("JobStarted.job");
  out.job = m->job();
  out.name_space = m->name_space();
  out.total = m->total();
  for (const auto& r : m->ranks()) {
    out.ranks.push_back({r.rank(), r.node(), static_cast<int64_t>(r.pid()), r.birth()});
  }
  return out;
}

std::string ToWire(const JobEnded& m) {
  pb::JobEnded out;
  out.set_exit_code(static_cast<uint32_t>(m.exit_code));
  FailureToPb(m.failure, out.mutable_failure());
  for (const auto& phase : m.phases) PhaseToPb(phase, out.add_phases());
  for (const auto& line : m.state_report) out.add_state_report(line);
  return out.SerializeAsString();
}

template <>
Result<JobEnded> FromWire(const std::string& payload) {
  const auto m = Parse<pb::JobEnded>(payload, "JobEnded");
  if (!m) return m.error();
  if (m->exit_code() > 255) return Bad("JobEnded.exit_code");
  JobEnded out;
  out.exit_code = static_cast<int>(m->exit_code());
  auto failure = FailureFromPb(m->failure());
  if (!failure) return failure.error();
  out.failure = std::move(*failure);
  for (const auto& in : m->phases()) {
    auto phase = PhaseFromPb(in);
    if (!phase) return phase.error();
    out.phases.push_back(std::move(*phase));
  }
  for (const auto& line : m->state_report()) out.state_report.push_back(line);
  return out;
}

Failure InternalFailure(std::string detail, std::string remedy) {
  Failure failure;
  failure.kind = FailureKind::kInternal;
  failure.detail = std::move(detail);
  failure.remedy = std::move(remedy);
  return failure;
}

std::string EncodeOutput(const OutputHeader& header, std::string_view bytes) {
  std::string out(kOutputHeaderBytes, '\0');
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<char>(header.rank >> (8 * i));
  out[4] = static_cast<char>(header.stream);
  out[5] = header.end ? 1 : 0;
  out.append(bytes);
  SetOutputJob(header.job, &out);
  return out;
}

void SetOutputJob(uint32_t job, std::string* payload) {
  REX_CHECK(payload->size() >= kOutputHeaderBytes);
  for (size_t i = 0; i < 4; ++i) {
    (*payload)[kOutputJobOffset + i] = static_cast<char>(job >> (8 * i));
  }
}

Result<OutputHeader> DecodeOutput(std::string_view payload, std::string_view* bytes) {
  if (payload.size() < kOutputHeaderBytes) return Bad("Output header");
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(payload[i]); };
  OutputHeader header;
  for (size_t i = 0; i < 4; ++i) header.rank |= static_cast<uint32_t>(byte(i)) << (8 * i);
  header.job = 0;
  for (size_t i = 0; i < 4; ++i) {
    header.job |= static_cast<uint32_t>(byte(kOutputJobOffset + i)) << (8 * i);
  }
  if (header.job == 0) return Bad("Output.job");
  if (header.rank >= kMaxRanks) return Bad("Output.rank");
  if (byte(4) != 1 && byte(4) != 2) return Bad("Output.stream");
  if (byte(5) > 1 || byte(6) != 0 || byte(7) != 0) return Bad("Output.end");
  header.stream = static_cast<OutputStream>(byte(4));
  header.end = byte(5) == 1;
  *bytes = payload.substr(kOutputHeaderBytes);
  return header;
}

}  // namespace rex
