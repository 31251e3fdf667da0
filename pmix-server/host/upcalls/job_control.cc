// PMIx_Job_control: kill, terminate, signal, pause and resume become signals that the agent sends.
// Cleanup registrations (PMIX_REGISTER_CLEANUP and its like) are libpmix's own business; they come
// here only together with other directives. Frees: nothing; libpmix owns all arguments.
#include <signal.h>

#include <algorithm>
#include <optional>

#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/progress_thread.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

constexpr const char* kCleanup[] = {PMIX_REGISTER_CLEANUP, PMIX_REGISTER_CLEANUP_DIR,
                                    PMIX_CLEANUP_RECURSIVE, PMIX_CLEANUP_IGNORE,
                                    PMIX_CLEANUP_LEAVE_TOPDIR};

struct Directive {
  const char* key;
  int signo;
};
constexpr Directive kSignals[] = {{PMIX_JOB_CTRL_PAUSE, SIGTSTP},
                                  {PMIX_JOB_CTRL_RESUME, SIGCONT},
                                  {PMIX_JOB_CTRL_TERMINATE, SIGTERM},
                                  {PMIX_JOB_CTRL_KILL, SIGKILL}};

// The signal a directive asks for; 0: it asks for none; -1: we can't do it.
int SignalOf(const pmix_info_t& info) {
  for (const char* key : kCleanup) {
    if (PMIX_CHECK_KEY(&info, key)) return 0;
  }
  if (PMIX_CHECK_KEY(&info, PMIX_JOB_CTRL_ID)) return 0;
  for (const Directive& directive : kSignals) {
    if (PMIX_CHECK_KEY(&info, directive.key)) return PMIX_INFO_TRUE(&info) ? directive.signo : 0;
  }
  if (PMIX_CHECK_KEY(&info, PMIX_JOB_CTRL_SIGNAL)) {
    const uint32_t signo = NumberOf(&info, 1, PMIX_JOB_CTRL_SIGNAL, 0);
    return signo >= 1 && signo <= 64 ? static_cast<int>(signo) : -1;
  }
  return (info.flags & PMIX_INFO_REQD) != 0 ? -1 : 0;  // an option we don't know may be ignored
}

// ---- tools: what librexspawn says beside what PMIx has words for

uint64_t WholeOf(const pmix_info_t* infos, size_t count, const char* key) {
  const pmix_info_t* info = FindInfo(infos, count, key);
  return info != nullptr && info->value.type == PMIX_UINT64 ? info->value.data.uint64 : 0;
}

std::string TextOf(const pmix_info_t* infos, size_t count, const char* key) {
  const pmix_info_t* info = FindInfo(infos, count, key);
  const bool is = info != nullptr && info->value.type == PMIX_STRING;
  return is && info->value.data.string != nullptr ? info->value.data.string : "";
}

ToolConnected ToolOf(const pmix_proc_t& tool, const pmix_info_t* infos, size_t count) {
  ToolConnected out;
  out.proc = FromPmix(tool);
  out.version = TextOf(infos, count, "rex.tool");
  out.command = TextOf(infos, count, "rex.command");
  out.pid = static_cast<int64_t>(WholeOf(infos, count, "rex.pid"));
  out.umask = static_cast<uint32_t>(WholeOf(infos, count, "rex.umask"));
  out.open_files = WholeOf(infos, count, "rex.files");
  out.open_files_hard = WholeOf(infos, count, "rex.files.hard");
  return out;
}

OnAnswer AnswerControl(pmix_info_cbfunc_t callback, void* cbdata) {
  return [callback, cbdata](const HostMessage& answer) {
    if (callback == nullptr) return;
    OnProgressThread([callback, cbdata, status = StatusOf(answer)] {
      callback(status, nullptr, 0, cbdata, nullptr, nullptr);
    });
  };
}

// None: it is nothing of that.
std::optional<pmix_status_t> TakeToolWord(const pmix_proc_t& tool, const pmix_info_t* infos,
                                          size_t count, pmix_info_cbfunc_t callback, void* cbdata) {
  if (FindInfo(infos, count, "rex.read") != nullptr) {
    const uint64_t bytes = std::min(WholeOf(infos, count, "rex.read"), kToolWindowBytes);
    Sink().Tell(ToolRead{FromPmix(tool), bytes}, {});
    return PMIX_OPERATION_SUCCEEDED;
  }
  if (FindInfo(infos, count, "rex.tool") != nullptr) {
    Sink().Request(ToolOf(tool, infos, count), AnswerControl(callback, cbdata));
    return PMIX_SUCCESS;
  }
  if (FindInfo(infos, count, "rex.drain") != nullptr) {
    Sink().Request(ToolDrain{0, FromPmix(tool)}, AnswerControl(callback, cbdata));
    return PMIX_SUCCESS;
  }
  return std::nullopt;
}

pmix_status_t OnJobControl(const pmix_proc_t* requestor, const pmix_proc_t* targets,
                           size_t ntargets, const pmix_info_t* directives, size_t ndirs,
                           pmix_info_cbfunc_t callback, void* cbdata) {
  return Guarded([&]() -> pmix_status_t {
    const auto taken = TakeToolWord(*requestor, directives, ndirs, callback, cbdata);
    if (taken) return *taken;
    std::vector<int> signals;
    for (size_t i = 0; i < ndirs; ++i) {
      const int signo = SignalOf(directives[i]);
      if (signo < 0) return PMIX_ERR_NOT_SUPPORTED;
      if (signo > 0) signals.push_back(signo);
    }
    if (signals.empty()) return PMIX_ERR_NOT_SUPPORTED;
    const auto joined = JoinStatuses(signals.size(), [callback, cbdata](int32_t status) {
      if (callback == nullptr) return;
      OnProgressThread(
          [callback, cbdata, status] { callback(status, nullptr, 0, cbdata, nullptr, nullptr); });
    });
    for (const int signo : signals) {
      JobControl control;
      control.proc = FromPmix(*requestor);
      control.targets = FromPmix(targets, ntargets);
      control.signo = signo;
      Sink().Request(std::move(control),
                     [joined](const HostMessage& answer) { joined(StatusOf(answer)); });
    }
    return PMIX_SUCCESS;
  });
}

}  // namespace

void InstallJobControlUpcall(pmix_server_module_t& module) { module.job_control = &OnJobControl; }

}  // namespace rex::pmix
