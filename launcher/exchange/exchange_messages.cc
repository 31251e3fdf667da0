#include "launcher/exchange/exchange_messages.h"

#include <algorithm>

#include "launcher/base/decode.h"
#include "launcher/exchange/exchange.pb.h"
#include "launcher/exchange/exchange_port.h"
#include "pmix-server/proto/job_checks.h"

namespace rex {

namespace {

constexpr size_t kLengthBytes = 4;
constexpr size_t kMaxNameSpaceBytes = 255;  // PMIX_MAX_NSLEN

void AppendLength(std::string& out, size_t bytes) {
  for (size_t i = 0; i < kLengthBytes; ++i) out.push_back(static_cast<char>(bytes >> (8 * i)));
}

// `before`: what is encoded already of the header.
std::string Frame(std::string_view before, const google::protobuf::MessageLite& header,
                  size_t bulk_bytes) {
  const size_t bytes = before.size() + header.ByteSizeLong();
  std::string out;
  out.reserve(kLengthBytes + bytes + bulk_bytes);
  AppendLength(out, bytes);
  out += before;
  header.AppendToString(&out);
  return out;
}

// The bytes of a payload's header. Errors: kProtocol.
Result<std::string_view> HeaderOf(std::string_view payload) {
  if (payload.size() < kLengthBytes) return Bad("header length");
  uint32_t bytes = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    bytes |= uint32_t{static_cast<uint8_t>(payload[i])} << (8 * i);
  }
  if (bytes > payload.size() - kLengthBytes || bytes > kMaxExchangeHeaderBytes) {
    return Bad("header length");
  }
  return payload.substr(kLengthBytes, bytes);
}

// Parses the header and says where the bulk begins.
Result<size_t> ParseHeader(const std::string& payload, google::protobuf::MessageLite& header) {
  const Result<std::string_view> bytes = HeaderOf(payload);
  if (!bytes) return bytes.error();
  if (!header.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) return Bad("header");
  return kLengthBytes + bytes->size();
}

bool IsNameSpace(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameSpaceBytes && name.find('\0') == name.npos;
}

bool IsRun(const pb::ProcRun& run) {
  if (!IsNameSpace(run.name_space()) || run.count() == 0) return false;
  if (run.first() == pmix::kRankWildcard) return run.count() == 1;
  return uint64_t{run.first()} + run.count() <= pmix::kMaxJobRanks;
}

// `next` is beyond `run`, with a gap: else they would be one.
bool Follows(const ProcRun& run, const ProcRun& next) {
  if (run.name_space != next.name_space) return run.name_space < next.name_space;
  if (run.first == pmix::kRankWildcard) return false;
  return next.first == pmix::kRankWildcard || next.first > run.first + run.count;
}

Result<std::vector<ProcRun>> Participants(const pb::CollectiveHeader& in) {
  std::vector<ProcRun> out;
  if (in.participants_size() == 0 ||
      static_cast<uint32_t>(in.participants_size()) > pmix::kMaxJobRanks) {
    return Bad("CollectiveHeader.participants");
  }
  for (const auto& run : in.participants()) {
    ProcRun next{run.name_space(), run.first(), run.count()};
    if (!IsRun(run) || (!out.empty() && !Follows(out.back(), next))) {
      return Bad("CollectiveHeader.participants");
    }
    out.push_back(std::move(next));
  }
  return out;
}

void PutNodes(const std::vector<NodeId>& nodes, pb::CollectiveHeader& out) {
  for (size_t i = 0; i < nodes.size();) {
    const uint32_t first = Index(nodes[i]);
    const uint32_t stride = i + 1 < nodes.size() ? Index(nodes[i + 1]) - first : 1;
    size_t end = i + 1;
    while (end < nodes.size() && Index(nodes[end]) - Index(nodes[end - 1]) == stride) ++end;
    out.add_node_first(first);
    out.add_node_count(static_cast<uint32_t>(end - i));
    out.add_node_stride(stride);
    i = end;
  }
}

Result<std::vector<NodeId>> Nodes(const pb::CollectiveHeader& in) {
  const int runs = in.node_first_size();
  if (runs == 0 || in.node_count_size() != runs || in.node_stride_size() != runs) {
    return Bad("CollectiveHeader.node_count");
  }
  std::vector<NodeId> nodes;
  for (int r = 0; r < runs; ++r) {
    const uint64_t first = in.node_first(r);
    const uint64_t count = in.node_count(r);
    const uint64_t stride = in.node_stride(r);
    const bool ascending = nodes.empty() || Index(nodes.back()) < first;
    if (count == 0 || count > kMaxNodes || stride == 0 || stride > kMaxNodes || !ascending ||
        first + (count - 1) * stride >= kMaxNodes) {
      return Bad("CollectiveHeader.node_first");
    }
    for (uint64_t i = 0; i < count; ++i) {
      nodes.push_back(NodeId{static_cast<uint32_t>(first + i * stride)});
    }
  }
  return nodes;
}

}  // namespace

