// librexspawn over libpmix: spawns by PMIx_Spawn, hears of ends by PMIX_EVENT_PROC_TERMINATED,
// signals by PMIx_Job_control. docs/design/dynamic.md has what the head does for it.
//
// A process that rexlaunch has not started is a PMIx tool of a DVM: what its jobs write comes to it
// as events, too, and what it has written of that it says, because so much may be on its way only.
//
// libpmix's progress thread calls OnEvent; everything it and the callers share is behind one mutex.
// An end may come before PMIx_Spawn has told the job's name: it is kept under that.
#include "librexspawn/rexspawn.h"

#include <pmix.h>
#include <pmix_tool.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "launcher/base/fd.h"
#include "librexspawn/find_dvm.h"
#include "librexspawn/output_writer.h"

extern char** environ;

namespace {

constexpr char kIndependent[] = "rex.independent";
constexpr char kAttached[] = "rex.attached";
constexpr char kSignal[] = "rex.signal";
// Between a tool and the DVM: pmix-server/proto/host_types.h has the numbers.
constexpr pmix_status_t kEventOutput = -3141;
constexpr pmix_status_t kEventNotice = -3142;
constexpr char kBytes[] = "rex.bytes";
constexpr char kToStderr[] = "rex.stderr";
constexpr char kRead[] = "rex.read";
constexpr char kDrain[] = "rex.drain";

thread_local std::string last_error;

int Fail(std::string text) {
  last_error = std::move(text);
  return -1;
}

std::string StatusText(pmix_status_t status) {
  switch (status) {
    case PMIX_ERR_OUT_OF_RESOURCE:
      return "no free slots, or the machine is out of processes or memory";
    case PMIX_ERR_JOB_EXE_NOT_FOUND:
      return "the program was not found";
    case PMIX_ERR_JOB_WDIR_NOT_FOUND:
      return "the directory can't be entered";
    case PMIX_ERR_NOT_FOUND:
      return "no such node, or no such process";
    case PMIX_ERR_UNREACH:
      return "rex ends";
    default:
      return PMIx_Error_string(status);
  }
}

struct End {
  uint32_t copy = 0;
  int exit_code = 0;
  int signal = 0;
};

struct Child {
  std::string name_space;
  uint32_t running = 0;
  std::deque<End> ends;  // not yet waited for
};

}  // namespace

struct rexspawn {
  pmix_proc_t self{};
  bool is_tool = false;
  size_t handler = 0;
  std::unique_ptr<rex::OutputWriter> output;  // of a tool
  std::mutex calls;                           // one at a time into libpmix
  std::mutex mutex;                           // guards what follows
  std::condition_variable changed;
  std::map<rexspawn_job_t, Child> children;
  std::map<std::string, std::vector<End>> early;  // by name space
  rexspawn_job_t last = 0;
  std::string notice;  // why the DVM could not do what was asked for last
  bool lost = false;   // the DVM has ended
};

