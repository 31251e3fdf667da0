#include "launcher/cli/dvm/coverage.h"

#include <algorithm>

namespace rex {

namespace {

const NodeRequest* HereOf(const DvmRecord& record) {
  for (const NodeRequest& node : record.dvm.nodes) {
    if (node.here) return &node;
  }
  return nullptr;
}

std::optional<std::string> OtherInheritance(const std::vector<Inherited>& theirs,
                                            const std::vector<Inherited>& ours) {
  for (const Inherited& own : ours) {
    const auto at = std::find_if(theirs.begin(), theirs.end(),
                                 [&own](const Inherited& each) { return each.name == own.name; });
    if (at == theirs.end() || at->value == own.value) continue;
    return own.name + " is " + own.value + " here and " + at->value +
           " there, where ranks would get it from";
  }
  return std::nullopt;
}

// Said, and not as the DVM has it.
template <typename T>
bool Differs(const T& asked, const T& standard, const T& has) {
  return asked != standard && asked != has;
}

// Which option says of nodes' starts what the DVM does not have; null: none.
const char* OtherStart(const DvmSpec& asked, const DvmSpec& has) {
  const DvmSpec standard;
  if (Differs(asked.ssh, standard.ssh, has.ssh)) return "--ssh";
  if (Differs(asked.rexd, standard.rexd, has.rexd)) return "--prefix";
  if (Differs(asked.tree, standard.tree, has.tree)) return "--tree";
  if (Differs(asked.ship, standard.ship, has.ship)) return "--ship-agent";
  if (Differs(asked.start_timeout, standard.start_timeout, has.start_timeout)) {
    return "--start-timeout";
  }
  if (Differs(asked.node_timeout, standard.node_timeout, has.node_timeout)) {
    return "--node-timeout";
  }
  if (Differs(asked.max_modex_bytes, standard.max_modex_bytes, has.max_modex_bytes)) {
    return "--max-modex";
  }
  if (Differs(asked.allow_missing, standard.allow_missing, has.allow_missing)) {
    return "--allow-missing-nodes";
  }
  return nullptr;
}

bool Has(const DvmRecord& record, const NodeRequest& asked) {
  return std::any_of(
      record.dvm.nodes.begin(), record.dvm.nodes.end(),
      [&](const NodeRequest& node) { return asked.here ? node.here : node.name == asked.name; });
}

}  // namespace

std::optional<Uncovered> WhyUncovered(const CoverageQuestion& q) {
  if (q.record.version != q.version) {
    return Uncovered{"it is version " + q.record.version + " and rexlaunch version " + q.version +
                         "; 'rexctl stop' and 'rexctl start' bring it up to date",
                     true};
  }
  if (q.line.check) return Uncovered{"--check starts nodes to look at them"};
  if (!q.line.cluster.nodes.empty()) return Uncovered{"--nodes-json describes other nodes"};
  if (q.line.virtual_nodes.nodes > 0)
    return Uncovered{"--virtual-nodes are nodes of the job's own"};
  if (q.pool.kind != NodePool::Kind::kNone && q.pool.origin != q.record.origin) {
    return Uncovered{"the nodes here come from " + q.pool.origin + ", those of the DVM " +
                     (q.record.origin.empty() ? "do not" : "from " + q.record.origin)};
  }
  if (auto other = OtherInheritance(q.record.inherited, q.own)) {
    return Uncovered{*std::move(other)};
  }
  return std::nullopt;
}

NodePool PoolOf(const DvmRecord& record, const NodePool& pool) {
  if (record.dvm.nodes.empty()) return pool;
  NodePool out{.kind = NodePool::Kind::kAllocation,
               .configured = record.dvm.pool,
               .manager = pool.manager,
               .origin = "DVM '" + record.name + "'"};
  for (const NodeRequest& node : record.dvm.nodes) {
    HostEntry host;
    host.name = node.name;
    host.slots = std::max(node.slots, 1U);
    host.all_cores = node.slots == 0;
    host.max_slots = node.max_slots;
    out.hosts.push_back(std::move(host));
  }
  if (const NodeRequest* here = HereOf(record)) out.own_name = here->name;
  return out;
}

std::optional<std::string> WhyNotThere(const JobSpec& job, const DvmRecord& record) {
  if (!job.dvm.nodes.empty() && record.dvm.nodes.empty()) {
    return "it has this machine alone, and other nodes are named";
  }
  for (const NodeRequest& node : job.dvm.nodes) {
    if (!Has(record, node)) return "node " + node.name + " is none of its nodes";
  }
  const bool alone = job.dvm.nodes.empty() && !record.dvm.nodes.empty();
  if (alone && HereOf(record) == nullptr) return "this machine is none of its nodes";
  if (const char* option = OtherStart(job.dvm, record.dvm)) {
    return std::string(option) + " is for nodes that are started, and its nodes run already";
  }
  return std::nullopt;
}

Result<JobSpec> MakeDvmJobSpec(const CoverageQuestion& q, const Surroundings& here,
                               const Environment& env, std::vector<std::string>* warnings) {
  Surroundings there = here;
  there.is_this_machine = [&](const std::string& host) {
    for (const NodeRequest& node : q.record.dvm.nodes) {
      if (node.name == host) return node.here;
    }
    return here.is_this_machine(host);
  };
  auto job = MakeJobSpec(q.line, there, env, PoolOf(q.record, q.pool), warnings);
  if (!job) return job.error();
  // Virtual ones and Slurm's are reached as the DVM reaches them.
  job->dvm.bootstrap = q.record.dvm.bootstrap;
  if (job->dvm.node_timeout == q.record.dvm.node_timeout) {
    job->dvm.node_timeout = DvmSpec().node_timeout;
  }
  if (const auto why = WhyNotThere(*job, q.record)) return Error{Errc::kInvalid, *why};
  return job;
}

}  // namespace rex
