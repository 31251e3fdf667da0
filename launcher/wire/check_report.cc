#include "launcher/wire/check_report.h"

#include "launcher/wire/launch.pb.h"

namespace rex {

namespace {

Error Bad(const char* field) { return Error{Errc::kProtocol, std::string("bad field ") + field}; }

void NodeToPb(const CheckedNode& in, pb::CheckNode* out) {
  out->set_name(in.name);
  out->set_here(in.here);
  out->set_slots(in.slots);
  out->set_answered(in.answered);
  out->set_hostname(in.hostname);
  out->set_cores(in.cores);
  out->set_rex(in.rex);
  out->set_glibc(in.glibc);
  out->set_openmpi(in.openmpi);
  out->set_libpmix(in.libpmix);
  out->set_way_back(in.way_back);
  out->set_clock_known(in.clock.has_value());
  out->set_clock_us(in.clock.value_or(std::chrono::microseconds(0)).count());
  out->set_clock_error_us(in.clock_error.count());
  out->set_temp(in.temp);
  out->set_temp_free(in.temp_free);
  out->set_shm_free(in.shm_free);
}

CheckedNode NodeFromPb(const pb::CheckNode& m) {
  CheckedNode node;
  node.name = m.name();
  node.here = m.here();
  node.slots = m.slots();
  node.answered = m.answered();
  node.hostname = m.hostname();
  node.cores = m.cores();
  node.rex = m.rex();
  node.glibc = m.glibc();
  node.openmpi = m.openmpi();
  node.libpmix = m.libpmix();
  node.way_back = m.way_back();
  if (m.clock_known()) node.clock = std::chrono::microseconds(m.clock_us());
  node.clock_error = std::chrono::microseconds(m.clock_error_us());
  node.temp = m.temp();
  node.temp_free = m.temp_free();
  node.shm_free = m.shm_free();
  return node;
}

}  // namespace

std::string ToWire(const CheckReport& m) {
  pb::CheckReport out;
  for (const CheckedNode& node : m.nodes) NodeToPb(node, out.add_nodes());
  for (const CheckProblem& problem : m.problems) {
    pb::CheckProblem* p = out.add_problems();
    p->set_node(problem.node);
    p->set_about(problem.about);
    p->set_text(problem.text);
    p->set_remedy(problem.remedy);
    p->set_note(problem.note);
  }
  return out.SerializeAsString();
}

template <>
Result<CheckReport> FromWire(const std::string& payload) {
  pb::CheckReport m;
  if (!m.ParseFromString(payload)) return Error{Errc::kProtocol, "malformed CheckReport"};
  if (m.nodes_size() > static_cast<int>(kMaxJobNodes) + 1) return Bad("CheckReport.nodes");
  CheckReport report;
  for (const auto& node : m.nodes()) {
    if (node.name().empty()) return Bad("CheckNode.name");
    report.nodes.push_back(NodeFromPb(node));
  }
  for (const auto& p : m.problems()) {
    if (p.about().empty() || p.text().empty()) return Bad("CheckProblem.text");
    report.problems.push_back({p.node(), p.about(), p.text(), p.remedy(), p.note()});
  }
  return report;
}

}  // namespace rex