namespace {

std::mutex open_mutex;
rexspawn_t* open_connection = nullptr;  // guarded by open_mutex

void Take(Child& child, const End& end) {
  child.ends.push_back(end);
  if (child.running > 0) --child.running;
}

void Record(rexspawn_t& c, const std::string& name_space, const End& end) {
  const std::lock_guard lock(c.mutex);
  const auto child = std::find_if(c.children.begin(), c.children.end(), [&](const auto& each) {
    return each.second.name_space == name_space;
  });
  if (child == c.children.end()) {
    c.early[name_space].push_back(end);
  } else {
    Take(child->second, end);
  }
  c.changed.notify_all();
}

void OnEnd(rexspawn_t& connection, const pmix_proc_t* source, const pmix_info_t infos[],
           size_t count) {
  End end;
  end.copy = source->rank;
  bool known = false;
  for (size_t i = 0; i < count; ++i) {
    if (PMIX_CHECK_KEY(&infos[i], PMIX_EXIT_CODE)) {
      end.exit_code = infos[i].value.data.integer;
      known = true;
    } else if (PMIX_CHECK_KEY(&infos[i], kSignal)) {
      end.signal = infos[i].value.data.integer;
    }
  }
  if (end.signal != 0) end.exit_code = 0;
  const size_t length = strnlen(source->nspace, PMIX_MAX_NSLEN);
  if (known) Record(connection, std::string(source->nspace, length), end);
}

void OnText(rexspawn_t& connection, pmix_status_t code, const pmix_info_t infos[], size_t count) {
  std::string bytes;
  bool to_stderr = false;
  for (size_t i = 0; i < count; ++i) {
    const pmix_value_t& value = infos[i].value;
    if (PMIX_CHECK_KEY(&infos[i], kBytes) && value.type == PMIX_BYTE_OBJECT) {
      bytes.assign(value.data.bo.bytes, value.data.bo.size);
    } else if (PMIX_CHECK_KEY(&infos[i], kToStderr)) {
      to_stderr = PMIX_INFO_TRUE(&infos[i]);
    }
  }
  if (code == kEventOutput) return connection.output->Write(to_stderr, std::move(bytes));
  const std::lock_guard lock(connection.mutex);
  connection.notice = std::move(bytes);
}

// No end will be told any more; copies that are attached end with the DVM.
void OnLost(rexspawn_t& connection) {
  const std::lock_guard lock(connection.mutex);
  connection.lost = true;
  for (auto& [number, child] : connection.children) child.running = 0;
  connection.changed.notify_all();
}

void OnEvent(size_t, pmix_status_t code, const pmix_proc_t* source, pmix_info_t infos[],
             size_t count, pmix_info_t*, size_t, pmix_event_notification_cbfunc_fn_t done,
             void* cbdata) {
  {
    const std::lock_guard lock(open_mutex);
    if (rexspawn_t* const connection = open_connection; connection == nullptr) {
      // Closed meanwhile.
    } else if (code == PMIX_EVENT_PROC_TERMINATED) {
      OnEnd(*connection, source, infos, count);
    } else if (code == PMIX_ERR_LOST_CONNECTION) {
      OnLost(*connection);
    } else {
      OnText(*connection, code, infos, count);
    }
  }
  if (done != nullptr) done(PMIX_EVENT_ACTION_COMPLETE, nullptr, 0, nullptr, nullptr, cbdata);
}

// Infos that free what they hold.
class Infos {
 public:
  ~Infos() {
    for (pmix_info_t& info : items_) PMIX_INFO_DESTRUCT(&info);
  }
  void AddFlag(const char* key, bool on = true) { PMIX_INFO_LOAD(&Add(), key, &on, PMIX_BOOL); }
  void AddText(const char* key, const char* text) {
    PMIX_INFO_LOAD(&Add(), key, text, PMIX_STRING);
  }
  void AddWhole(const char* key, uint64_t number) {
    PMIX_INFO_LOAD(&Add(), key, &number, PMIX_UINT64);
  }
  void AddNumber(const char* key, int number) { PMIX_INFO_LOAD(&Add(), key, &number, PMIX_INT); }
  pmix_info_t* data() { return items_.data(); }
  size_t size() const { return items_.size(); }

