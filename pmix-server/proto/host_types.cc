// Encoding and checked decoding of the agent <-> host messages. For each message there is one
// ToPb that fills its protobuf form and one FromPb that believes nothing: it is the only place
// where what a peer sent becomes a C++ type. A broken peer costs the connection.
#include "pmix-server/proto/host_types.h"

#include <algorithm>

#include "pmix-server/proto/host.pb.h"
#include "pmix-server/proto/job_checks.h"

namespace rex::pmix {

namespace {

constexpr size_t kMaxNameSpaceBytes = 255;  // PMIX_MAX_NSLEN
constexpr size_t kMaxKeyBytes = 511;        // PMIX_MAX_KEYLEN
constexpr int kMaxItems = 1 << 16;          // keys, published items, processes listed one by one
constexpr uint32_t kMaxTimeoutSeconds = 7 * 24 * 3600;
constexpr uint32_t kMaxRange = 255;  // pmix_data_range_t and pmix_persistence_t are one byte
constexpr int kMaxSignal = 64;
constexpr int64_t kMaxMicroseconds = int64_t{1} << 53;  // 285 years; differences can't overflow
constexpr uint32_t kMaxProcState = 255;                 // pmix_proc_state_t is one byte

template <typename T>
using Repeated = google::protobuf::RepeatedPtrField<T>;

Error Bad(const char* field) { return Error{Errc::kProtocol, std::string("bad field ") + field}; }

bool HasNul(const std::string& s) { return s.find('\0') != std::string::npos; }

// The checks of one message gather here: the first failure wins, later ones are not looked at.
class Check {
 public:
  void That(bool holds, const char* field) {
    if (!holds && bad_ == nullptr) bad_ = field;
  }
  void Text(const std::string& s, const char* field) { That(!HasNul(s), field); }
  void NameSpace(const std::string& s, const char* field) {
    That(!s.empty() && s.size() <= kMaxNameSpaceBytes && !HasNul(s), field);
  }
  void Key(const std::string& s, const char* field) {
    That(!s.empty() && s.size() <= kMaxKeyBytes && !HasNul(s), field);
  }
  void Time(int64_t us, const char* field) { That(us >= 0 && us <= kMaxMicroseconds, field); }
  void Timeout(uint32_t seconds, const char* field) { That(seconds <= kMaxTimeoutSeconds, field); }
  template <typename List>
  void Count(const List& list, int most, const char* field) {
    That(list.size() <= most, field);
  }
  bool ok() const { return bad_ == nullptr; }
  Error error() const { return Bad(bad_); }

