#include "pmix-server/host/registration.h"

#include <pmix.h>
#include <pmix_server.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "launcher/base/log.h"
#include "pmix-server/host/closed_peers.h"
#include "pmix-server/host/job_info.h"
#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/rank_env.h"
#include "pmix-server/proto/job_checks.h"

namespace rex::pmix {

namespace {

constexpr std::chrono::milliseconds kClosesEvery{1};
constexpr std::chrono::seconds kClosesBound{1};

std::string StatusText(const char* step, pmix_status_t status) {
  return std::string(step) + ": " + PMIx_Error_string(status);
}

// Takes the environment that setup_fork made.
Env TakeEnv(char** made) {
  Env env;
  for (char** entry = made; entry != nullptr && *entry != nullptr; ++entry) {
    env.emplace_back(*entry);
    std::free(*entry);
  }
  std::free(made);
  return env;
}

rex::Status MakeProcDirs(const RegisterJob& job, const std::vector<uint32_t>& ranks) {
  for (const uint32_t rank : ranks) {
    const std::string path = ProcDir(job, rank);
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      return Error::FromErrno(errno, "make the directory '" + path + "'");
    }
  }
  return Ok{};
}

const RegisterJob::App& AppOfRank(const RegisterJob& job, uint32_t rank) {
  size_t a = 0;
  while (rank - job.apps[a].first_rank >= job.apps[a].ranks) ++a;
  return job.apps[a];
}

struct OnDone {
  EventLoop* loop;
  std::function<void()> done;
};
void PostDone(pmix_status_t /*status*/, void* cbdata) noexcept {
  const std::unique_ptr<OnDone> on_done(static_cast<OnDone*>(cbdata));
  on_done->loop->Post(std::move(on_done->done));
}

}  // namespace

// Owned by libpmix's callback data from StartRegister until HandBack; one thread at a time has it.
struct Registration::Pending {
  Registration* owner = nullptr;
  std::shared_ptr<RegisterJob> job;
  std::vector<uint32_t> local;
  InfoList infos;  // libpmix reads it until OnNamespace
  size_t clients_left = 0;
  pmix_status_t status = PMIX_SUCCESS;
  std::string error;
  JobRegistered answer;
};

void Registration::Register(RegisterJob job) {
  Enqueue([this, job = std::make_shared<RegisterJob>(std::move(job))] { StartRegister(job); });
}

void Registration::Deregister(const std::string& name_space) {
  Enqueue([this, name_space] {
    const auto answer = [this, name_space] {
      send_(JobDeregistered{name_space});
      Next();
    };
    if (registered_.erase(name_space) == 0) return answer();
    closes_deadline_ = loop_.clock().Now() + kClosesBound;
    AwaitCloses([this, name_space, answer] { StartDeregister(name_space, answer); });
  });
}

// The kernel has closed the connections of ranks that were reaped; libpmix does their cleanup when
// it sees that.
void Registration::AwaitCloses(std::function<void()> then) {
  if (!AnyClosedByPeer() || loop_.clock().Now() >= closes_deadline_) return then();
  after_closes_ = std::move(then);
  closes_timer_.Set(kClosesEvery);
}

void Registration::Enqueue(std::function<void()> step) {
  queue_.push_back(std::move(step));
  if (!busy_) Next();
}

void Registration::Next() {
  busy_ = !queue_.empty();
  if (!busy_) return;
  const auto step = std::move(queue_.front());
  queue_.pop_front();
  step();
}

void Registration::Fail(const std::string& name_space, int32_t status, const std::string& text) {
  JobRegistered answer;
  answer.name_space = name_space;
  answer.status = status;
  answer.error = text;
  send_(answer);
  Next();
}