 private:
  pmix_info_t& Add() {
    items_.emplace_back();
    PMIX_INFO_CONSTRUCT(&items_.back());
    return items_.back();
  }
  std::vector<pmix_info_t> items_;
};

bool IsGood(const rexspawn_request_t* r) {
  if (r == nullptr || r->argv == nullptr || r->argv[0] == nullptr || r->argv[0][0] == '\0') {
    Fail("the request names no program");
    return false;
  }
  if (r->copies == 0 || r->copies > 1U << 20) {
    Fail("copies is " + std::to_string(r->copies) + "; it may be 1 to 1048576");
    return false;
  }
  for (const char* const* entry = r->env; entry != nullptr && *entry != nullptr; ++entry) {
    if (std::strchr(*entry, '=') != nullptr && **entry != '=') continue;
    Fail("env has '" + std::string(*entry) + "', which is no NAME=VALUE");
    return false;
  }
  return true;
}

// libpmix copies what it keeps; the strings are the caller's.
pmix_status_t Spawn(bool is_tool, const rexspawn_request_t& r, std::string* name_space) {
  Infos infos;
  infos.AddFlag(PMIX_NOTIFY_PROC_TERMINATION);
  infos.AddFlag(kIndependent);
  if (r.detached == 0) infos.AddFlag(kAttached);
  if (r.hosts != nullptr) infos.AddText(PMIX_HOST, r.hosts);
  // What they write comes as events: libpmix has no bound for what waits.
  for (const char* key : {PMIX_FWD_STDOUT, PMIX_FWD_STDERR, PMIX_FWD_STDDIAG}) {
    if (is_tool) infos.AddFlag(key, false);
  }
  pmix_app_t app;
  PMIX_APP_CONSTRUCT(&app);
  app.cmd = strdup(r.argv[0]);
  pmix_status_t added = PMIX_SUCCESS;
  for (size_t i = 0; r.argv[i] != nullptr && added == PMIX_SUCCESS; ++i) {
    PMIX_ARGV_APPEND(added, app.argv, r.argv[i]);
  }
  for (char** entry = environ; is_tool && *entry != nullptr && added == PMIX_SUCCESS; ++entry) {
    if (std::strncmp(*entry, "PMIX_", 5) != 0) PMIX_ARGV_APPEND(added, app.env, *entry);
  }
  for (size_t i = 0; r.env != nullptr && r.env[i] != nullptr && added == PMIX_SUCCESS; ++i) {
    PMIX_ARGV_APPEND(added, app.env, r.env[i]);
  }
  char here[PATH_MAX];
  const char* dir = r.dir != nullptr ? r.dir : ::getcwd(here, sizeof here);
  if (dir != nullptr) app.cwd = strdup(dir);
  app.maxprocs = static_cast<int>(r.copies);
  pmix_nspace_t name = {0};
  const pmix_status_t status =
      added != PMIX_SUCCESS ? added : PMIx_Spawn(infos.data(), infos.size(), &app, 1, name);
  *name_space = std::string(name, strnlen(name, PMIX_MAX_NSLEN));
  PMIX_APP_DESTRUCT(&app);
  return status;
}

// The first child with an end: `job`, or any.
Child* WithEnd(rexspawn_t& c, rexspawn_job_t job, rexspawn_job_t* which) {
  for (auto& [number, child] : c.children) {
    if ((job != REXSPAWN_ANY && number != job) || child.ends.empty()) continue;
    *which = number;
    return &child;
  }
  return nullptr;
}

uint32_t Running(const rexspawn_t& c, rexspawn_job_t job) {
  uint32_t running = 0;
  for (const auto& [number, child] : c.children) {
    if (job == REXSPAWN_ANY || number == job) running += child.running;
  }
  return running;
}

rexspawn_t* FailOpen(const std::string& text) {
  Fail(text);
  return nullptr;
}

void Finalize(const rexspawn_t& connection) {
  if (connection.is_tool) {
    PMIx_tool_finalize();
  } else {
    PMIx_Finalize(nullptr, 0);
  }
}

bool InitRank(rexspawn_t& connection) {
  const pmix_status_t status = PMIx_Init(&connection.self, nullptr, 0);
  if (status != PMIX_SUCCESS) Fail("rex does not answer: " + StatusText(status));
  return status == PMIX_SUCCESS;
}

// proc(5); umask(2) itself has no way to ask.
uint64_t OwnUmask() {
  constexpr const char* kLine = "\nUmask:";
  const auto status = rex::ReadFile("/proc/self/status");
  const size_t at = status ? status->find(kLine) : std::string::npos;
  constexpr uint64_t kUsual = 022;
  return at == std::string::npos
             ? kUsual
             : std::strtoul(status->c_str() + at + std::strlen(kLine), nullptr, 8);
}

void OnSent(pmix_status_t, pmix_info_t*, size_t, void*, pmix_release_cbfunc_t, void*) {}

// So much of the jobs' output is out. libpmix has packed the directive when this returns.
void TellWritten(uint64_t bytes) {
  Infos infos;
  infos.AddWhole(kRead, bytes);
  PMIx_Job_control_nb(nullptr, 0, infos.data(), infos.size(), &OnSent, nullptr);
}

std::string RefusalText(const std::string& where, pmix_status_t status) {
  switch (status) {
    case PMIX_ERR_NOT_SUPPORTED:
      return where + " is of another version of rex than this program's librexspawn (" REX_VERSION
                     "); start it anew";
    case PMIX_ERR_OUT_OF_RESOURCE:
      return where + " has as many programs connected as it takes";
    case PMIX_ERR_UNREACH:
      return where + " is being started or ended; 'rexctl status' shows it";
    default:
      return where + " takes no programs: " + PMIx_Error_string(status);
  }
}

// As ps(1) shows it.
std::string OwnCommand() {
  auto words = rex::ReadFile("/proc/self/cmdline");
  if (!words) return "";
  while (!words->empty() && words->back() == '\0') words->pop_back();
  std::replace(words->begin(), words->end(), '\0', ' ');
  return *words;
}

pmix_status_t Introduce() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  Infos infos;
  infos.AddText("rex.tool", REX_VERSION);
  infos.AddText("rex.command", OwnCommand().c_str());
  infos.AddWhole("rex.pid", static_cast<uint64_t>(::getpid()));
  infos.AddWhole("rex.umask", OwnUmask());
  infos.AddWhole("rex.files", files.rlim_cur);
  infos.AddWhole("rex.files.hard", files.rlim_max);
  return PMIx_Job_control(nullptr, 0, infos.data(), infos.size(), nullptr, nullptr);
}

