#include "launcher/tree/tree_messages.h"

#include <algorithm>
#include <array>

#include "launcher/base/decode.h"
#include "launcher/tree/join_lines.h"
#include "launcher/tree/tree.pb.h"

namespace rex {

namespace {

constexpr uint32_t kEveryNode = 0xffffffff;
constexpr uint32_t kMaxSeconds = 1 << 30;
constexpr uint64_t kMaxMessageBytes = uint64_t{1} << 40;
constexpr int64_t kMaxMicroseconds = int64_t{1} << 53;  // 285 years; differences can't overflow
constexpr size_t kMaxAddressBytes = 64;                 // "%interface" included
constexpr int kMaxSshWords = 256;
constexpr uint32_t kMaxForeignThreads = 100 << 20;  // hundredths
constexpr uint32_t kMaxLoadCapacity = 100 << 20;

// No NUL, not too long.
bool IsText(const std::string& s) {
  return s.size() <= kMaxTreeTextBytes && s.find('\0') == s.npos;
}
bool IsName(const std::string& s) { return !s.empty() && IsText(s); }
bool IsNode(uint32_t id) { return id < kMaxNodes; }

void AppendU32(std::string* out, uint32_t v) {
  for (int i = 0; i < 4; ++i) out->push_back(static_cast<char>(v >> (8 * i)));
}

uint32_t U32At(std::string_view bytes, size_t at) {
  uint32_t v = 0;
  for (size_t i = 0; i < 4; ++i) {
    v |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  }
  return v;
}

std::string Cut(const std::string& text) { return text.substr(0, kMaxTreeTextBytes); }

Result<NodeSpec> NodeFromPb(const pb::TreeNode& m) {
  if (!IsNode(m.id())) return Bad("TreeNode.id");
  if (!IsName(m.name())) return Bad("TreeNode.name");
  if (!IsText(m.user())) return Bad("TreeNode.user");
  if (m.port() > 0xffff) return Bad("TreeNode.port");
  return NodeSpec{NodeId{m.id()}, m.name(), m.user(), static_cast<uint16_t>(m.port())};
}

Result<TreeOptions> OptionsFromPb(const pb::Welcome& m) {
  TreeOptions options;
  if (m.bootstrap() < 0 || m.bootstrap() > pb::Welcome::SLURM) return Bad("Welcome.bootstrap");
  options.kind = static_cast<BootstrapKind>(m.bootstrap());
  if (m.ship() < 0 || m.ship() > pb::Welcome::NEVER) return Bad("Welcome.ship");
  options.ship = static_cast<ShipMode>(m.ship());
  if (m.looks() < 0 || m.looks() > pb::Welcome::LOOK_ALWAYS) return Bad("Welcome.looks");
  options.looks = static_cast<LoadLooks>(m.looks());
  if (m.ssh_size() > kMaxSshWords) return Bad("Welcome.ssh");
  options.ssh.assign(m.ssh().begin(), m.ssh().end());
  if (!std::all_of(options.ssh.begin(), options.ssh.end(), IsText)) return Bad("Welcome.ssh");
  if (!IsText(m.rexd())) return Bad("Welcome.rexd");
  if (m.start_timeout_s() < 1 || m.start_timeout_s() > kMaxSeconds) {
    return Bad("Welcome.start_timeout_s");
  }
  if (m.node_timeout_s() < 1 || m.node_timeout_s() > kMaxSeconds) {
    return Bad("Welcome.node_timeout_s");
  }
  if (!IsText(m.log_level())) return Bad("Welcome.log_level");
  if (m.max_message_bytes() < 1 || m.max_message_bytes() > kMaxMessageBytes) {
    return Bad("Welcome.max_message_bytes");
  }
  options.rexd = m.rexd();
  options.start_timeout = std::chrono::seconds(m.start_timeout_s());
  options.node_timeout = std::chrono::seconds(m.node_timeout_s());
  options.verbose = m.verbose();
  options.log_level = m.log_level();
  options.max_message_bytes = m.max_message_bytes();
  return options;
}

void OptionsToPb(const TreeOptions& options, pb::Welcome* m) {
  m->set_bootstrap(static_cast<pb::Welcome::Bootstrap>(options.kind));
  m->set_ship(static_cast<pb::Welcome::Ship>(options.ship));
  m->set_looks(static_cast<pb::Welcome::Looks>(options.looks));
  for (const std::string& word : options.ssh) m->add_ssh(word);
  m->set_rexd(options.rexd);
  m->set_start_timeout_s(static_cast<uint32_t>(options.start_timeout.count()));
  m->set_node_timeout_s(static_cast<uint32_t>(options.node_timeout.count()));
  m->set_verbose(options.verbose);
  m->set_log_level(options.log_level);
  m->set_max_message_bytes(options.max_message_bytes);
}

}  // namespace

namespace {

// Addresses and children, as Welcome and Broadcast have them.
template <typename Pb>
Status TakeAddresses(const Pb& m, const char* field, std::vector<std::string>* out) {
  if (m.addresses_size() > static_cast<int>(kMaxParentAddresses)) return Bad(field);
  for (const std::string& address : m.addresses()) {
    if (!IsName(address) || address.size() > kMaxAddressBytes) return Bad(field);
    out->push_back(address);
  }
  return Ok{};
}

void NodeToPb(const NodeSpec& node, pb::TreeNode* n) {
  n->set_id(Index(node.id));
  n->set_name(node.name);
  n->set_user(node.user);
  n->set_port(node.port);
}

template <size_t kBytes>
bool TakeBytes(const std::string& from, std::array<unsigned char, kBytes>* to) {
  if (from.size() != kBytes) return false;
  std::copy(from.begin(), from.end(), to->begin());
  return true;
}

}  // namespace

std::string EncodeRoute(const Route& route, std::string_view payload) {
  std::string message;
  message.reserve(kRouteBytes + payload.size());
  AppendU32(&message, Index(route.from));
  AppendU32(&message, route.to ? Index(*route.to) : kEveryNode);
  message.append(payload);
  return message;
}

Result<Route> DecodeRoute(std::string_view message) {
  if (message.size() < kRouteBytes) return Error{Errc::kProtocol, "a message without a route"};
  const uint32_t from = U32At(message, 0);
  const uint32_t to = U32At(message, 4);
  if (!IsNode(from)) return Bad("route.from");
  if (to == kEveryNode) return Route{NodeId{from}, std::nullopt};
  if (!IsNode(to) || to == from) return Bad("route.to");
  return Route{NodeId{from}, NodeId{to}};
}

std::string ToWire(const Welcome& m) {
  pb::Welcome out;
  out.set_name(m.name);
  out.set_parent_name(m.parent_name);
  out.set_nodes(m.nodes);
  out.set_port(m.port);
  for (const std::string& address : m.addresses) out.add_addresses(address);
  for (const NodeSpec& node : m.below) NodeToPb(node, out.add_below());
  OptionsToPb(m.options, &out);
  return out.SerializeAsString();
}

template <>
Result<Welcome> TreeFromWire(const std::string& payload) {
  const auto m = Parse<pb::Welcome>(payload, "Welcome");
  if (!m) return m.error();
  Welcome out;
  if (!IsName(m->name())) return Bad("Welcome.name");
  if (!IsName(m->parent_name())) return Bad("Welcome.parent_name");
  if (m->nodes() < 2 || m->nodes() > kMaxNodes) return Bad("Welcome.nodes");
  if (m->port() > 0xffff) return Bad("Welcome.port");
  const Status addresses = TakeAddresses(*m, "Welcome.addresses", &out.addresses);
  if (!addresses) return addresses.error();
  if (m->below_size() > static_cast<int>(m->nodes())) return Bad("Welcome.below");
  for (const pb::TreeNode& node : m->below()) {
    auto spec = NodeFromPb(node);
    if (!spec) return spec.error();
    out.below.push_back(std::move(*spec));
  }
  auto options = OptionsFromPb(*m);
  if (!options) return options.error();
  out.options = std::move(*options);
  out.name = m->name();
  out.parent_name = m->parent_name();
  out.nodes = m->nodes();
  out.port = static_cast<uint16_t>(m->port());
  return out;
}

std::string ToWire(const BroadcastTicket& m) {
  pb::Broadcast out;
  out.set_version(m.version);
  out.mutable_key()->assign(reinterpret_cast<const char*>(m.key->bytes.data()),
                            m.key->bytes.size());
  out.set_dvm(m.dvm.bytes.data(), m.dvm.bytes.size());
  out.set_parent(Index(m.parent));
  out.set_parent_name(m.parent_name);
  out.set_port(m.port);
  for (const std::string& address : m.addresses) out.add_addresses(address);
  for (const NodeSpec& node : m.nodes) NodeToPb(node, out.add_nodes());
  out.set_node_timeout_s(static_cast<uint32_t>(m.node_timeout.count()));
  out.set_max_message_bytes(m.max_message_bytes);
  std::string text = out.SerializeAsString();
  Wipe(*out.mutable_key());
  return text;
}

template <>
Result<ReceivedTicket> TreeFromWire(const std::string& payload) {
  auto m = Parse<pb::Broadcast>(payload, "Broadcast");
  if (!m) return m.error();
  ReceivedTicket out;
  const bool keyed = TakeBytes(m->key(), &out.key.bytes);
  Wipe(*m->mutable_key());
  BroadcastTicket& ticket = out.ticket;
  if (m->version().empty() || m->version().size() > kMaxVersionBytes) {
    return Bad("Broadcast.version");
  }
  if (!keyed) return Bad("Broadcast.key");
  if (!TakeBytes(m->dvm(), &ticket.dvm.bytes)) return Bad("Broadcast.dvm");
  if (!IsNode(m->parent())) return Bad("Broadcast.parent");
  if (!IsName(m->parent_name())) return Bad("Broadcast.parent_name");
  if (m->port() < 1 || m->port() > 0xffff) return Bad("Broadcast.port");
  const Status addresses = TakeAddresses(*m, "Broadcast.addresses", &ticket.addresses);
  if (!addresses) return addresses.error();
  if (m->nodes_size() >= static_cast<int>(kMaxNodes)) return Bad("Broadcast.nodes");
  for (const pb::TreeNode& node : m->nodes()) {
    auto spec = NodeFromPb(node);
    if (!spec) return spec.error();
    if (Index(spec->id) == m->parent()) return Bad("Broadcast.nodes");
    ticket.nodes.push_back(std::move(*spec));
  }
  if (m->node_timeout_s() < 1 || m->node_timeout_s() > kMaxSeconds) {
    return Bad("Broadcast.node_timeout_s");
  }
  if (m->max_message_bytes() < 1 || m->max_message_bytes() > kMaxMessageBytes) {
    return Bad("Broadcast.max_message_bytes");
  }
  ticket.version = m->version();
  ticket.parent = NodeId{m->parent()};
  ticket.parent_name = m->parent_name();
  ticket.port = static_cast<uint16_t>(m->port());
  ticket.node_timeout = std::chrono::seconds(m->node_timeout_s());
  ticket.max_message_bytes = m->max_message_bytes();
  return out;
}

std::string ToWire(const AgentFacts& m) {
  pb::NodeReady out;
  out.set_hostname(m.hostname);
  out.set_cores(m.cores);
  out.set_hardware(m.hardware);
  out.set_pmix_version(m.pmix_version);
  out.set_rex_version(m.rex_version);
  out.set_open_files(m.open_files);
  out.set_foreign(m.foreign);
  out.set_capacity(m.capacity);
  return out.SerializeAsString();
}

template <>
Result<AgentFacts> TreeFromWire(const std::string& payload) {
  const auto m = Parse<pb::NodeReady>(payload, "NodeReady");
  if (!m) return m.error();
  if (!IsName(m->hostname())) return Bad("NodeReady.hostname");
  if (m->cores() < 1 || m->cores() > (1u << 20)) return Bad("NodeReady.cores");
  for (const std::string* text : {&m->pmix_version(), &m->rex_version()}) {
    if (!IsText(*text)) return Bad("NodeReady.pmix_version, rex_version");
  }
  if (m->hardware().size() > kMaxHardwareTextBytes) return Bad("NodeReady.hardware");
  if (m->foreign() > kMaxForeignThreads || m->capacity() > kMaxLoadCapacity) {
    return Bad("NodeReady.foreign, capacity");
  }
  return AgentFacts{m->hostname(),    m->cores(),      m->hardware(), m->pmix_version(),
                    m->rex_version(), m->open_files(), m->foreign(),  m->capacity()};
}

std::string ToWire(const StartFailure& m) {
  pb::StartFailed out;
  out.set_node(Index(m.node));
  out.set_name(m.name);
  out.set_phase(m.phase);
  out.set_cause(Cut(m.cause));
  out.set_remedy(Cut(m.remedy));
  return out.SerializeAsString();
}

template <>
Result<StartFailure> TreeFromWire(const std::string& payload) {
  const auto m = Parse<pb::StartFailed>(payload, "StartFailed");
  if (!m) return m.error();
  if (!IsNode(m->node())) return Bad("StartFailed.node");
  if (!IsName(m->name())) return Bad("StartFailed.name");
  for (const std::string* text : {&m->phase(), &m->cause(), &m->remedy()}) {
    if (!IsText(*text)) return Bad("StartFailed.phase, cause, remedy");
  }
  return StartFailure{NodeId{m->node()}, m->name(), m->phase(), m->cause(), m->remedy()};
}

std::string ToWire(const NodesLost& m) {
  pb::NodesLost out;
  for (const NodeId node : m.nodes) out.add_nodes(Index(node));
  out.set_timeout(m.why.code == Errc::kTimeout);
  out.set_text(Cut(m.why.text));
  return out.SerializeAsString();
}

template <>
Result<NodesLost> TreeFromWire(const std::string& payload) {
  const auto m = Parse<pb::NodesLost>(payload, "NodesLost");
  if (!m) return m.error();
  if (m->nodes_size() < 1 || m->nodes_size() > static_cast<int>(kMaxNodes)) {
    return Bad("NodesLost.nodes");
  }
  NodesLost out;
  for (const uint32_t node : m->nodes()) {
    if (!IsNode(node)) return Bad("NodesLost.nodes");
    out.nodes.push_back(NodeId{node});
  }
  if (!IsText(m->text())) return Bad("NodesLost.text");
  out.why = Error{m->timeout() ? Errc::kTimeout : Errc::kClosed, m->text()};
  return out;
}

std::string ToWire(const NodeLate& m) {
  pb::NodeLate out;
  out.set_node(Index(m.node));
  out.set_late(m.late);
  return out.SerializeAsString();
}

template <>
Result<NodeLate> TreeFromWire(const std::string& payload) {
  const auto m = Parse<pb::NodeLate>(payload, "NodeLate");
  if (!m) return m.error();
  if (!IsNode(m->node())) return Bad("NodeLate.node");
  return NodeLate{NodeId{m->node()}, m->late()};
}

std::string ToWire(const ClockReport& m) {
  pb::ClockReport out;
  out.set_node(Index(m.node));
  out.set_offset_us(m.offset.offset.count());
  out.set_error_us(m.offset.error.count());
  return out.SerializeAsString();
}

template <>
Result<ClockReport> TreeFromWire(const std::string& payload) {
  const auto m = Parse<pb::ClockReport>(payload, "ClockReport");
  if (!m) return m.error();
  if (!IsNode(m->node())) return Bad("ClockReport.node");
  if (m->offset_us() < -kMaxMicroseconds || m->offset_us() > kMaxMicroseconds) {
    return Bad("ClockReport.offset_us");
  }
  if (m->error_us() < 0 || m->error_us() > kMaxMicroseconds) return Bad("ClockReport.error_us");
  return ClockReport{
      NodeId{m->node()},
      {std::chrono::microseconds(m->offset_us()), std::chrono::microseconds(m->error_us())}};
}

std::string ToWire(const TreeNotice& m) {
  pb::TreeNotice out;
  out.set_text(Cut(m.text));
  return out.SerializeAsString();
}

template <>
Result<TreeNotice> TreeFromWire(const std::string& payload) {
  const auto m = Parse<pb::TreeNotice>(payload, "TreeNotice");
  if (!m) return m.error();
  if (!IsText(m->text())) return Bad("TreeNotice.text");
  return TreeNotice{m->text()};
}

}  // namespace rex
