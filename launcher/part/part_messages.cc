#include "launcher/part/part_messages.h"

#include <algorithm>

#include "launcher/base/decode.h"
#include "launcher/part/part.pb.h"
#include "launcher/wire/convert.h"

namespace rex {

namespace {

constexpr size_t kJobNumberBytes = 4;
constexpr int kMaxSignal = 64;
constexpr uint32_t kMaxMilliseconds = 0x7fffffff;
constexpr int kNumbersPerRun = 4;
constexpr uint64_t kMaxCredit = uint64_t{1} << 32;

Status TakeRanks(const google::protobuf::RepeatedField<uint32_t>& in, const char* field,
                 std::vector<Rank>* out) {
  for (const uint32_t rank : in) {
    if (rank >= kMaxRanks) return Bad(field);
    out->push_back(rank);
  }
  return Ok{};
}

// ---- bodies of commands

std::string Body(const LaunchPart& m) {
  pb::LaunchPart out;
  out.set_name_space(m.name_space);
  out.set_spec(ToWire(*m.spec));
  for (const MapRun& run : m.map->runs()) {
    for (const uint32_t n : {Index(run.node), run.first, run.count, run.stride}) out.add_runs(n);
  }
  out.set_slots(m.slots);
  for (const std::string& name : m.node_names) out.add_node_names(name);
  out.set_unbuffered(m.unbuffered);
  out.set_virtual_nodes(m.virtual_nodes);
  out.set_image(m.image);
  out.set_keep_templates(m.keep_templates);
  if (m.parent) {
    out.set_parent_name_space(m.parent->name_space);
    out.set_parent_rank(m.parent->rank);
  }
  return out.SerializeAsString();
}

Result<std::shared_ptr<const JobMap>> MapFromPb(const pb::LaunchPart& m, uint32_t ranks,
                                                uint32_t nodes) {
  if (m.runs_size() % kNumbersPerRun != 0) return Bad("LaunchPart.runs");
  std::vector<MapRun> runs;
  for (int i = 0; i < m.runs_size(); i += kNumbersPerRun) {
    runs.push_back({NodeId{m.runs(i)}, m.runs(i + 1), m.runs(i + 2), m.runs(i + 3)});
  }
  auto map = JobMap::Make(std::move(runs), ranks, nodes);
  if (!map) return Error{Errc::kProtocol, "bad field LaunchPart.runs: " + map.error().text};
  return std::make_shared<const JobMap>(*std::move(map));
}

Result<LaunchPart> LaunchFromBody(std::string_view body, uint32_t nodes) {
  const auto m = Parse<pb::LaunchPart>(body, "LaunchPart");
  if (!m) return m.error();
  LaunchPart out;
  if (m->name_space().empty() || m->name_space().size() > 255) return Bad("LaunchPart.name_space");
  auto spec = FromWire<JobSpec>(m->spec());
  if (!spec) return spec.error();
  auto map = MapFromPb(*m, spec->TotalRanks(), nodes);
  if (!map) return map.error();
  out.name_space = m->name_space();
  out.spec = std::make_shared<const JobSpec>(*std::move(spec));
  out.map = *std::move(map);
  out.slots = m->slots();
  out.node_names.assign(m->node_names().begin(), m->node_names().end());
  if (out.node_names.size() != out.map->nodes().size()) return Bad("LaunchPart.node_names");
  out.unbuffered = m->unbuffered();
  out.virtual_nodes = m->virtual_nodes();
  out.image = m->image();
  out.keep_templates = m->keep_templates();
  if (m->parent_name_space().size() > 255) return Bad("LaunchPart.parent_name_space");
  if (m->parent_rank() >= kMaxRanks) return Bad("LaunchPart.parent_rank");
  if (!m->parent_name_space().empty()) {
    out.parent = SpawnedBy{m->parent_name_space(), m->parent_rank()};
  }
  return out;
}

std::string Body(const SignalPart& m) {
  pb::SignalPart out;
  out.set_signo(static_cast<uint32_t>(m.signo));
  for (const Rank rank : m.ranks) out.add_ranks(rank);
  out.set_ends_them(m.ends_them);
  return out.SerializeAsString();
}

Result<SignalPart> SignalFromBody(std::string_view body) {
  const auto m = Parse<pb::SignalPart>(body, "SignalPart");
  if (!m) return m.error();
  if (m->signo() < 1 || m->signo() > kMaxSignal) return Bad("SignalPart.signo");
  SignalPart out;
  out.signo = static_cast<int>(m->signo());
  if (auto s = TakeRanks(m->ranks(), "SignalPart.ranks", &out.ranks); !s) return s.error();
  out.ends_them = m->ends_them();
  return out;
}

std::string Body(const StopPart& m) {
  pb::StopPart out;
  out.set_grace_ms(static_cast<uint32_t>(m.grace.count()));
  out.set_discard_output(m.discard_output);
  return out.SerializeAsString();
}

Result<StopPart> StopFromBody(std::string_view body) {
  const auto m = Parse<pb::StopPart>(body, "StopPart");
  if (!m) return m.error();
  if (m->grace_ms() > kMaxMilliseconds) return Bad("StopPart.grace_ms");
  return StopPart{std::chrono::milliseconds(m->grace_ms()), m->discard_output()};
}

std::string CreditBody(uint64_t bytes) {
  pb::Credit out;
  out.set_bytes(bytes);
  return out.SerializeAsString();
}

Result<uint64_t> CreditFromBody(std::string_view body) {
  const auto m = Parse<pb::Credit>(body, "Credit");
  if (!m) return m.error();
  if (m->bytes() == 0 || m->bytes() > kMaxCredit) return Bad("Credit.bytes");
  return m->bytes();
}

std::string Body(const OpenGates&) { return {}; }
std::string Body(const PartCredit& m) { return CreditBody(m.bytes); }
std::string Body(const PartStdin& m) { return m.bytes; }
std::string Body(const PartStdinEnd&) { return {}; }
std::string Body(const EndPart&) { return {}; }

std::string Body(const AskNews& m) {
  pb::AskNews out;
  out.set_number(m.number);
  return out.SerializeAsString();
}
std::string Body(const AskReport& m) {
  pb::AskReport out;
  out.set_stack_traces(m.stack_traces);
  out.set_number(m.number);
  return out.SerializeAsString();
}

// ---- bodies of events

std::string Body(const PartPlanned& m) {
  pb::PartPlanned out;
  out.set_map_digest(m.map_digest);
  out.set_map_text(m.map_text);
  out.set_topology_text(m.topology_text);
  out.set_plan_digest(m.plan_digest);
  out.set_cores_held(m.cores_held);
  out.set_lease_trouble(m.lease_trouble);
  out.set_trouble_is_new(m.trouble_is_new);
  return out.SerializeAsString();
}

Result<PartPlanned> PlannedFromBody(std::string_view body) {
  const auto m = Parse<pb::PartPlanned>(body, "PartPlanned");
  if (!m) return m.error();
  return PartPlanned{m->map_digest(), m->map_text(),      m->topology_text(), m->plan_digest(),
                     m->cores_held(), m->lease_trouble(), m->trouble_is_new()};
}

std::string Body(const PartBorn& m) {
  pb::PartBorn out;
  out.set_first(m.first);
  for (const int64_t pid : m.pids) out.add_pids(static_cast<uint64_t>(pid));
  for (const bool templated : m.templated) out.mutable_births()->push_back(templated ? 1 : 0);
  return out.SerializeAsString();
}

Result<PartBorn> BornFromBody(std::string_view body) {
  const auto m = Parse<pb::PartBorn>(body, "PartBorn");
  if (!m) return m.error();
  if (m->births().size() != static_cast<size_t>(m->pids_size())) return Bad("PartBorn.births");
  if (m->first() >= kMaxRanks) return Bad("PartBorn.first");
  PartBorn out;
  out.first = m->first();
  for (const uint64_t pid : m->pids()) {
    if (pid == 0 || pid > INT32_MAX) return Bad("PartBorn.pids");
    out.pids.push_back(static_cast<int64_t>(pid));
  }
  for (const char birth : m->births()) {
    if (birth != 0 && birth != 1) return Bad("PartBorn.births");
    out.templated.push_back(birth == 1);
  }
  return out;
}

std::string Body(const PartFailed& m) {
  pb::PartFailed out;
  FailureToPb(m.failure, out.mutable_failure());
  out.set_root_cause(m.root_cause);
  return out.SerializeAsString();
}

Result<PartFailed> FailedFromBody(std::string_view body) {
  const auto m = Parse<pb::PartFailed>(body, "PartFailed");
  if (!m) return m.error();
  auto failure = FailureFromPb(m->failure());
  if (!failure) return failure.error();
  if (failure->kind == FailureKind::kNone) return Bad("PartFailed.failure");
  return PartFailed{*std::move(failure), m->root_cause()};
}

std::string Body(const RankEnds& m) {
  pb::RankEnds out;
  for (const RankEnd& end : m.ends) {
    pb::RankEnd* e = out.add_ends();
    e->set_rank(end.rank);
    e->set_code(static_cast<uint32_t>(end.code));
    e->set_signo(static_cast<uint32_t>(end.signo));
    e->set_core_dumped(end.core_dumped);
    e->set_connected(end.connected);
    e->set_finalized(end.finalized);
    e->set_consequence(end.consequence);
  }
  return out.SerializeAsString();
}

Result<RankEnds> EndsFromBody(std::string_view body) {
  const auto m = Parse<pb::RankEnds>(body, "RankEnds");
  if (!m) return m.error();
  RankEnds out;
  for (const pb::RankEnd& e : m->ends()) {
    if (e.rank() >= kMaxRanks) return Bad("RankEnd.rank");
    if (e.code() > 255) return Bad("RankEnd.code");
    if (e.signo() > kMaxSignal) return Bad("RankEnd.signo");
    out.ends.push_back({e.rank(), static_cast<int>(e.code()), static_cast<int>(e.signo()),
                        e.core_dumped(), e.connected(), e.finalized(), e.consequence()});
  }
  return out;
}

std::string Body(const PartProgress& m) {
  pb::PartProgress out;
  for (const Rank rank : m.connected) out.add_connected(rank);
  for (const Rank rank : m.finalized) out.add_finalized(rank);
  return out.SerializeAsString();
}

Result<PartProgress> ProgressFromBody(std::string_view body) {
  const auto m = Parse<pb::PartProgress>(body, "PartProgress");
  if (!m) return m.error();
  PartProgress out;
  auto s = TakeRanks(m->connected(), "PartProgress.connected", &out.connected);
  if (s) s = TakeRanks(m->finalized(), "PartProgress.finalized", &out.finalized);
  if (!s) return s.error();
  return out;
}

std::string Body(const PartRunning&) { return {}; }
std::string Body(const PartReady&) { return {}; }
std::string Body(const PartOutput& m) { return m.payload; }
std::string Body(const PartStdinCredit& m) { return CreditBody(m.bytes); }
std::string Body(const PartStdinDone&) { return {}; }
std::string Body(const PartNotice& m) { return ToWire(m.notice); }
std::string Body(const PartDrained&) { return {}; }

std::string Body(const PartNews& m) {
  pb::PartNews out;
  out.set_number(m.number);
  return out.SerializeAsString();
}
std::string Body(const PartReport& m) {
  pb::PartReport out;
  for (const std::string& line : m.lines) out.add_lines(line);
  out.set_number(m.number);
  return out.SerializeAsString();
}

std::string Body(const PartEnded& m) {
  pb::PartEnded out;
  for (const Phase& phase : m.phases) PhaseToPb(phase, out.add_phases());
  for (const std::string& line : m.leftovers) out.add_leftovers(line);
  return out.SerializeAsString();
}

Result<PartEnded> EndedFromBody(std::string_view body) {
  const auto m = Parse<pb::PartEnded>(body, "PartEnded");
  if (!m) return m.error();
  PartEnded out;
  for (const auto& in : m->phases()) {
    auto phase = PhaseFromPb(in);
    if (!phase) return phase.error();
    out.phases.push_back(*std::move(phase));
  }
  out.leftovers.assign(m->leftovers().begin(), m->leftovers().end());
  return out;
}

std::string Body(const PartPlugIns& m) {
  pb::PartPlugIns out;
  out.set_app(m.app);
  for (const std::string& path : m.paths) out.add_paths(path);
  return out.SerializeAsString();
}

Result<PartPlugIns> PlugInsFromBody(std::string_view body) {
  constexpr size_t kMostPathBytes = 4096;
  const auto m = Parse<pb::PartPlugIns>(body, "PartPlugIns");
  if (!m) return m.error();
  PartPlugIns out;
  out.app = m->app();
  if (m->paths_size() > static_cast<int>(kMaxPlugIns)) return Bad("PartPlugIns.paths");
  for (const std::string& path : m->paths()) {
    const bool good =
        path.starts_with('/') && path.size() <= kMostPathBytes && path.find('\0') == path.npos;
    if (!good) return Bad("PartPlugIns.paths");
    out.paths.push_back(path);
  }
  return out;
}

Result<std::string> OutputFromBody(std::string_view body) {
  std::string_view bytes;
  if (const auto header = DecodeOutput(body, &bytes); !header) return header.error();
  return std::string(body);
}

// ---- the envelope

template <typename T>
FrameClass ClassOf(const T&) {
  // Stdin's and output's ends go behind their bytes; Drained behind the last output.
  constexpr bool stdio = std::is_same_v<T, PartStdin> || std::is_same_v<T, PartStdinEnd> ||
                         std::is_same_v<T, PartOutput> || std::is_same_v<T, PartDrained> ||
                         std::is_same_v<T, PartEnded>;
  return stdio ? FrameClass::kStdio : FrameClass::kControl;
}

template <typename Variant>
PartFrame Encode(JobNumber job, const Variant& body, uint8_t first_kind) {
  PartFrame frame;
  frame.kind = static_cast<uint8_t>(first_kind + body.index());
  for (size_t i = 0; i < kJobNumberBytes; ++i) {
    frame.payload.push_back(static_cast<char>(job >> (8 * i)));
  }
  std::visit(
      [&frame](const auto& m) {
        frame.frame_class = ClassOf(m);
        frame.payload += Body(m);
      },
      body);
  return frame;
}

Result<std::string_view> TakeJobNumber(const std::string& payload, JobNumber* job) {
  if (payload.size() < kJobNumberBytes) return Bad("job number");
  for (size_t i = 0; i < kJobNumberBytes; ++i) {
    *job |= static_cast<JobNumber>(static_cast<uint8_t>(payload[i])) << (8 * i);
  }
  return std::string_view(payload).substr(kJobNumberBytes);
}

// Where T stands in the variant V.
template <typename T, typename V>
struct IndexIn;
template <typename T, typename... Rest>
struct IndexIn<T, std::variant<T, Rest...>> : std::integral_constant<uint8_t, 0> {};
template <typename T, typename First, typename... Rest>
struct IndexIn<T, std::variant<First, Rest...>>
    : std::integral_constant<uint8_t, 1 + IndexIn<T, std::variant<Rest...>>::value> {};

template <typename T>
constexpr uint8_t kCommand = kFirstPartKind + IndexIn<T, PartCommand>::value;
template <typename T>
constexpr uint8_t kEvent = kFirstEventKind + IndexIn<T, PartEvent>::value;
static_assert(kEvent<PartPlugIns> <= kLastPartKind);
static_assert(kCommand<EndPart> < kFirstEventKind);

template <typename Variant, typename T>
Result<Variant> Wrap(Result<T> value) {
  if (!value) return value.error();
  return Variant(*std::move(value));
}

Result<PartCommand> CommandBody(uint8_t kind, std::string_view body, uint32_t nodes) {
  const auto is_empty = [&](PartCommand command) -> Result<PartCommand> {
    if (!body.empty()) return Bad("an empty body");
    return command;
  };
  switch (kind) {
    case kCommand<LaunchPart>:
      return Wrap<PartCommand>(LaunchFromBody(body, nodes));
    case kCommand<OpenGates>:
      return is_empty(OpenGates{});
    case kCommand<SignalPart>:
      return Wrap<PartCommand>(SignalFromBody(body));
    case kCommand<StopPart>:
      return Wrap<PartCommand>(StopFromBody(body));
    case kCommand<PartCredit>: {
      const auto bytes = CreditFromBody(body);
      if (!bytes) return bytes.error();
      return PartCommand(PartCredit{*bytes});
    }
    case kCommand<PartStdin>:
      if (body.size() > kMaxStdioPayloadBytes) return Bad("PartStdin");
      return PartCommand(PartStdin{std::string(body)});
    case kCommand<PartStdinEnd>:
      return is_empty(PartStdinEnd{});
    case kCommand<AskNews>: {
      const auto m = Parse<pb::AskNews>(body, "AskNews");
      if (!m) return m.error();
      return PartCommand(AskNews{m->number()});
    }
    case kCommand<AskReport>: {
      const auto m = Parse<pb::AskReport>(body, "AskReport");
      if (!m) return m.error();
      return PartCommand(AskReport{m->stack_traces(), m->number()});
    }
    case kCommand<EndPart>:
      return is_empty(EndPart{});
    default:
      return Error{Errc::kProtocol, "unknown command " + std::to_string(kind)};
  }
}

Result<PartEvent> EventBody(uint8_t kind, std::string_view body) {
  const auto is_empty = [&](PartEvent event) -> Result<PartEvent> {
    if (!body.empty()) return Bad("an empty body");
    return event;
  };
  switch (kind) {
    case kEvent<PartPlanned>:
      return Wrap<PartEvent>(PlannedFromBody(body));
    case kEvent<PartBorn>:
      return Wrap<PartEvent>(BornFromBody(body));
    case kEvent<PartRunning>:
      return is_empty(PartRunning{});
    case kEvent<PartReady>:
      return is_empty(PartReady{});
    case kEvent<PartFailed>:
      return Wrap<PartEvent>(FailedFromBody(body));
    case kEvent<RankEnds>:
      return Wrap<PartEvent>(EndsFromBody(body));
    case kEvent<PartProgress>:
      return Wrap<PartEvent>(ProgressFromBody(body));
    case kEvent<PartOutput>: {
      auto payload = OutputFromBody(body);
      if (!payload) return payload.error();
      return PartEvent(PartOutput{*std::move(payload)});
    }
    case kEvent<PartStdinCredit>: {
      const auto bytes = CreditFromBody(body);
      if (!bytes) return bytes.error();
      return PartEvent(PartStdinCredit{*bytes});
    }
    case kEvent<PartStdinDone>:
      return is_empty(PartStdinDone{});
    case kEvent<PartNotice>: {
      auto notice = FromWire<Notice>(std::string(body));
      if (!notice) return notice.error();
      return PartEvent(PartNotice{*std::move(notice)});
    }
    case kEvent<PartNews>: {
      const auto m = Parse<pb::PartNews>(body, "PartNews");
      if (!m) return m.error();
      return PartEvent(PartNews{m->number()});
    }
    case kEvent<PartReport>: {
      const auto m = Parse<pb::PartReport>(body, "PartReport");
      if (!m) return m.error();
      return PartEvent(PartReport{{m->lines().begin(), m->lines().end()}, m->number()});
    }
    case kEvent<PartDrained>:
      return is_empty(PartDrained{});
    case kEvent<PartEnded>:
      return Wrap<PartEvent>(EndedFromBody(body));
    case kEvent<PartPlugIns>:
      return Wrap<PartEvent>(PlugInsFromBody(body));
    default:
      return Error{Errc::kProtocol, "unknown event " + std::to_string(kind)};
  }
}

}  // namespace

PartFrame EncodePart(JobNumber job, const PartCommand& command) {
  return Encode(job, command, kFirstPartKind);
}

PartFrame EncodePart(JobNumber job, const PartEvent& event) {
  return Encode(job, event, kFirstEventKind);
}

Result<PartMessage<PartCommand>> DecodeCommand(uint8_t kind, const std::string& payload,
                                               uint32_t nodes) {
  JobNumber job = 0;
  const auto body = TakeJobNumber(payload, &job);
  if (!body) return body.error();
  auto command = CommandBody(kind, *body, nodes);
  if (!command) return command.error();
  return PartMessage<PartCommand>{job, *std::move(command)};
}

Result<PartMessage<PartEvent>> DecodeEvent(uint8_t kind, const std::string& payload) {
  JobNumber job = 0;
  const auto body = TakeJobNumber(payload, &job);
  if (!body) return body.error();
  auto event = EventBody(kind, *body);
  if (!event) return event.error();
  return PartMessage<PartEvent>{job, *std::move(event)};
}

}  // namespace rex
