#include "launcher/agent/dvm_tools.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "launcher/base/log.h"

namespace rex {

namespace {

constexpr const char* kDvm = "rex-dvm";  // libpmix tells nobody what comes from himself

JobSpec BaseOf(const pmix::ToolConnected& tool, const DvmSpec& dvm, uint32_t slots) {
  JobSpec base;
  AppSpec self;
  self.argv = {"tool"};
  self.ranks = 1;
  base.apps.push_back(std::move(self));
  base.dvm = dvm;
  base.slots = slots;
  base.cwd = "/";  // its requests say where
  base.stdin_rank = kStdinNone;
  base.umask = tool.umask;
  if (tool.open_files > 0) {
    base.open_files = tool.open_files;
    base.open_files_hard = tool.open_files_hard;
  }
  return base;
}

std::string ReadLink(const std::string& path) {
  std::string to(PATH_MAX, '\0');
  const ssize_t n = ::readlink(path.c_str(), to.data(), to.size());
  to.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return to;
}

// The pid is what the tool says: only where it can mean the tool.
bool IsPidHere(int64_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  struct stat st {};
  if (pid <= 0 || ::stat(process.c_str(), &st) != 0 || st.st_uid != ::geteuid()) return false;
  const std::string space = ReadLink(process + "/ns/pid");
  return !space.empty() && space == ReadLink("/proc/self/ns/pid");
}

}  // namespace

int32_t DvmTools::Add(NodeId node, const pmix::ToolConnected& tool, const DvmSpec& dvm,
                      uint32_t slots) {
  const std::string& name = tool.proc.name_space;
  if (tool.version != kProtocolVersion) return pmix::kErrNotSupported;
  if (tools_.size() >= kMostTools) return pmix::kErrOutOfResource;
  if (tools_.contains(name)) return pmix::kErrBadParam;
  Session& session = tools_[name];
  session.jobs = std::make_unique<Jobs>(core_.jobs(), ClientOf(tool.proc));
  session.jobs->StartTool({tool.proc, node, tool.pid, tool.command, BaseOf(tool, dvm, slots)});
  session.jobs->OnOutputCredit(pmix::kToolWindowBytes);
  WatchProcess(session, tool.pid);
  return pmix::kSuccess;
}

// Besides the connection, which a child of the tool may have inherited.
void DvmTools::WatchProcess(Session& session, int64_t pid) {
  if (!IsPidHere(pid)) return;
  session.process.Reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!session.process) return;
  Jobs* const jobs = session.jobs.get();
  session.end = std::make_unique<ReadWatcher>(loop_, session.process.get(), [this, jobs] {
    for (auto& [name, each] : tools_) {
      if (each.jobs.get() != jobs) continue;
      each.end->Enable(false);
      return each.jobs->OnToolGone();
    }
  });
}

void DvmTools::Describe(std::vector<DvmJob>* jobs) const {
  for (const auto& [name, session] : tools_) session.jobs->Describe(jobs);
}

Jobs::Client DvmTools::ClientOf(const pmix::ProcId& tool) {
  Jobs::Client client;
  client.notice = [this, tool](const Notice& notice) {
    if (notice.level == Notice::Level::kDetail) return;
    Send(tool, pmix::kEventNotice, kDvm, {notice.text, true});
  };
  client.progress = [](const Progress&) {};
  client.started = [](const JobStarted&) {};
  client.output = [this, tool](const std::string& payload) { OnOutput(tool, payload); };
  client.stdin_credit = [](uint64_t) {};
  client.ended = [this, name = tool.name_space](const JobEnded&) { OnEnded(name); };
  return client;
}

void DvmTools::OnOutput(const pmix::ProcId& tool, const std::string& payload) {
  std::string_view bytes;
  const auto header = DecodeOutput(payload, &bytes);
  const auto session = tools_.find(tool.name_space);
  if (!header || bytes.empty() || session == tools_.end()) return;
  const std::string source = session->second.jobs->NameOfShown(header->job);
  Send(tool, pmix::kEventOutput, source.empty() ? kDvm : source,
       {std::string(bytes), header->stream == OutputStream::kStderr});
}

void DvmTools::Send(const pmix::ProcId& tool, int32_t code, const std::string& source,
                    pmix::EventText text) {
  pmix::EventRaised event;
  event.code = code;
  event.source = {source, 0};
  event.targets = {tool};
  event.text = std::move(text);
  core_.jobs().services().answer(kHeadNode, event);
}

void DvmTools::OnEnded(const std::string& name) {
  // Its jobs are on the stack below us.
  loop_.Post([this, name, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    tools_.erase(name);
    on_gone_();
  });
}

}  // namespace rex
