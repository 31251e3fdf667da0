#include "launcher/wire/dvm_messages.h"

#include "launcher/base/decode.h"
#include "launcher/base/dvm_place.h"
#include "launcher/wire/convert.h"
#include "launcher/wire/dvm.pb.h"

namespace rex {

namespace {

constexpr int kMaxSignal = 64;  // signal(7)
constexpr size_t kMaxTextBytes = 4096;
constexpr size_t kMaxNameBytes = 255;  // of a host
constexpr int kMaxInherited = 64;
constexpr int kMaxStates = 16;
constexpr uint64_t kMaxMilliseconds = uint64_t{1} << 53;

bool IsText(const std::string& text, size_t most = kMaxTextBytes) {
  return text.size() <= most && text.find('\0') == text.npos;
}

bool IsPid(uint64_t pid) { return pid <= INT32_MAX; }

template <typename Pb>
void InheritedToPb(const std::vector<Inherited>& in, Pb* out) {
  for (const Inherited& each : in) {
    pb::Inherited* added = out->add_inherited();
    added->set_name(each.name);
    added->set_value(each.value);
  }
}

template <typename Pb>
Status TakeInherited(const Pb& m, std::vector<Inherited>* out) {
  if (m.inherited_size() > kMaxInherited) return Bad("inherited");
  for (const pb::Inherited& each : m.inherited()) {
    if (!IsText(each.name()) || !IsText(each.value())) return Bad("inherited");
    out->push_back({each.name(), each.value()});
  }
  return Ok{};
}

void RecordToPb(const DvmRecord& in, pb::DvmRecord* out) {
  out->set_version(in.version);
  out->set_name(in.name);
  out->set_origin(in.origin);
  DvmToPb(in.dvm, out->mutable_dvm());
  out->set_slots(in.slots);
  InheritedToPb(in.inherited, out);
  out->set_agent_pid(static_cast<uint64_t>(in.agent_pid));
  out->set_keeper_pid(static_cast<uint64_t>(in.keeper_pid));
  out->set_started_s(in.started_s);
  out->set_head(in.head);
}

Result<DvmRecord> RecordFromPb(const pb::DvmRecord& m) {
  DvmRecord out;
  if (m.version().empty() || !IsText(m.version(), 64)) return Bad("DvmRecord.version");
  if (!IsDvmName(m.name())) return Bad("DvmRecord.name");
  if (!IsText(m.origin())) return Bad("DvmRecord.origin");
  if (!IsText(m.head(), kMaxNameBytes)) return Bad("DvmRecord.head");
  if (m.slots() > kMaxRanks) return Bad("DvmRecord.slots");
  if (!IsPid(m.agent_pid()) || !IsPid(m.keeper_pid())) return Bad("DvmRecord.agent_pid");
  auto dvm = DvmFromPb(m.dvm());
  if (!dvm) return dvm.error();
  if (auto s = TakeInherited(m, &out.inherited); !s) return s.error();
  out.version = m.version();
  out.name = m.name();
  out.origin = m.origin();
  out.dvm = *std::move(dvm);
  out.slots = m.slots();
  out.agent_pid = static_cast<int64_t>(m.agent_pid());
  out.keeper_pid = static_cast<int64_t>(m.keeper_pid());
  out.started_s = m.started_s();
  out.head = m.head();
  return out;
}

void JobToPb(const DvmJob& in, pb::DvmJob* out) {
  out->set_number(in.number);
  out->set_name_space(in.name_space);
  out->set_state(in.state);
  out->set_ranks(in.ranks);
  out->set_live(in.live);
  out->set_age_ms(static_cast<uint64_t>(in.age.count()));
  out->set_parent_job(in.parent_job);
  out->set_parent_rank(in.parent_rank);
  for (const std::string& word : in.command) out->add_command(word);
  out->set_cwd(in.cwd);
  out->set_client_pid(static_cast<uint64_t>(in.client_pid));
  out->set_tool_pid(static_cast<uint64_t>(in.tool_pid));
  out->set_tool_command(in.tool_command);
}

Result<DvmJob> JobFromPb(const pb::DvmJob& m) {
  DvmJob out;
  if (m.number() == 0) return Bad("DvmJob.number");
  if (!IsText(m.name_space(), kMaxNameBytes)) return Bad("DvmJob.name_space");
  if (m.state() >= kMaxStates) return Bad("DvmJob.state");
  if (m.ranks() > kMaxRanks || m.live() > m.ranks()) return Bad("DvmJob.ranks");
  if (m.age_ms() > kMaxMilliseconds) return Bad("DvmJob.age_ms");
  if (m.parent_rank() >= kMaxRanks) return Bad("DvmJob.parent_rank");
  if (!IsPid(m.client_pid())) return Bad("DvmJob.client_pid");
  if (!IsPid(m.tool_pid())) return Bad("DvmJob.tool_pid");
  out.number = m.number();
  out.name_space = m.name_space();
  out.state = m.state();
  out.ranks = m.ranks();
  out.live = m.live();
  out.age = std::chrono::milliseconds(m.age_ms());
  out.parent_job = m.parent_job();
  out.parent_rank = m.parent_rank();
  out.command.assign(m.command().begin(), m.command().end());
  out.cwd = m.cwd();
  out.client_pid = static_cast<int64_t>(m.client_pid());
  out.tool_pid = static_cast<int64_t>(m.tool_pid());
  out.tool_command = m.tool_command();
  return out;
}

void RankToPb(const DvmRank& in, pb::DvmRank* out) {
  out->set_job(in.job);
  out->set_rank(in.rank);
  out->set_node(in.node);
  out->set_pid(static_cast<uint64_t>(in.pid));
  out->set_state(static_cast<uint32_t>(in.state));
  out->set_code(static_cast<uint32_t>(in.code));
  out->set_signo(static_cast<uint32_t>(in.signo));
  out->set_templated(in.templated);
  out->set_program(in.program);
}

Result<DvmRank> RankFromPb(const pb::DvmRank& m) {
  DvmRank out;
  if (m.job() == 0) return Bad("DvmRank.job");
  if (m.rank() >= kMaxRanks) return Bad("DvmRank.rank");
  if (!IsText(m.node(), kMaxNameBytes)) return Bad("DvmRank.node");
  if (!IsPid(m.pid())) return Bad("DvmRank.pid");
  if (m.state() > kLastRankState) return Bad("DvmRank.state");
  if (m.code() > 255 || m.signo() > kMaxSignal) return Bad("DvmRank.code");
  out.job = m.job();
  out.rank = m.rank();
  out.node = m.node();
  out.pid = static_cast<int64_t>(m.pid());
  out.state = static_cast<RankState>(m.state());
  out.code = static_cast<int>(m.code());
  out.signo = static_cast<int>(m.signo());
  out.templated = m.templated();
  out.program = m.program();
  return out;
}

}  // namespace

std::string ToWire(const StartDvm& m) {
  pb::StartDvm out;
  out.set_name(m.name);
  DvmToPb(m.dvm, out.mutable_dvm());
  out.set_slots(m.slots);
  out.set_idle_timeout_s(static_cast<uint64_t>(m.idle_timeout.count()));
  out.set_origin(m.origin);
  InheritedToPb(m.inherited, &out);
  out.set_verbose(m.verbose);
  return out.SerializeAsString();
}

template <>
Result<StartDvm> FromWire(const std::string& payload) {
  const auto m = Parse<pb::StartDvm>(payload, "StartDvm");
  if (!m) return m.error();
  StartDvm out;
  if (!IsDvmName(m->name())) return Bad("StartDvm.name");
  if (m->slots() > kMaxRanks) return Bad("StartDvm.slots");
  if (m->idle_timeout_s() > static_cast<uint64_t>(kMaxIdleTimeout.count())) {
    return Bad("StartDvm.idle_timeout_s");
  }
  if (!IsText(m->origin())) return Bad("StartDvm.origin");
  auto dvm = DvmFromPb(m->dvm());
  if (!dvm) return dvm.error();
  if (auto s = TakeInherited(*m, &out.inherited); !s) return s.error();
  out.name = m->name();
  out.dvm = *std::move(dvm);
  out.slots = m->slots();
  out.idle_timeout = std::chrono::seconds(m->idle_timeout_s());
  out.origin = m->origin();
  out.verbose = m->verbose();
  return out;
}

std::string ToWire(const DvmRecord& m) {
  pb::DvmRecord out;
  RecordToPb(m, &out);
  return out.SerializeAsString();
}

template <>
Result<DvmRecord> FromWire(const std::string& payload) {
  const auto m = Parse<pb::DvmRecord>(payload, "DvmRecord");
  if (!m) return m.error();
  return RecordFromPb(*m);
}

std::string ToWire(const Declined& m) {
  pb::Declined out;
  out.set_reason(m.reason);
  return out.SerializeAsString();
}

template <>
Result<Declined> FromWire(const std::string& payload) {
  const auto m = Parse<pb::Declined>(payload, "Declined");
  if (!m) return m.error();
  return Declined{m->reason()};
}

std::string ToWire(const AskDvm& m) {
  pb::AskDvm out;
  out.set_jobs(m.jobs);
  out.set_ranks(m.ranks);
  return out.SerializeAsString();
}

template <>
Result<AskDvm> FromWire(const std::string& payload) {
  const auto m = Parse<pb::AskDvm>(payload, "AskDvm");
  if (!m) return m.error();
  return AskDvm{m->jobs(), m->ranks()};
}

std::string ToWire(const DvmStatus& m) {
  pb::DvmStatus out;
  RecordToPb(m.record, out.mutable_record());
  out.set_state(m.state);
  for (const DvmNode& node : m.nodes) {
    pb::DvmNode* added = out.add_nodes();
    added->set_name(node.name);
    added->set_slots(node.slots);
    added->set_cores(node.cores);
    added->set_used(node.used);
    added->set_lost(node.lost);
  }
  out.set_up_ms(static_cast<uint64_t>(m.up.count()));
  out.set_idle_ms(static_cast<uint64_t>(m.idle.count()));
  out.set_idle_timeout_s(static_cast<uint64_t>(m.idle_timeout.count()));
  out.set_jobs(m.jobs);
  out.set_jobs_ever(m.jobs_ever);
  return out.SerializeAsString();
}

template <>
Result<DvmStatus> FromWire(const std::string& payload) {
  const auto m = Parse<pb::DvmStatus>(payload, "DvmStatus");
  if (!m) return m.error();
  DvmStatus out;
  auto record = RecordFromPb(m->record());
  if (!record) return record.error();
  if (m->state() >= kMaxStates) return Bad("DvmStatus.state");
  if (m->nodes_size() > static_cast<int>(kMaxJobNodes) + 1) return Bad("DvmStatus.nodes");
  for (const pb::DvmNode& node : m->nodes()) {
    if (!IsText(node.name(), kMaxNameBytes)) return Bad("DvmNode.name");
    out.nodes.push_back({node.name(), node.slots(), node.cores(), node.used(), node.lost()});
  }
  if (m->up_ms() > kMaxMilliseconds || m->idle_ms() > kMaxMilliseconds) return Bad("DvmStatus.up");
  if (m->idle_timeout_s() > static_cast<uint64_t>(kMaxIdleTimeout.count())) {
    return Bad("DvmStatus.idle_timeout_s");
  }
  out.record = *std::move(record);
  out.state = m->state();
  out.up = std::chrono::milliseconds(m->up_ms());
  out.idle = std::chrono::milliseconds(m->idle_ms());
  out.idle_timeout = std::chrono::seconds(m->idle_timeout_s());
  out.jobs = m->jobs();
  out.jobs_ever = m->jobs_ever();
  return out;
}

std::string ToWire(const DvmJobList& m) {
  pb::DvmJobs out;
  for (const DvmJob& job : m.jobs) JobToPb(job, out.add_jobs());
  return out.SerializeAsString();
}

template <>
Result<DvmJobList> FromWire(const std::string& payload) {
  const auto m = Parse<pb::DvmJobs>(payload, "DvmJobs");
  if (!m) return m.error();
  DvmJobList out;
  for (const pb::DvmJob& in : m->jobs()) {
    auto job = JobFromPb(in);
    if (!job) return job.error();
    out.jobs.push_back(*std::move(job));
  }
  return out;
}

std::string ToWire(const DvmRankList& m) {
  pb::DvmRanks out;
  for (const DvmRank& rank : m.ranks) RankToPb(rank, out.add_ranks());
  return out.SerializeAsString();
}

template <>
Result<DvmRankList> FromWire(const std::string& payload) {
  const auto m = Parse<pb::DvmRanks>(payload, "DvmRanks");
  if (!m) return m.error();
  if (m->ranks_size() > static_cast<int>(kMaxRanksInMessage)) return Bad("DvmRanks.ranks");
  DvmRankList out;
  for (const pb::DvmRank& in : m->ranks()) {
    auto rank = RankFromPb(in);
    if (!rank) return rank.error();
    out.ranks.push_back(*std::move(rank));
  }
  return out;
}

std::string ToWire(const StopDvm& m) {
  pb::StopDvm out;
  out.set_wait(m.wait);
  return out.SerializeAsString();
}

template <>
Result<StopDvm> FromWire(const std::string& payload) {
  const auto m = Parse<pb::StopDvm>(payload, "StopDvm");
  if (!m) return m.error();
  return StopDvm{m->wait()};
}

std::string ToWire(const KillJob& m) {
  pb::KillJob out;
  out.set_job(m.job);
  out.set_signo(static_cast<uint32_t>(m.signo));
  return out.SerializeAsString();
}

template <>
Result<KillJob> FromWire(const std::string& payload) {
  const auto m = Parse<pb::KillJob>(payload, "KillJob");
  if (!m) return m.error();
  if (m->job() == 0) return Bad("KillJob.job");
  if (m->signo() > kMaxSignal) return Bad("KillJob.signo");
  return KillJob{m->job(), static_cast<int>(m->signo())};
}

std::string ToWire(const DvmReply& m) {
  pb::DvmReply out;
  out.set_ok(m.ok);
  out.set_text(m.text);
  return out.SerializeAsString();
}

template <>
Result<DvmReply> FromWire(const std::string& payload) {
  const auto m = Parse<pb::DvmReply>(payload, "DvmReply");
  if (!m) return m.error();
  return DvmReply{m->ok(), m->text()};
}

}  // namespace rex