bool InitTool(rexspawn_t& connection, const char* dvm) {
  const auto place = rex::FindServer(dvm);
  if (!place) {
    Fail(place.error().text);
    return false;
  }
  Infos infos;
  infos.AddText(place->key.c_str(), place->value.c_str());
  const pmix_status_t status = PMIx_tool_init(&connection.self, infos.data(), infos.size());
  if (status != PMIX_SUCCESS) {
    Fail(place->name + " does not answer: " + PMIx_Error_string(status));
    return false;
  }
  connection.output = std::make_unique<rex::OutputWriter>(&TellWritten);
  const pmix_status_t taken = Introduce();
  if (taken == PMIX_SUCCESS || taken == PMIX_OPERATION_SUCCEEDED) return true;
  PMIx_tool_finalize();
  Fail(RefusalText(place->name, taken));
  return false;
}

// The DVM has sent why before it has answered, but an answer wakes us sooner.
void AwaitNotice() {
  Infos infos;
  infos.AddWhole(kRead, 0);
  PMIx_Job_control(nullptr, 0, infos.data(), infos.size(), nullptr, nullptr);
}

// What copies that have ended wrote is on its way.
void Drain() {
  Infos infos;
  infos.AddFlag(kDrain);
  PMIx_Job_control(nullptr, 0, infos.data(), infos.size(), nullptr, nullptr);
}

}  // namespace

rexspawn_t* rexspawn_open(void) { return rexspawn_open_dvm(nullptr); }

rexspawn_t* rexspawn_open_dvm(const char* dvm) {
  {
    const std::lock_guard lock(open_mutex);
    if (open_connection != nullptr) return FailOpen("a connection is open already");
  }
  auto connection = std::make_unique<rexspawn_t>();
  connection->is_tool = std::getenv("PMIX_NAMESPACE") == nullptr;
  if (!connection->is_tool && dvm != nullptr) {
    return FailOpen("this process has a DVM: that of the rexlaunch that has started it");
  }
  if (!(connection->is_tool ? InitTool(*connection, dvm) : InitRank(*connection))) return nullptr;
  {
    const std::lock_guard lock(open_mutex);
    open_connection = connection.get();
  }
  std::vector<pmix_status_t> codes = {PMIX_EVENT_PROC_TERMINATED};
  if (connection->is_tool) {
    codes.insert(codes.end(), {kEventOutput, kEventNotice, PMIX_ERR_LOST_CONNECTION});
  }
  const pmix_status_t handler = PMIx_Register_event_handler(codes.data(), codes.size(), nullptr, 0,
                                                            &OnEvent, nullptr, nullptr);
  if (handler >= 0) {
    connection->handler = static_cast<size_t>(handler);
    return connection.release();
  }
  {
    const std::lock_guard lock(open_mutex);
    open_connection = nullptr;
  }
  Finalize(*connection);
  return FailOpen("libpmix takes no event handler: " + StatusText(handler));
}