void Registration::StartRegister(const std::shared_ptr<RegisterJob>& job) {
  const std::string& name = job->name_space;
  if (registered_.contains(name)) {
    return Fail(name, PMIX_ERR_EXISTS, "a job of the name '" + name + "' is registered already");
  }
  auto pending = std::make_unique<Pending>();
  pending->owner = this;
  pending->job = job;
  pending->local = RanksOfNode(job->nodes[job->local_node]);
  pending->clients_left = pending->local.size();
  if (auto s = MakeProcDirs(*job, pending->local); !s) {
    return Fail(name, PMIX_ERR_OUT_OF_RESOURCE, s.error().text);
  }
  auto infos = MakeJobInfo(*job, server_);
  if (!infos) return Fail(name, PMIX_ERR_BAD_PARAM, infos.error().text);
  pending->infos = std::move(*infos);

  const int local = static_cast<int>(pending->local.size());
  Pending* const p = pending.release();
  const pmix_status_t status = PMIx_server_register_nspace(name.c_str(), local, p->infos.data(),
                                                           p->infos.size(), &OnNamespace, p);
  if (status == PMIX_SUCCESS) return;  // OnNamespace has it now
  delete p;
  Fail(name, status, StatusText("register the namespace", status));
}

// Progress thread.
void Registration::OnNamespace(int status, void* pending) noexcept {
  auto* const p = static_cast<Pending*>(pending);
  p->status = status;
  if (status != PMIX_SUCCESS) p->error = StatusText("register the namespace", status);
  if (status != PMIX_SUCCESS || p->local.empty()) return HandBack(p);
  // Once the last call below is made, OnClient may already have handed `p` back.
  const std::string name = p->job->name_space;
  const std::vector<uint32_t> ranks = p->local;
  for (const uint32_t rank : ranks) {
    const pmix_proc_t proc = ToPmix({name, rank});
    const pmix_status_t sent =
        PMIx_server_register_client(&proc, ::getuid(), ::getgid(), nullptr, &OnClient, p);
    if (sent != PMIX_SUCCESS) OnClient(sent, p);
  }
}

// Progress thread.
void Registration::OnClient(int status, void* pending) noexcept {
  auto* const p = static_cast<Pending*>(pending);
  if (status != PMIX_SUCCESS && p->status == PMIX_SUCCESS) {
    p->status = status;
    p->error = StatusText("register a rank", status);
  }
  if (--p->clients_left > 0) return;
  if (p->status == PMIX_SUCCESS) SetupForks(*p);
  HandBack(p);
}

// Progress thread: see the file header.
void Registration::SetupForks(Pending& pending) {
  const RegisterJob& job = *pending.job;
  for (const uint32_t rank : pending.local) {
    const pmix_proc_t proc = ToPmix({job.name_space, rank});
    char** made = nullptr;
    const pmix_status_t status = PMIx_server_setup_fork(&proc, &made);
    Env env = TakeEnv(made);
    if (status != PMIX_SUCCESS) {
      pending.status = status;
      pending.error = StatusText("make a rank's environment", status);
      return;
    }
    CorrectAppEnv(env, AppOfRank(job, rank));
    pending.answer.ranks.push_back({rank, std::move(env)});
  }
}

void Registration::HandBack(Pending* pending) {
  Registration* const owner = pending->owner;
  owner->loop_.Post([owner, pending] { owner->Finish(std::unique_ptr<Pending>(pending)); });
}

void Registration::Finish(std::unique_ptr<Pending> pending) {
  const std::string name = pending->job->name_space;
  if (pending->status != PMIX_SUCCESS) {
    const int32_t status = pending->status;
    const std::string text = pending->error;
    return StartDeregister(name, [this, name, status, text] { Fail(name, status, text); });
  }
  registered_.insert(name);
  JobRegistered& answer = pending->answer;
  answer.name_space = name;
  SplitEnv(answer.ranks, answer.common_env);
  for (auto& entry : OpenMpiEnv(*pending->job)) answer.common_env.push_back(std::move(entry));
  send_(answer);
  Next();
}

void Registration::StartDeregister(const std::string& name_space, std::function<void()> done) {
  auto on_done = std::make_unique<OnDone>(OnDone{&loop_, std::move(done)});
  PMIx_server_deregister_nspace(name_space.c_str(), &PostDone, on_done.release());
}

}  // namespace rex::pmix
