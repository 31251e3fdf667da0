// PMIx_Log to stdout and stderr: the text goes to the job's own output. Other channels (syslog,
// mail, files) are refused. Frees: nothing; libpmix keeps the arguments until the callback, and the
// callback is called exactly once, never from inside the upcall (libpmix holds a lock there).
//
// libpmix's own help texts come this way too; they go to our log, not to a job's output.
#include "launcher/base/log.h"
#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/progress_thread.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

std::vector<LogText> TextsOf(const pmix_proc_t* client, const pmix_info_t* data, size_t ndata) {
  std::vector<LogText> texts;
  for (size_t i = 0; data != nullptr && i < ndata; ++i) {
    const bool to_stdout = PMIX_CHECK_KEY(&data[i], PMIX_LOG_STDOUT);
    if (!to_stdout && !PMIX_CHECK_KEY(&data[i], PMIX_LOG_STDERR)) continue;
    if (data[i].value.type != PMIX_STRING || data[i].value.data.string == nullptr) continue;
    texts.push_back({0, FromPmix(*client), to_stdout, data[i].value.data.string});
  }
  return texts;
}

void Answer(pmix_op_cbfunc_t callback, void* cbdata, int32_t status) {
  if (callback == nullptr) return;
  OnProgressThread([callback, cbdata, status] { callback(status, cbdata); });
}

void LogOwn(const std::vector<LogText>& texts) {
  for (const LogText& text : texts) Log(LogLevel::kWarn, "libpmix says: " + text.text);
}

void OnLog(const pmix_proc_t* client, const pmix_info_t* data, size_t ndata,
           const pmix_info_t* /*directives*/, size_t /*ndirs*/, pmix_op_cbfunc_t callback,
           void* cbdata) {
  const pmix_status_t taken = Guarded([&]() -> pmix_status_t {
    std::vector<LogText> texts = TextsOf(client, data, ndata);
    if (texts.empty()) return PMIX_ERR_NOT_SUPPORTED;
    if (PMIX_CHECK_NSPACE(client->nspace, kHostNameSpace)) {
      LogOwn(texts);
      Answer(callback, cbdata, PMIX_SUCCESS);
      return PMIX_SUCCESS;
    }
    const auto joined = JoinStatuses(
        texts.size(), [callback, cbdata](int32_t status) { Answer(callback, cbdata, status); });
    for (LogText& text : texts) {
      Sink().Request(std::move(text),
                     [joined](const HostMessage& answer) { joined(StatusOf(answer)); });
    }
    return PMIX_SUCCESS;
  });
  if (taken != PMIX_SUCCESS) Answer(callback, cbdata, taken);
}

}  // namespace

void InstallLogUpcall(pmix_server_module_t& module) { module.log = &OnLog; }

}  // namespace rex::pmix
