#include "tests/integration/pmix_host/host_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "launcher/base/private_dir.h"

namespace rex::pmix {

namespace {

constexpr auto kBound = std::chrono::seconds(30);

std::string HostName() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

HostFixture::HostFixture() = default;
HostFixture::~HostFixture() = default;

void HostFixture::SetUp() {
  session_dir_ = "/tmp/rextest-host-" + RandomHex(16);
  ASSERT_EQ(::mkdir(session_dir_.c_str(), 0700), 0);
}

void HostFixture::TearDown() {
  ranks_.Collect();
  if (host_running()) {
    EXPECT_EQ(StopHost(), 0);
  }
  EXPECT_EQ(shared_files_.Left(), std::vector<std::string>{})
      << "the host left something outside its directory";
  RemoveTree(session_dir_);
}

void HostFixture::StartHost() {
  ASSERT_TRUE(
      host_.Start(loop_, session_dir_, {}, [this](HostMessage message) { OnMessage(message); }));
  Until([this] { return !Seen<HostReady>().empty() || closed(); }, "HostReady");
  ASSERT_FALSE(closed()) << "the host ended while it started";
  ready_ = Seen<HostReady>().front();
}

int HostFixture::StopHost() {
  const int status = host_.Stop();
  EXPECT_NE(status, -1) << "the host does not end at its agent's end";
  return status;
}

void HostFixture::Until(const std::function<bool()>& done, const char* what) {
  const auto deadline = loop_.clock().Now() + kBound;
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

RegisterJob HostFixture::MakeJob(const std::string& name_space, const std::vector<uint32_t>& apps) {
  RegisterJob job;
  job.name_space = name_space;
  uint32_t ranks = 0;
  for (size_t a = 0; a < apps.size(); ++a) {
    job.apps.push_back({ranks, apps[a], {"prog" + std::to_string(a), "one", "two"}, "/"});
    ranks += apps[a];
  }
  job.nodes.push_back({HostName(), {{0, ranks}}});
  job.job_dir = session_dir_ + "/" + name_space;
  job.slots = ranks + 2;
  EXPECT_EQ(::mkdir(job.job_dir.c_str(), 0700), 0);
  return job;
}

JobRegistered HostFixture::Register(const RegisterJob& job) {
  const size_t before = Seen<JobRegistered>().size();
  Send(job);
  Until([&] { return Seen<JobRegistered>().size() > before || closed(); }, "JobRegistered");
  const auto all = Seen<JobRegistered>();
  return all.size() > before ? all.back() : JobRegistered{};
}

void HostFixture::Deregister(const std::string& name_space) {
  const size_t before = Seen<JobDeregistered>().size();
  Send(DeregisterJob{name_space});
  Until([&] { return Seen<JobDeregistered>().size() > before || closed(); }, "JobDeregistered");
}

void HostFixture::StartRanks(const JobRegistered& job, const std::vector<std::string>& argv) {
  ASSERT_TRUE(ranks_.Start(job, argv));
}

std::vector<RankResult> HostFixture::WaitRanks() {
  Until([this] { return ranks_.quiet(); }, "the ranks' end");
  return ranks_.Collect();
}

std::vector<RankResult> HostFixture::RunRanks(const JobRegistered& job,
                                              const std::vector<std::string>& argv) {
  StartRanks(job, argv);
  return WaitRanks();
}

void HostFixture::OnMessage(const HostMessage& message) {
  seen_.push_back(message);
  if (intercept_ && intercept_(message)) return;
  if (const auto* m = std::get_if<Fence>(&message)) Send(FenceDone{m->request, kSuccess, m->data});
  if (const auto* m = std::get_if<Abort>(&message)) Send(OpDone{m->request, kSuccess});
  if (const auto* m = std::get_if<LogText>(&message)) Send(OpDone{m->request, kSuccess});
  if (const auto* m = std::get_if<JobControl>(&message)) Send(OpDone{m->request, kSuccess});
  if (const auto* m = std::get_if<EventRaised>(&message)) Send(OpDone{m->request, kSuccess});
  if (const auto* m = std::get_if<DirectModex>(&message))
    Send(ModexDone{m->request, kErrNotFound, ""});
  if (const auto* m = std::get_if<Publish>(&message)) AnswerPublish(*m);
  if (const auto* m = std::get_if<Lookup>(&message)) AnswerLookup(*m);
  if (const auto* m = std::get_if<Unpublish>(&message)) AnswerUnpublish(*m);
  if (const auto* m = std::get_if<Query>(&message)) AnswerQuery(*m);
}

std::vector<Published> HostFixture::Find(const Lookup& lookup) const {
  std::vector<Published> found;
  for (const auto& key : lookup.keys) {
    if (const auto it = published_.find(key); it != published_.end()) found.push_back(it->second);
  }
  return found;
}

void HostFixture::AnswerPublish(const Publish& publish) {
  for (const auto& item : publish.items) published_[item.key] = item;
  Send(OpDone{publish.request, kSuccess});
  auto waiting = std::move(waiting_);
  waiting_.clear();
  for (const auto& lookup : waiting) AnswerLookup(lookup);
}

void HostFixture::AnswerLookup(const Lookup& lookup) {
  auto found = Find(lookup);
  if (lookup.wait && found.size() < lookup.keys.size()) {
    waiting_.push_back(lookup);
    return;
  }
  const int32_t status = found.empty() ? kErrNotFound : kSuccess;
  Send(LookupDone{lookup.request, status, std::move(found)});
}

void HostFixture::AnswerUnpublish(const Unpublish& unpublish) {
  for (const auto& key : unpublish.keys) published_.erase(key);
  Send(OpDone{unpublish.request, kSuccess});
}

void HostFixture::AnswerQuery(const Query& query) {
  QueryDone done;
  done.request = query.request;
  if (query.keys.front() == "pmix.qry.ns") {
    done.name_spaces = {"job-a", "job-b"};
  } else {
    ProcState& state = done.procs.emplace_back();
    state.proc = {query.name_space, 0};
    state.node = "node-x";
    state.program = "/bin/prog";
    state.pid = 4242;
    state.state = 3;
  }
  Send(done);
}

std::string EnvValue(const JobRegistered& job, uint32_t rank, const std::string& name) {
  const std::string prefix = name + "=";
  const auto find = [&](const std::vector<std::string>& env) -> const std::string* {
    for (const auto& entry : env) {
      if (entry.starts_with(prefix)) return &entry;
    }
    return nullptr;
  };
  for (const auto& r : job.ranks) {
    if (r.rank != rank) continue;
    if (const auto* entry = find(r.env)) return entry->substr(prefix.size());
  }
  const auto* entry = find(job.common_env);
  return entry == nullptr ? "(none)" : entry->substr(prefix.size());
}

}  // namespace rex::pmix
