#include "tests/integration/exchange/exchange_fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>

#include "launcher/base/private_dir.h"

namespace rex {

void ExchangeFixture::SetUp() {
  dir_ = "/tmp/rextest-exchange-" + RandomHex(16);
  ASSERT_EQ(::mkdir(dir_.c_str(), 0700), 0);
}

void ExchangeFixture::TearDown() {
  ranks_.Collect();
  for (const auto& node : nodes_) {
    if (node->lost) continue;
    EXPECT_EQ(node->exchange->counts().collectives, 0u) << "node " << Index(node->id);
    EXPECT_EQ(node->exchange->counts().modexes, 0u) << "node " << Index(node->id);
    EXPECT_EQ(node->exchange->counts().bytes, 0u) << "node " << Index(node->id);
  }
  for (const auto& node : nodes_) {
    if (node->host.running()) {
      EXPECT_EQ(node->host.Stop(), 0) << "node " << Index(node->id);
    }
  }
  EXPECT_EQ(shared_files_.Left(), std::vector<std::string>{}) << "something was left";
  RemoveTree(dir_);
}

std::vector<NodeId> ExchangeFixture::Below(uint32_t node) const {
  std::vector<NodeId> out;
  for (uint32_t n = 1; n < parents_.size(); ++n) {
    for (uint32_t up = n; up != 0;) {
      up = parents_[up];
      if (up == node) out.push_back(NodeId{n});
      if (up == node) break;
    }
  }
  return out;
}

void ExchangeFixture::StartNodes(std::vector<uint32_t> parents, uint64_t max_modex_bytes) {
  parents_ = std::move(parents);
  for (uint32_t n = 0; n < parents_.size(); ++n) {
    ASSERT_NO_FATAL_FAILURE(MakeNode(n, max_modex_bytes));
  }
  Until(
      [this] {
        return std::all_of(nodes_.begin(), nodes_.end(),
                           [](const auto& node) { return !node->seen.empty(); });
      },
      "every host's HostReady");
}

void ExchangeFixture::MakeNode(uint32_t n, uint64_t max_modex_bytes) {
  auto made = std::make_unique<Node>();
  Node& node = *made;
  nodes_.push_back(std::move(made));
  node.id = NodeId{n};
  node.dir = dir_ + "/" + std::to_string(n);
  ASSERT_EQ(::mkdir(node.dir.c_str(), 0700), 0);
  for (uint32_t child = 1; child < parents_.size(); ++child) {
    if (parents_[child] != n) continue;
    node.children.push_back(NodeId{child});
    node.below[NodeId{child}] = Below(child);
  }
  node.exchange = std::make_unique<Exchange>(Exchange::Deps{
      loop_, PortOf(node),
      [&node](const pmix::HostMessage& m) {
        if (!node.host_killed) node.host.Send(m);
      },
      [this](NodeId from, pmix::HostMessage m) { AtHead(from, std::move(m)); }, max_modex_bytes});
  ASSERT_TRUE(
      node.host.Start(loop_, node.dir, {"--node-name=" + NodeName(n)},
                      [this, &node](pmix::HostMessage m) { OnHostMessage(node, std::move(m)); }));
}

ExchangePort ExchangeFixture::PortOf(Node& node) {
  ExchangePort port;
  port.self = node.id;
  port.parent = NodeId{parents_[Index(node.id)]};
  port.children = [&node] { return node.children; };
  port.below = [&node](NodeId child) -> const std::vector<NodeId>& { return node.below.at(child); };
  port.send = [this, from = node.id](NodeId to, uint8_t kind, FrameClass, std::string payload) {
    const auto shared = std::make_shared<std::string>(std::move(payload));
    loop_.Post([this, from, to, kind, shared] { Deliver(from, to, kind, std::move(*shared)); });
  };
  return port;
}

void ExchangeFixture::Deliver(NodeId from, NodeId to, uint8_t kind, std::string payload) {
  if (nodes_[Index(from)]->lost || nodes_[Index(to)]->lost) return;
  ++messages_;
  const Status s = nodes_[Index(to)]->exchange->FromNode(from, kind, std::move(payload));
  EXPECT_TRUE(s) << s.error().text;
}

void ExchangeFixture::OnHostMessage(Node& node, pmix::HostMessage message) {
  if (auto* job = std::get_if<pmix::JobRegistered>(&message)) {
    node.registered[job->name_space] = *job;
  }
  const bool ours = node.exchange->FromHost(message);
  const auto* log = std::get_if<pmix::LogText>(&message);
  if (log != nullptr) node.host.Send(pmix::OpDone{log->request, pmix::kSuccess});
  EXPECT_FALSE(ours && log != nullptr);
  // Not the data: tests move megabytes.
  if (auto* fence = std::get_if<pmix::Fence>(&message)) fence->data.clear();
  if (auto* done = std::get_if<pmix::ModexDone>(&message)) done->data.clear();
  node.seen.push_back(std::move(message));
}

// ----- the head's services --------------------------------------------------------------------

void ExchangeFixture::AtHead(NodeId from, pmix::HostMessage message) {
  Exchange& head = *nodes_[0]->exchange;
  if (const auto* m = std::get_if<pmix::Publish>(&message)) Answer(names_.Publish(*m, from));
  if (const auto* m = std::get_if<pmix::Lookup>(&message)) Answer(names_.Lookup(*m, from));
  if (const auto* m = std::get_if<pmix::Unpublish>(&message)) Answer(names_.Unpublish(*m, from));
  if (const auto* m = std::get_if<pmix::Abort>(&message)) {
    head.AnswerTo(from, pmix::OpDone{m->request, pmix::kSuccess});
  }
  if (const auto* m = std::get_if<pmix::JobControl>(&message)) {
    head.AnswerTo(from, pmix::OpDone{m->request, pmix::kSuccess});
  }
  if (const auto* m = std::get_if<pmix::Query>(&message)) {
    pmix::QueryDone done{m->request, pmix::kSuccess, {}, {}};
    if (m->keys.front() == "pmix.qry.ns") done.name_spaces = {job_};
    if (m->keys.front() != "pmix.qry.ns") {
      pmix::ProcState& state = done.procs.emplace_back();
      state.proc = {job_, 0};
      state.node = NodeName(0);
      state.program = "probe";
      state.pid = 1;
    }
    head.AnswerTo(from, done);
  }
}

void ExchangeFixture::Answer(const NameStore::Replies& replies) {
  for (const auto& reply : replies) nodes_[0]->exchange->AnswerTo(reply.node, reply.message);
  if (const auto next = names_.NextDeadline()) name_timer_.Set(*next - loop_.clock().Now());
}

void ExchangeFixture::ExpireNames() { Answer(names_.Expire(loop_.clock().Now())); }

// ----- jobs -----------------------------------------------------------------------------------

pmix::RegisterJob ExchangeFixture::JobFor(const Node& node, const std::string& name,
                                          const JobMap& map) {
  pmix::RegisterJob job;
  job.name_space = name;
  job.apps.push_back({0, map.total(), {"probe"}, "/"});
  for (const NodeId id : map.nodes()) {
    if (id == node.id) job.local_node = static_cast<uint32_t>(job.nodes.size());
    job.nodes.push_back({NodeName(Index(id)), {}});
    for (const MapRun& run : map.runs()) {
      if (run.node == id) job.nodes.back().runs.push_back({run.first, run.count, run.stride});
    }
  }
  job.job_dir = node.dir + "/" + name;
  job.slots = map.total() + 1;
  EXPECT_EQ(::mkdir(job.job_dir.c_str(), 0700), 0);
  return job;
}

void ExchangeFixture::Register(const std::string& name, const std::vector<uint32_t>& node_of_rank) {
  std::vector<NodeId> of_rank;
  for (const uint32_t node : node_of_rank) of_rank.push_back(NodeId{node});
  auto made = JobMap::Make(RunsOf(of_rank), static_cast<uint32_t>(of_rank.size()),
                           static_cast<uint32_t>(nodes_.size()));
  ASSERT_TRUE(made) << made.error().text;
  const auto map = std::make_shared<const JobMap>(*std::move(made));
  nodes_[0]->exchange->AddNamespace(name, map);
  for (const NodeId id : map->nodes()) {
    Node& node = *nodes_[Index(id)];
    node.exchange->AddNamespace(name, map);
    node.host.Send(JobFor(node, name, *map));
  }
  for (const NodeId id : map->nodes()) {
    Node& node = *nodes_[Index(id)];
    Until([&] { return node.registered.contains(name); }, "JobRegistered");
    ASSERT_EQ(node.registered[name].status, pmix::kSuccess) << node.registered[name].error;
  }
  job_ = name;
}

void ExchangeFixture::Deregister(const std::string& name) {
  for (auto& node : nodes_) {
    node->exchange->RemoveNamespace(name);
    if (node->registered.erase(name) == 0 || node->host_killed) continue;
    const size_t before = Seen<pmix::JobDeregistered>(Index(node->id));
    node->host.Send(pmix::DeregisterJob{name});
    Until([&] { return Seen<pmix::JobDeregistered>(Index(node->id)) > before; }, "JobDeregistered");
    RemoveTree(node->dir + "/" + name);
  }
}

void ExchangeFixture::Start(const std::vector<std::string>& argv,
                            const std::vector<std::string>& env) {
  for (auto& node : nodes_) {
    if (!node->registered.contains(job_)) continue;
    // Open MPI names its segments by machine and local rank: nodes of one machine would share them.
    auto own = env;
    own.push_back("OMPI_MCA_btl_vader_backing_directory=" + node->dir);
    ASSERT_TRUE(ranks_.Start(node->registered[job_], argv, own));
  }
}

std::vector<pmix::RankResult> ExchangeFixture::Wait() {
  Until([this] { return ranks_.quiet(); }, "the ranks' end");
  std::vector<pmix::RankResult> results = ranks_.Collect();
  std::sort(results.begin(), results.end(),
            [](const auto& a, const auto& b) { return a.rank < b.rank; });
  return results;
}

std::vector<pmix::RankResult> ExchangeFixture::Run(const std::vector<std::string>& argv,
                                                   const std::vector<std::string>& env) {
  Start(argv, env);
  return Wait();
}

void ExchangeFixture::KillHost(uint32_t node) {
  nodes_[node]->host_killed = true;
  nodes_[node]->host.Kill();
  nodes_[node]->exchange->OnHostLost();
}

void ExchangeFixture::LoseNode(uint32_t node) {
  nodes_[node]->lost = true;
  nodes_[node]->host_killed = true;
  nodes_[node]->host.Kill();
  for (auto& other : nodes_) {
    if (!other->lost) other->exchange->OnNodesLost({NodeId{node}});
  }
}

void ExchangeFixture::Until(const std::function<bool()>& done, const char* what,
                            std::chrono::seconds bound) {
  const auto deadline = loop_.clock().Now() + bound;
  Timer tick(loop_, [] {});
  while (!done()) {
    if (loop_.clock().Now() > deadline) {
      ADD_FAILURE() << "waited in vain for: " << what;
      return;
    }
    tick.Set(std::chrono::milliseconds(20));
    loop_.RunOnce();
  }
}

std::vector<std::string> ExchangeFixture::MpiOverLoopback() {
  return {"OMPI_MCA_btl=self,vader,tcp", "OMPI_MCA_btl_tcp_if_include=lo"};
}

void ExpectAllGood(const std::vector<pmix::RankResult>& results, size_t count) {
  EXPECT_EQ(results.size(), count);
  for (const auto& r : results) {
    EXPECT_TRUE(WIFEXITED(r.wait_status) && WEXITSTATUS(r.wait_status) == 0)
        << "rank " << r.rank << " status " << r.wait_status << " stderr: " << r.err;
  }
}

}  // namespace rex