 private:
  const char* bad_ = nullptr;
};

void ToPb(const ProcId& in, pb::ProcId* out) {
  out->set_name_space(in.name_space);
  out->set_rank(in.rank);
}
ProcId FromPb(Check& check, const pb::ProcId& in) {
  check.NameSpace(in.name_space(), "ProcId.name_space");
  check.That(in.rank() <= kRankWildcard, "ProcId.rank");
  return ProcId{in.name_space(), in.rank()};
}

void ToPb(const std::vector<ProcId>& in, Repeated<pb::ProcId>* out) {
  for (const ProcId& proc : in) ToPb(proc, out->Add());
}
std::vector<ProcId> FromPb(Check& check, const Repeated<pb::ProcId>& in, const char* field) {
  std::vector<ProcId> out;
  check.Count(in, static_cast<int>(kMaxJobRanks), field);
  for (const auto& proc : in) {
    if (!check.ok()) break;
    out.push_back(FromPb(check, proc));
  }
  return out;
}

void ToPb(const std::vector<std::string>& in, Repeated<std::string>* out) {
  for (const auto& s : in) out->Add(std::string(s));
}
std::vector<std::string> Texts(Check& check, const Repeated<std::string>& in, const char* field) {
  for (const auto& s : in) check.Text(s, field);
  return {in.begin(), in.end()};
}
std::vector<std::string> Keys(Check& check, const Repeated<std::string>& in, const char* field) {
  check.Count(in, kMaxItems, field);
  for (const auto& s : in) check.Key(s, field);
  return {in.begin(), in.end()};
}

std::chrono::microseconds Micros(int64_t us) { return std::chrono::microseconds(us); }
std::chrono::seconds Seconds(uint32_t s) { return std::chrono::seconds(s); }

// ----- a job's life ---------------------------------------------------------------------------

void ToPb(const RegisterJob& in, pb::HostEnvelope* envelope) {
  pb::RegisterJob* out = envelope->mutable_register_job();
  out->set_name_space(in.name_space);
  for (const auto& node : in.nodes) {
    pb::RegisterJob::Node* n = out->add_nodes();
    n->set_name(node.name);
    const bool strides = std::any_of(node.runs.begin(), node.runs.end(),
                                     [](const RankRun& run) { return run.stride != 1; });
    for (const RankRun& run : node.runs) {
      n->add_first_rank(run.first);
      n->add_count(run.count);
      if (strides) n->add_stride(run.stride);
    }
  }
  out->set_local_node(in.local_node);
  for (const auto& app : in.apps) {
    pb::RegisterJob::App* a = out->add_apps();
    a->set_first_rank(app.first_rank);
    a->set_ranks(app.ranks);
    ToPb(app.argv, a->mutable_argv());
    a->set_wdir(app.wdir);
  }
  out->set_job_dir(in.job_dir);
  out->set_slots(in.slots);
  ToPb(in.cpusets, out->mutable_cpusets());
  if (in.parent) ToPb(*in.parent, out->mutable_parent());
}

RegisterJob::Node NodeFromPb(Check& check, const pb::RegisterJob::Node& in) {
  check.Text(in.name(), "RegisterJob.Node.name");
  check.That(in.first_rank_size() == in.count_size(), "RegisterJob.Node.count");
  check.That(in.stride_size() == 0 || in.stride_size() == in.count_size(),
             "RegisterJob.Node.stride");
  RegisterJob::Node out;
  out.name = in.name();
  for (int i = 0; check.ok() && i < in.count_size(); ++i) {
    const uint32_t stride = in.stride_size() == 0 ? 1 : in.stride(i);
    out.runs.push_back({in.first_rank(i), in.count(i), stride});
  }
  return out;
}

RegisterJob::App AppFromPb(Check& check, const pb::RegisterJob::App& in) {
  check.Text(in.wdir(), "RegisterJob.App.wdir");
  return {in.first_rank(), in.ranks(), Texts(check, in.argv(), "RegisterJob.App.argv"), in.wdir()};
}

Result<HostMessage> FromPb(const pb::RegisterJob& in) {
  Check check;
  check.NameSpace(in.name_space(), "RegisterJob.name_space");
  check.Count(in.nodes(), static_cast<int>(kMaxJobNodes), "RegisterJob.nodes");
  check.Count(in.apps(), static_cast<int>(kMaxJobApps), "RegisterJob.apps");
  check.Text(in.job_dir(), "RegisterJob.job_dir");
  check.That(in.slots() >= 1, "RegisterJob.slots");
  RegisterJob out;
  out.name_space = in.name_space();
  if (check.ok()) {
    for (const auto& node : in.nodes()) out.nodes.push_back(NodeFromPb(check, node));
    for (const auto& app : in.apps()) out.apps.push_back(AppFromPb(check, app));
  }
  out.local_node = in.local_node();
  out.job_dir = in.job_dir();
  out.slots = in.slots();
  out.cpusets = Texts(check, in.cpusets(), "RegisterJob.cpusets");
  if (in.has_parent()) out.parent = FromPb(check, in.parent());
  if (!check.ok()) return check.error();
  if (auto s = CheckRegisterJob(out); !s) return s.error();
  return HostMessage(std::move(out));
}

void ToPb(const JobRegistered& in, pb::HostEnvelope* envelope) {
  pb::JobRegistered* out = envelope->mutable_job_registered();
  out->set_name_space(in.name_space);
  out->set_status(in.status);
  out->set_error(in.error);
  ToPb(in.common_env, out->mutable_common_env());
  for (const auto& rank : in.ranks) {
    pb::JobRegistered::RankEnv* r = out->add_ranks();
    r->set_rank(rank.rank);
    ToPb(rank.env, r->mutable_env());
  }
}
Result<HostMessage> FromPb(const pb::JobRegistered& in) {
  Check check;
  check.NameSpace(in.name_space(), "JobRegistered.name_space");
  check.Count(in.ranks(), static_cast<int>(kMaxJobRanks), "JobRegistered.ranks");
  JobRegistered out{in.name_space(),
                    in.status(),
                    in.error(),
                    Texts(check, in.common_env(), "JobRegistered.common_env"),
                    {}};
  for (const auto& rank : in.ranks()) {
    check.That(rank.rank() < kMaxJobRanks, "JobRegistered.RankEnv.rank");
    check.That(out.ranks.empty() || out.ranks.back().rank < rank.rank(),
               "JobRegistered.ranks (not ascending)");
    out.ranks.push_back({rank.rank(), Texts(check, rank.env(), "JobRegistered.RankEnv.env")});
  }
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const DeregisterJob& in, pb::HostEnvelope* envelope) {
  envelope->mutable_deregister_job()->set_name_space(in.name_space);
}
Result<HostMessage> FromPb(const pb::DeregisterJob& in) {
  Check check;
  check.NameSpace(in.name_space(), "DeregisterJob.name_space");
  if (!check.ok()) return check.error();
  return HostMessage(DeregisterJob{in.name_space()});
}

void ToPb(const JobDeregistered& in, pb::HostEnvelope* envelope) {
  envelope->mutable_job_deregistered()->set_name_space(in.name_space);
}
Result<HostMessage> FromPb(const pb::JobDeregistered& in) {
  Check check;
  check.NameSpace(in.name_space(), "JobDeregistered.name_space");
  if (!check.ok()) return check.error();
  return HostMessage(JobDeregistered{in.name_space()});
}

void ToPb(const HostReady& in, pb::HostEnvelope* envelope) {
  pb::HostReady* out = envelope->mutable_ready();
  out->set_pmix_version(in.pmix_version);
  out->set_init_begin_us(in.init_begin.count());
  out->set_init_end_us(in.init_end.count());
  out->set_rendezvous(in.rendezvous);
}
Result<HostMessage> FromPb(const pb::HostReady& in) {
  Check check;
  check.Time(in.init_begin_us(), "HostReady.init_begin_us");
  check.Time(in.init_end_us(), "HostReady.init_end_us");
  check.That(in.init_end_us() >= in.init_begin_us(), "HostReady.init_end_us");
  if (!check.ok()) return check.error();
  return HostMessage(HostReady{in.pmix_version(), Micros(in.init_begin_us()),
                               Micros(in.init_end_us()), in.rendezvous()});
}

void ToPb(const ClientEvent& in, pb::HostEnvelope* envelope) {
  pb::ClientEvent* out = envelope->mutable_client();
  ToPb(in.proc, out->mutable_proc());
  out->set_what(in.what == ClientEvent::What::kConnected ? pb::ClientEvent::CONNECTED
                                                         : pb::ClientEvent::FINALIZED);
  out->set_at_us(in.at.count());
}
Result<HostMessage> FromPb(const pb::ClientEvent& in) {
  Check check;
  check.That(in.what() >= 0 && in.what() <= pb::ClientEvent::FINALIZED, "ClientEvent.what");
  check.Time(in.at_us(), "ClientEvent.at_us");
  ClientEvent out{FromPb(check, in.proc()),
                  in.what() == pb::ClientEvent::CONNECTED ? ClientEvent::What::kConnected
                                                          : ClientEvent::What::kFinalized,
                  Micros(in.at_us())};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const Abort& in, pb::HostEnvelope* envelope) {
  pb::Abort* out = envelope->mutable_abort();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
  out->set_code(in.code);
  out->set_text(in.text);
  ToPb(in.targets, out->mutable_targets());
}
Result<HostMessage> FromPb(const pb::Abort& in) {
  Check check;
  Abort out{in.request(), FromPb(check, in.proc()), in.code(), in.text(),
            FromPb(check, in.targets(), "Abort.targets")};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

// ----- collectives and modex ------------------------------------------------------------------

void ToPb(const Fence& in, pb::HostEnvelope* envelope) {
  pb::Fence* out = envelope->mutable_fence();
  out->set_request(in.request);
  ToPb(in.participants, out->mutable_participants());
  out->set_collect(in.collect);
  out->set_data(in.data);
  out->set_at_us(in.at.count());
  out->set_kind(static_cast<pb::Fence::Kind>(in.kind));
  out->set_timeout_s(static_cast<uint32_t>(in.timeout.count()));
}
// These three take the bytes, which may be many, out of what they decode.
Result<HostMessage> FromPb(pb::Fence& in) {
  Check check;
  check.That(in.participants_size() >= 1, "Fence.participants");
  check.Time(in.at_us(), "Fence.at_us");
  check.That(in.kind() >= 0 && in.kind() <= pb::Fence::DISCONNECT, "Fence.kind");
  check.Timeout(in.timeout_s(), "Fence.timeout_s");
  Fence out{in.request(),           FromPb(check, in.participants(), "Fence.participants"),
            in.collect(),           std::move(*in.mutable_data()),
            Micros(in.at_us()),     static_cast<Fence::Kind>(in.kind()),
            Seconds(in.timeout_s())};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const FenceDone& in, pb::HostEnvelope* envelope) {
  pb::FenceDone* out = envelope->mutable_fence_done();
  out->set_request(in.request);
  out->set_status(in.status);
  out->set_data(in.data);
}
Result<HostMessage> FromPb(pb::FenceDone& in) {
  return HostMessage(FenceDone{in.request(), in.status(), std::move(*in.mutable_data())});
}

void ToPb(const FenceReleased& in, pb::HostEnvelope* envelope) {
  pb::FenceReleased* out = envelope->mutable_fence_released();
  ToPb(in.participants, out->mutable_participants());
  out->set_at_us(in.at.count());
}
Result<HostMessage> FromPb(const pb::FenceReleased& in) {
  Check check;
  check.Time(in.at_us(), "FenceReleased.at_us");
  FenceReleased out{FromPb(check, in.participants(), "FenceReleased.participants"),
                    Micros(in.at_us())};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const DirectModex& in, pb::HostEnvelope* envelope) {
  pb::DirectModex* out = envelope->mutable_direct_modex();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
  out->set_timeout_s(static_cast<uint32_t>(in.timeout.count()));
}
Result<HostMessage> FromPb(const pb::DirectModex& in) {
  Check check;
  check.Timeout(in.timeout_s(), "DirectModex.timeout_s");
  DirectModex out{in.request(), FromPb(check, in.proc()), Seconds(in.timeout_s())};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const ModexRequest& in, pb::HostEnvelope* envelope) {
  pb::ModexRequest* out = envelope->mutable_modex_request();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
}
Result<HostMessage> FromPb(const pb::ModexRequest& in) {
  Check check;
  ModexRequest out{in.request(), FromPb(check, in.proc())};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const ModexDone& in, pb::HostEnvelope* envelope) {
  pb::ModexDone* out = envelope->mutable_modex_done();
  out->set_request(in.request);
  out->set_status(in.status);
  out->set_data(in.data);
}
Result<HostMessage> FromPb(pb::ModexDone& in) {
  return HostMessage(ModexDone{in.request(), in.status(), std::move(*in.mutable_data())});
}

// ----- publish and lookup ---------------------------------------------------------------------

void ToPb(const std::vector<Published>& in, Repeated<pb::Published>* out) {
  for (const Published& item : in) {
    pb::Published* p = out->Add();
    p->set_key(item.key);
    p->set_value(item.value);
    ToPb(item.owner, p->mutable_owner());
  }
}
std::vector<Published> FromPb(Check& check, const Repeated<pb::Published>& in, const char* field) {
  check.Count(in, kMaxItems, field);
  std::vector<Published> out;
  for (const auto& item : in) {
    if (!check.ok()) break;
    check.Key(item.key(), field);
    out.push_back({item.key(), item.value(), FromPb(check, item.owner())});
  }
  return out;
}

void ToPb(const Publish& in, pb::HostEnvelope* envelope) {
  pb::Publish* out = envelope->mutable_publish();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
  ToPb(in.items, out->mutable_items());
  out->set_range(in.range);
  out->set_persistence(in.persistence);
  out->set_timeout_s(static_cast<uint32_t>(in.timeout.count()));
}
Result<HostMessage> FromPb(const pb::Publish& in) {
  Check check;
  check.That(in.range() <= kMaxRange, "Publish.range");
  check.That(in.persistence() <= kMaxRange, "Publish.persistence");
  check.Timeout(in.timeout_s(), "Publish.timeout_s");
  Publish out{in.request(), FromPb(check, in.proc()), FromPb(check, in.items(), "Publish.items"),
              in.range(),   in.persistence(),         Seconds(in.timeout_s())};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const Lookup& in, pb::HostEnvelope* envelope) {
  pb::Lookup* out = envelope->mutable_lookup();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
  ToPb(in.keys, out->mutable_keys());
  out->set_wait(in.wait);
  out->set_wait_count(in.wait_count);
  out->set_timeout_s(static_cast<uint32_t>(in.timeout.count()));
  out->set_range(in.range);
}
Result<HostMessage> FromPb(const pb::Lookup& in) {
  Check check;
  check.Timeout(in.timeout_s(), "Lookup.timeout_s");
  check.That(in.range() <= kMaxRange, "Lookup.range");
  check.That(in.keys_size() >= 1, "Lookup.keys");
  check.That(in.wait_count() <= static_cast<uint32_t>(in.keys_size()), "Lookup.wait_count");
  Lookup out{in.request(), FromPb(check, in.proc()), Keys(check, in.keys(), "Lookup.keys"),
             in.wait(),    in.wait_count(),          Seconds(in.timeout_s()),
             in.range()};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const LookupDone& in, pb::HostEnvelope* envelope) {
  pb::LookupDone* out = envelope->mutable_lookup_done();
  out->set_request(in.request);
  out->set_status(in.status);
  ToPb(in.items, out->mutable_items());
}
Result<HostMessage> FromPb(const pb::LookupDone& in) {
  Check check;
  LookupDone out{in.request(), in.status(), FromPb(check, in.items(), "LookupDone.items")};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const Unpublish& in, pb::HostEnvelope* envelope) {
  pb::Unpublish* out = envelope->mutable_unpublish();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
  ToPb(in.keys, out->mutable_keys());
  out->set_range(in.range);
}
Result<HostMessage> FromPb(const pb::Unpublish& in) {
  Check check;
  check.That(in.range() <= kMaxRange, "Unpublish.range");
  Unpublish out{in.request(), FromPb(check, in.proc()), Keys(check, in.keys(), "Unpublish.keys"),
                in.range()};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

// ----- events, control, log, query ------------------------------------------------------------

void ToPb(const EventRaised& in, pb::HostEnvelope* envelope) {
  pb::EventRaised* out = envelope->mutable_event();
  out->set_request(in.request);
  out->set_code(in.code);
  ToPb(in.source, out->mutable_source());
  out->set_range(in.range);
  out->set_info(in.info);
  out->set_info_count(in.info_count);
  ToPb(in.targets, out->mutable_targets());
  if (in.text) {
    out->set_has_text(true);
    out->set_text(in.text->bytes);
    out->set_text_to_stderr(in.text->to_stderr);
  }
  if (!in.exit) return;
  out->set_has_exit(true);
  out->set_exit_code(static_cast<uint32_t>(in.exit->code));
  out->set_exit_signo(static_cast<uint32_t>(in.exit->signo));
}
Result<HostMessage> FromPb(const pb::EventRaised& in) {
  Check check;
  check.That(in.exit_code() <= 255 && in.exit_signo() <= 64, "EventRaised.exit_code");
  check.That(in.range() <= kMaxRange, "EventRaised.range");
  check.That(in.info_count() <= static_cast<uint32_t>(kMaxItems), "EventRaised.info_count");
  check.That(in.info_count() == 0 || !in.info().empty(), "EventRaised.info");
  EventRaised out{in.request(),
                  in.code(),
                  FromPb(check, in.source()),
                  in.range(),
                  in.info(),
                  in.info_count(),
                  FromPb(check, in.targets(), "EventRaised.targets")};
  if (in.has_exit()) {
    out.exit = ProcExit{static_cast<int>(in.exit_code()), static_cast<int>(in.exit_signo())};
  }
  if (in.has_text()) out.text = EventText{in.text(), in.text_to_stderr()};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const JobControl& in, pb::HostEnvelope* envelope) {
  pb::JobControl* out = envelope->mutable_job_control();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
  ToPb(in.targets, out->mutable_targets());
  out->set_signo(in.signo);
}
Result<HostMessage> FromPb(const pb::JobControl& in) {
  Check check;
  check.That(in.signo() >= 1 && in.signo() <= kMaxSignal, "JobControl.signo");
  JobControl out{in.request(), FromPb(check, in.proc()),
                 FromPb(check, in.targets(), "JobControl.targets"), in.signo()};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const LogText& in, pb::HostEnvelope* envelope) {
  pb::LogText* out = envelope->mutable_log();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
  out->set_to_stdout(in.to_stdout);
  out->set_text(in.text);
}
Result<HostMessage> FromPb(const pb::LogText& in) {
  Check check;
  LogText out{in.request(), FromPb(check, in.proc()), in.to_stdout(), in.text()};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const Query& in, pb::HostEnvelope* envelope) {
  pb::Query* out = envelope->mutable_query();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
  ToPb(in.keys, out->mutable_keys());
  out->set_name_space(in.name_space);
}
Result<HostMessage> FromPb(const pb::Query& in) {
  Check check;
  if (!in.name_space().empty()) check.NameSpace(in.name_space(), "Query.name_space");
  Query out{in.request(), FromPb(check, in.proc()), Keys(check, in.keys(), "Query.keys"),
            in.name_space()};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const QueryDone& in, pb::HostEnvelope* envelope) {
  pb::QueryDone* out = envelope->mutable_query_done();
  out->set_request(in.request);
  out->set_status(in.status);
  ToPb(in.name_spaces, out->mutable_name_spaces());
  for (const ProcState& state : in.procs) {
    pb::ProcState* p = out->add_procs();
    ToPb(state.proc, p->mutable_proc());
    p->set_node(state.node);
    p->set_program(state.program);
    p->set_pid(static_cast<uint64_t>(state.pid));
    p->set_exit_code(state.exit_code);
    p->set_state(state.state);
    p->set_app(state.app);
  }
}
ProcState FromPb(Check& check, const pb::ProcState& in) {
  check.Text(in.node(), "ProcState.node");
  check.Text(in.program(), "ProcState.program");
  check.That(in.pid() <= 0x7fffffff, "ProcState.pid");
  check.That(in.state() <= kMaxProcState, "ProcState.state");
  return {FromPb(check, in.proc()), in.node(),  in.program(), static_cast<int64_t>(in.pid()),
          in.exit_code(),           in.state(), in.app()};
}
Result<HostMessage> FromPb(const pb::QueryDone& in) {
  Check check;
  check.Count(in.name_spaces(), kMaxItems, "QueryDone.name_spaces");
  check.Count(in.procs(), static_cast<int>(kMaxJobRanks), "QueryDone.procs");
  for (const auto& name : in.name_spaces()) check.NameSpace(name, "QueryDone.name_spaces");
  QueryDone out{in.request(), in.status(), {in.name_spaces().begin(), in.name_spaces().end()}, {}};
  for (const auto& state : in.procs()) {
    if (!check.ok()) break;
    out.procs.push_back(FromPb(check, state));
  }
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

// ----- spawns and groups ----------------------------------------------------------------------

void ToPb(const std::vector<SpawnInfo>& in, Repeated<pb::SpawnInfo>* out) {
  for (const SpawnInfo& info : in) {
    pb::SpawnInfo* i = out->Add();
    i->set_key(info.key);
    i->set_type(static_cast<pb::SpawnInfo::Type>(info.type));
    i->set_text(info.text);
    i->set_number(info.number);
    i->set_value(info.value);
    i->set_separator(info.separator);
    i->set_required(info.required);
    i->set_optional(info.optional);
  }
}
std::vector<SpawnInfo> FromPb(Check& check, const Repeated<pb::SpawnInfo>& in) {
  std::vector<SpawnInfo> out;
  check.Count(in, kMaxItems, "SpawnInfo");
  for (const auto& info : in) {
    check.Key(info.key(), "SpawnInfo.key");
    check.That(info.type() >= 0 && info.type() <= pb::SpawnInfo::ENVAR, "SpawnInfo.type");
    check.Text(info.text(), "SpawnInfo.text");
    check.Text(info.value(), "SpawnInfo.value");
    check.That(info.separator().size() <= 1, "SpawnInfo.separator");
    check.Text(info.separator(), "SpawnInfo.separator");
    if (!check.ok()) break;
    out.push_back({info.key(), static_cast<SpawnInfo::Type>(info.type()), info.text(),
                   info.number(), info.value(), info.separator(), info.required(),
                   info.optional()});
  }
  return out;
}

void ToPb(const Spawn& in, pb::HostEnvelope* envelope) {
  pb::Spawn* out = envelope->mutable_spawn();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
  ToPb(in.infos, out->mutable_infos());
  for (const SpawnApp& app : in.apps) {
    pb::SpawnApp* a = out->add_apps();
    a->set_program(app.program);
    ToPb(app.argv, a->mutable_argv());
    ToPb(app.env, a->mutable_env());
    a->set_cwd(app.cwd);
    a->set_ranks(app.ranks);
    ToPb(app.infos, a->mutable_infos());
  }
}
SpawnApp FromPb(Check& check, const pb::SpawnApp& in) {
  check.That(!in.program().empty(), "SpawnApp.program");
  check.Text(in.program(), "SpawnApp.program");
  check.That(in.argv_size() > 0, "SpawnApp.argv");
  check.Text(in.cwd(), "SpawnApp.cwd");
  check.That(in.ranks() > 0 && in.ranks() <= kMaxJobRanks, "SpawnApp.ranks");
  return {in.program(),
          Texts(check, in.argv(), "SpawnApp.argv"),
          Texts(check, in.env(), "SpawnApp.env"),
          in.cwd(),
          in.ranks(),
          FromPb(check, in.infos())};
}
Result<HostMessage> FromPb(const pb::Spawn& in) {
  Check check;
  Spawn out{in.request(), FromPb(check, in.proc()), FromPb(check, in.infos()), {}};
  check.That(in.apps_size() > 0 && in.apps_size() <= static_cast<int>(kMaxJobApps), "Spawn.apps");
  uint64_t ranks = 0;
  for (const auto& app : in.apps()) {
    if (!check.ok()) break;
    out.apps.push_back(FromPb(check, app));
    ranks += app.ranks();
    check.That(ranks <= kMaxJobRanks, "Spawn.apps (ranks)");
  }
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const SpawnDone& in, pb::HostEnvelope* envelope) {
  pb::SpawnDone* out = envelope->mutable_spawn_done();
  out->set_request(in.request);
  out->set_status(in.status);
  out->set_name_space(in.name_space);
}
Result<HostMessage> FromPb(const pb::SpawnDone& in) {
  Check check;
  if (in.status() == kSuccess) check.NameSpace(in.name_space(), "SpawnDone.name_space");
  if (in.status() != kSuccess) check.That(in.name_space().empty(), "SpawnDone.name_space");
  if (!check.ok()) return check.error();
  return HostMessage(SpawnDone{in.request(), in.status(), in.name_space()});
}

void ToPb(const Group& in, pb::HostEnvelope* envelope) {
  pb::Group* out = envelope->mutable_group();
  out->set_request(in.request);
  out->set_operation(static_cast<pb::Group::Operation>(in.operation));
  out->set_id(in.id);
  ToPb(in.members, out->mutable_members());
  out->set_want_context(in.want_context);
  out->set_data(in.data);
  out->set_timeout_s(static_cast<uint32_t>(in.timeout.count()));
}
Result<HostMessage> FromPb(const pb::Group& in) {
  Check check;
  check.That(in.operation() >= 0 && in.operation() <= pb::Group::DESTRUCT, "Group.operation");
  check.Key(in.id(), "Group.id");
  check.That(in.members_size() > 0, "Group.members");
  check.Timeout(in.timeout_s(), "Group.timeout_s");
  Group out{in.request(),
            static_cast<Group::Operation>(in.operation()),
            in.id(),
            FromPb(check, in.members(), "Group.members"),
            in.want_context(),
            in.data(),
            Seconds(in.timeout_s())};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const GroupDone& in, pb::HostEnvelope* envelope) {
  pb::GroupDone* out = envelope->mutable_group_done();
  out->set_request(in.request);
  out->set_status(in.status);
  out->set_context(in.context);
  out->set_data(in.data);
}
Result<HostMessage> FromPb(const pb::GroupDone& in) {
  return HostMessage(GroupDone{in.request(), in.status(), in.context(), in.data()});
}

// ----- tools ----------------------------------------------------------------------------------

void ToPb(const ToolConnected& in, pb::HostEnvelope* envelope) {
  pb::ToolConnected* out = envelope->mutable_tool();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
  out->set_pid(in.pid);
  out->set_version(in.version);
  out->set_command(in.command);
  out->set_umask(in.umask);
  out->set_open_files(in.open_files);
  out->set_open_files_hard(in.open_files_hard);
}
Result<HostMessage> FromPb(const pb::ToolConnected& in) {
  Check check;
  check.That(in.pid() >= 0 && in.pid() <= INT32_MAX, "ToolConnected.pid");
  check.Text(in.version(), "ToolConnected.version");
  check.Text(in.command(), "ToolConnected.command");
  check.That(in.umask() <= 0777, "ToolConnected.umask");
  check.That(in.open_files() <= in.open_files_hard(), "ToolConnected.open_files");
  ToolConnected out{
      in.request(),    FromPb(check, in.proc()), in.pid(), in.version(), in.command(), in.umask(),
      in.open_files(), in.open_files_hard()};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const ToolGone& in, pb::HostEnvelope* envelope) {
  ToPb(in.proc, envelope->mutable_tool_gone()->mutable_proc());
}
Result<HostMessage> FromPb(const pb::ToolGone& in) {
  Check check;
  ToolGone out{FromPb(check, in.proc())};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const ToolRead& in, pb::HostEnvelope* envelope) {
  pb::ToolRead* out = envelope->mutable_tool_read();
  ToPb(in.proc, out->mutable_proc());
  out->set_bytes(in.bytes);
}
Result<HostMessage> FromPb(const pb::ToolRead& in) {
  Check check;
  check.That(in.bytes() <= kToolWindowBytes, "ToolRead.bytes");
  ToolRead out{FromPb(check, in.proc()), in.bytes()};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const ToolDrain& in, pb::HostEnvelope* envelope) {
  pb::ToolDrain* out = envelope->mutable_tool_drain();
  out->set_request(in.request);
  ToPb(in.proc, out->mutable_proc());
}
Result<HostMessage> FromPb(const pb::ToolDrain& in) {
  Check check;
  ToolDrain out{in.request(), FromPb(check, in.proc())};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

// ----- uplinks --------------------------------------------------------------------------------

constexpr size_t kMaxNameBytes = 4096;
constexpr size_t kMaxWhyBytes = 8 << 10;

using StreamKey = std::array<unsigned char, 32>;
std::string ToBytes(const StreamKey& key) { return {key.begin(), key.end()}; }
StreamKey KeyFromPb(Check& check, const std::string& bytes, const char* field) {
  StreamKey key{};
  check.That(bytes.size() == key.size(), field);
  if (check.ok()) std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

void ToPb(const UseUplink& in, pb::HostEnvelope* envelope) {
  pb::UseUplink* out = envelope->mutable_use_uplink();
  out->set_self(in.self);
  out->set_peer(in.peer);
  out->set_peer_name(in.peer_name);
  out->set_key_down(ToBytes(in.key_down));
  out->set_key_up(ToBytes(in.key_up));
  out->set_node_timeout_s(static_cast<uint32_t>(in.node_timeout.count()));
  out->set_max_message_bytes(in.max_message_bytes);
}
Result<HostMessage> FromPb(const pb::UseUplink& in) {
  Check check;
  check.That(in.self() < kMaxJobNodes, "UseUplink.self");
  check.That(in.peer() < kMaxJobNodes && in.peer() != in.self(), "UseUplink.peer");
  check.Text(in.peer_name(), "UseUplink.peer_name");
  check.That(in.peer_name().size() <= kMaxNameBytes, "UseUplink.peer_name");
  check.That(in.node_timeout_s() >= 1, "UseUplink.node_timeout_s");
  check.Timeout(in.node_timeout_s(), "UseUplink.node_timeout_s");
  check.That(in.max_message_bytes() >= 1 && in.max_message_bytes() <= kMaxHostMessageBytes,
             "UseUplink.max_message_bytes");
  UseUplink out{in.self(),
                in.peer(),
                in.peer_name(),
                KeyFromPb(check, in.key_down(), "UseUplink.key_down"),
                KeyFromPb(check, in.key_up(), "UseUplink.key_up"),
                Seconds(in.node_timeout_s()),
                in.max_message_bytes()};
  if (!check.ok()) return check.error();
  return HostMessage(std::move(out));
}

void ToPb(const SeriesGiven& in, pb::HostEnvelope* envelope) {
  pb::SeriesGiven* out = envelope->mutable_series_given();
  out->set_self(in.self);
  out->set_parent(in.parent);
  out->set_max_modex_bytes(in.max_modex_bytes);
  out->set_header(in.header);
}
Result<HostMessage> FromPb(const pb::SeriesGiven& in) {
  Check check;
  check.That(in.self() < kMaxJobNodes, "SeriesGiven.self");
  check.That(in.parent() < kMaxJobNodes, "SeriesGiven.parent");
  check.That(in.max_modex_bytes() <= kMaxModexBytes, "SeriesGiven.max_modex_bytes");
  if (!check.ok()) return check.error();
  return HostMessage(SeriesGiven{in.self(), in.parent(), in.max_modex_bytes(), in.header()});
}

void ToPb(const FromAbove& in, pb::HostEnvelope* envelope) {
  envelope->mutable_from_above()->set_payload(in.payload);
}
Result<HostMessage> FromPb(pb::FromAbove& in) {
  return HostMessage(FromAbove{std::move(*in.mutable_payload())});
}

void ToPb(const UplinkLost& in, pb::HostEnvelope* envelope) {
  envelope->mutable_uplink_lost()->set_why(in.why);
}
Result<HostMessage> FromPb(const pb::UplinkLost& in) {
  Check check;
  check.Text(in.why(), "UplinkLost.why");
  check.That(in.why().size() <= kMaxWhyBytes, "UplinkLost.why");
  if (!check.ok()) return check.error();
  return HostMessage(UplinkLost{in.why()});
}

void ToPb(const OpDone& in, pb::HostEnvelope* envelope) {
  pb::OpDone* out = envelope->mutable_op_done();
  out->set_request(in.request);
  out->set_status(in.status);
}
Result<HostMessage> FromPb(const pb::OpDone& in) {
  return HostMessage(OpDone{in.request(), in.status()});
}

void ToPb(const Ping& in, pb::HostEnvelope* envelope) {
  envelope->mutable_ping()->set_number(in.number);
}
Result<HostMessage> FromPb(const pb::Ping& in) { return HostMessage(Ping{in.number()}); }

void ToPb(const Pong& in, pb::HostEnvelope* envelope) {
  envelope->mutable_pong()->set_number(in.number);
}
Result<HostMessage> FromPb(const pb::Pong& in) { return HostMessage(Pong{in.number()}); }

}  // namespace

FrameClass ClassOf(const HostMessage& message) {
  const bool has_data =
      std::holds_alternative<Fence>(message) || std::holds_alternative<FenceDone>(message) ||
      std::holds_alternative<FromAbove>(message) || std::holds_alternative<ModexDone>(message);
  return has_data ? FrameClass::kData : FrameClass::kControl;
}

std::string EncodeHostMessage(const HostMessage& message) {
  pb::HostEnvelope envelope;
  std::visit([&envelope](const auto& m) { ToPb(m, &envelope); }, message);
  return envelope.SerializeAsString();
}

Result<HostMessage> DecodeHostMessage(const std::string& payload) {
  pb::HostEnvelope envelope;
  if (!envelope.ParseFromString(payload)) {
    return Error{Errc::kProtocol, "malformed message between agent and host"};
  }
  using E = pb::HostEnvelope;
  switch (envelope.body_case()) {
    case E::kRegisterJob:
      return FromPb(envelope.register_job());
    case E::kJobRegistered:
      return FromPb(envelope.job_registered());
    case E::kDeregisterJob:
      return FromPb(envelope.deregister_job());
    case E::kJobDeregistered:
      return FromPb(envelope.job_deregistered());
    case E::kReady:
      return FromPb(envelope.ready());
    case E::kClient:
      return FromPb(envelope.client());
    case E::kAbort:
      return FromPb(envelope.abort());
    case E::kFence:
      return FromPb(*envelope.mutable_fence());
    case E::kFenceDone:
      return FromPb(*envelope.mutable_fence_done());
    case E::kFenceReleased:
      return FromPb(envelope.fence_released());
    case E::kDirectModex:
      return FromPb(envelope.direct_modex());
    case E::kModexRequest:
      return FromPb(envelope.modex_request());
    case E::kModexDone:
      return FromPb(*envelope.mutable_modex_done());
    case E::kPublish:
      return FromPb(envelope.publish());
    case E::kLookup:
      return FromPb(envelope.lookup());
    case E::kLookupDone:
      return FromPb(envelope.lookup_done());
    case E::kUnpublish:
      return FromPb(envelope.unpublish());
    case E::kEvent:
      return FromPb(envelope.event());
    case E::kJobControl:
      return FromPb(envelope.job_control());
    case E::kLog:
      return FromPb(envelope.log());
    case E::kQuery:
      return FromPb(envelope.query());
    case E::kQueryDone:
      return FromPb(envelope.query_done());
    case E::kOpDone:
      return FromPb(envelope.op_done());
    case E::kPing:
      return FromPb(envelope.ping());
    case E::kPong:
      return FromPb(envelope.pong());
    case E::kSpawn:
      return FromPb(envelope.spawn());
    case E::kSpawnDone:
      return FromPb(envelope.spawn_done());
    case E::kGroup:
      return FromPb(envelope.group());
    case E::kGroupDone:
      return FromPb(envelope.group_done());
    case E::kTool:
      return FromPb(envelope.tool());
    case E::kToolGone:
      return FromPb(envelope.tool_gone());
    case E::kToolRead:
      return FromPb(envelope.tool_read());
    case E::kToolDrain:
      return FromPb(envelope.tool_drain());
    case E::kUseUplink:
      return FromPb(envelope.use_uplink());
    case E::kSeriesGiven:
      return FromPb(envelope.series_given());
    case E::kFromAbove:
      return FromPb(*envelope.mutable_from_above());
    case E::kUplinkLost:
      return FromPb(envelope.uplink_lost());
    case E::BODY_NOT_SET:
      break;
  }
  return Error{Errc::kProtocol, "a message of unknown kind between agent and host"};
}

}  // namespace rex::pmix