namespace {
int FailSpawn(rexspawn_t& connection, const rexspawn_request_t& request, pmix_status_t status) {
  const std::lock_guard lock(connection.mutex);
  const std::string why = std::exchange(connection.notice, "");
  const std::string text = connection.lost ? "the DVM has ended" : StatusText(status);
  return Fail("cannot start '" + std::string(request.argv[0]) + "': " + (why.empty() ? text : why));
}
}  // namespace

int rexspawn_start(rexspawn_t* connection, const rexspawn_request_t* request, rexspawn_job_t* job) {
  if (connection == nullptr || job == nullptr) return Fail("no connection, or no job");
  if (!IsGood(request)) return -1;
  std::string name_space;
  {
    const std::lock_guard turn(connection->calls);
    const pmix_status_t status = Spawn(connection->is_tool, *request, &name_space);
    if (status != PMIX_SUCCESS) {
      if (connection->is_tool) AwaitNotice();
      return FailSpawn(*connection, *request, status);
    }
  }
  const std::lock_guard lock(connection->mutex);
  *job = ++connection->last;
  Child& child = connection->children[*job];
  child.name_space = name_space;
  child.running = connection->lost ? 0 : request->copies;
  const auto early = connection->early.extract(name_space);
  if (!early.empty()) {
    for (const End& end : early.mapped()) Take(child, end);
  }
  connection->changed.notify_all();
  return 0;
}

int rexspawn_wait(rexspawn_t* connection, rexspawn_job_t job, int timeout_ms, rexspawn_end_t* end) {
  if (connection == nullptr || end == nullptr) return Fail("no connection, or no end");
  std::unique_lock lock(connection->mutex);
  const auto give_up =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(std::max(timeout_ms, 0));
  for (;;) {
    rexspawn_job_t which = 0;
    if (Child* child = WithEnd(*connection, job, &which)) {
      const End first = child->ends.front();
      child->ends.pop_front();
      *end = {which, first.copy, first.exit_code, first.signal};
      return 1;
    }
    if (connection->lost) return Fail("the DVM has ended");
    if (Running(*connection, job) == 0) return Fail("nothing is left to wait for");
    if (timeout_ms < 0) {
      connection->changed.wait(lock);
    } else if (connection->changed.wait_until(lock, give_up) == std::cv_status::timeout) {
      if (WithEnd(*connection, job, &which) == nullptr) return 0;
    }
  }
}

int rexspawn_signal(rexspawn_t* connection, rexspawn_job_t job, int64_t copy, int signo) {
  if (connection == nullptr) return Fail("no connection");
  if (signo < 1 || signo > 64) return Fail(std::to_string(signo) + " is no signal");
  pmix_proc_t target;
  {
    const std::lock_guard lock(connection->mutex);
    const auto child = connection->children.find(job);
    if (child == connection->children.end()) {
      return Fail("there is no job " + std::to_string(job));
    }
    if (child->second.running == 0) return Fail("all copies of the job have ended");
    const auto rank = copy == REXSPAWN_ALL ? PMIX_RANK_WILDCARD : static_cast<pmix_rank_t>(copy);
    PMIX_LOAD_PROCID(&target, child->second.name_space.c_str(), rank);
  }
  Infos infos;
  infos.AddNumber(PMIX_JOB_CTRL_SIGNAL, signo);
  const std::lock_guard turn(connection->calls);
  const pmix_status_t status =
      PMIx_Job_control(&target, 1, infos.data(), infos.size(), nullptr, nullptr);
  if (status == PMIX_SUCCESS || status == PMIX_OPERATION_SUCCEEDED) return 0;
  return Fail("the signal was not sent: " + StatusText(status));
}

uint32_t rexspawn_running(rexspawn_t* connection, rexspawn_job_t job) {
  if (connection == nullptr) return 0;
  const std::lock_guard lock(connection->mutex);
  return Running(*connection, job);
}

void rexspawn_close(rexspawn_t* connection) {
  if (connection == nullptr) return;
  if (connection->is_tool) Drain();
  PMIx_Deregister_event_handler(connection->handler, nullptr, nullptr);
  {
    const std::lock_guard lock(open_mutex);
    open_connection = nullptr;
  }
  connection->output.reset();
  Finalize(*connection);
  delete connection;
}

const char* rexspawn_error(void) { return last_error.c_str(); }