std::vector<ProcRun> RunsOfProcs(std::vector<pmix::ProcId> procs) {
  std::sort(procs.begin(), procs.end());
  std::vector<ProcRun> runs;
  for (const pmix::ProcId& proc : procs) {
    if (!runs.empty() && runs.back().name_space == proc.name_space) {
      ProcRun& last = runs.back();
      if (proc.rank < last.first + last.count) continue;  // named twice
      if (proc.rank == last.first + last.count && proc.rank != pmix::kRankWildcard) {
        ++last.count;
        continue;
      }
    }
    runs.push_back({proc.name_space, proc.rank, 1});
  }
  return runs;
}

std::string EncodeSeries(const CollectiveHeader& header) {
  pb::CollectiveHeader out;
  out.set_kind(static_cast<uint32_t>(header.kind));
  for (const ProcRun& run : header.participants) {
    pb::ProcRun* r = out.add_participants();
    r->set_name_space(run.name_space);
    r->set_first(run.first);
    r->set_count(run.count);
  }
  PutNodes(header.nodes, out);
  return out.SerializeAsString();
}

// Fields come in any order, protobuf says: so a header may be encoded in two pieces.
std::string EncodeCollective(std::string_view series, uint64_t sequence, int32_t status,
                             size_t bulk_bytes) {
  pb::CollectiveHeader own;
  own.set_sequence(sequence);
  own.set_status(status);
  return Frame(series, own, bulk_bytes);
}

std::string EncodeCollective(const CollectiveHeader& header, size_t bulk_bytes) {
  return EncodeCollective(EncodeSeries(header), header.sequence, header.status, bulk_bytes);
}

std::optional<CollectiveOf> DecodeOfSeries(std::string_view payload, std::string_view series) {
  const Result<std::string_view> header = HeaderOf(payload);
  if (!header || !header->starts_with(series)) return std::nullopt;
  const std::string_view rest = header->substr(series.size());
  pb::CollectiveHeader own;
  if (!own.ParseFromArray(rest.data(), static_cast<int>(rest.size()))) return std::nullopt;
  const bool more = own.kind() != 0 || own.participants_size() != 0 || own.node_first_size() != 0 ||
                    own.node_count_size() != 0 || own.node_stride_size() != 0;
  const size_t offset = kLengthBytes + header->size();
  const bool valid = own.status() <= 0 && (own.status() == 0 || payload.size() == offset);
  if (more || !valid) return std::nullopt;
  return CollectiveOf{own.sequence(), own.status(), offset};
}

Result<WithBulk<CollectiveHeader>> DecodeCollective(std::string payload) {
  pb::CollectiveHeader in;
  const Result<size_t> offset = ParseHeader(payload, in);
  if (!offset) return offset.error();
  if (in.kind() > static_cast<uint32_t>(CollectiveKind::kDisconnect)) {
    return Bad("CollectiveHeader.kind");
  }
  auto participants = Participants(in);
  if (!participants) return participants.error();
  auto nodes = Nodes(in);
  if (!nodes) return nodes.error();
  if (in.status() > 0) return Bad("CollectiveHeader.status");
  if (in.status() != 0 && payload.size() > *offset) return Bad("bulk of a failure");
  WithBulk<CollectiveHeader> out;
  out.header = {static_cast<CollectiveKind>(in.kind()), *std::move(participants), in.sequence(),
                *std::move(nodes), in.status()};
  out.bulk = {std::move(payload), *offset};
  return out;
}

std::string EncodeModex(const ModexHeader& header, std::string_view bulk) {
  pb::ModexHeader out;
  out.set_id(header.id);
  out.set_name_space(header.proc.name_space);
  out.set_rank(header.proc.rank);
  out.set_status(header.status);
  std::string payload = Frame("", out, bulk.size());
  payload += bulk;
  return payload;
}

Result<WithBulk<ModexHeader>> DecodeModex(std::string payload, bool is_ask) {
  pb::ModexHeader in;
  const Result<size_t> offset = ParseHeader(payload, in);
  if (!offset) return offset.error();
  if (is_ask) {
    if (!IsNameSpace(in.name_space())) return Bad("ModexHeader.name_space");
    if (in.rank() >= pmix::kMaxJobRanks) return Bad("ModexHeader.rank");
    if (in.status() != 0 || payload.size() > *offset) return Bad("ModexHeader.status");
  } else if (!in.name_space().empty() || in.rank() != 0) {
    return Bad("ModexHeader.name_space");
  }
  WithBulk<ModexHeader> out;
  out.header = {in.id(), {in.name_space(), in.rank()}, in.status()};
  out.bulk = {std::move(payload), *offset};
  return out;
}

std::string EncodeHostState(const HostState& state) {
  pb::HostState out;
  out.set_node(Index(state.node));
  out.set_lost(state.lost);
  return out.SerializeAsString();
}

Result<HostState> DecodeHostState(const std::string& payload) {
  pb::HostState in;
  if (!in.ParseFromString(payload)) return Bad("HostState");
  if (in.node() >= kMaxNodes) return Bad("HostState.node");
  return HostState{NodeId{in.node()}, in.lost()};
}

}  // namespace rex
