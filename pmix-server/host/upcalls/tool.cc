// Tools: processes of our user that no job has (librexspawn's), which connect to ask for jobs. Here
// they get a name; what else there is to know they say by PMIx_Job_control (job_control.cc),
// because libpmix 4.2.2 loses what they give to PMIx_tool_init. Nor does it survive that one is
// refused here (it takes a record out of a list that it is not in). Frees: nothing; libpmix owns
// all arguments.
//
// That a tool is gone libpmix tells as an event, however it went.
#include <pmix.h>
#include <pmix_server.h>
#include <sys/random.h>

#include <array>
#include <cinttypes>
#include <cstdio>
#include <new>
#include <set>

#include "launcher/base/log.h"
#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/progress_thread.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

// Progress thread.
std::set<std::string>& Tools() {
  static std::set<std::string> tools;
  return tools;
}

// Nobody guesses it, nor has it twice.
std::string NewName() {
  uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number) throw std::bad_alloc();
  std::array<char, 24> name{};
  std::snprintf(name.data(), name.size(), "rex-%016" PRIx64, number);
  return name.data();
}

// Progress thread. A rank that is a tool as well has its name already.
void OnTool(pmix_info_t* infos, size_t count, pmix_tool_connection_cbfunc_t callback,
            void* cbdata) {
  Guarded([&] {
    const pmix_info_t* known = FindInfo(infos, count, PMIX_NSPACE);
    const bool has_name = known != nullptr && known->value.type == PMIX_STRING;
    const ProcId tool = has_name
                            ? ProcId{known->value.data.string, NumberOf(infos, count, PMIX_RANK, 0)}
                            : ProcId{NewName(), 0};
    if (!has_name) Tools().insert(tool.name_space);
    pmix_proc_t proc = ToPmix(tool);
    callback(PMIX_SUCCESS, &proc, cbdata);
    return PMIX_SUCCESS;
  });
}

void OnLostConnection(size_t /*handler*/, pmix_status_t /*status*/, const pmix_proc_t* source,
                      pmix_info_t /*infos*/[], size_t /*count*/, pmix_info_t* /*results*/,
                      size_t /*nresults*/, pmix_event_notification_cbfunc_fn_t done, void* cbdata) {
  Guarded([&] {
    const ProcId tool = FromPmix(*source);
    if (Tools().erase(tool.name_space) > 0) Sink().Tell(ToolGone{tool}, {});
    return PMIX_SUCCESS;
  });
  if (done != nullptr) done(PMIX_EVENT_NO_ACTION_TAKEN, nullptr, 0, nullptr, nullptr, cbdata);
}

}  // namespace

void InstallToolUpcall(pmix_server_module_t& module) { module.tool_connected = &OnTool; }

void WatchTools() {
  pmix_status_t code = PMIX_ERR_LOST_CONNECTION;
  const pmix_status_t watched =
      PMIx_Register_event_handler(&code, 1, nullptr, 0, &OnLostConnection, nullptr, nullptr);
  if (watched < 0) Log(LogLevel::kError, "the ends of tools will not be seen");
}

}  // namespace rex::pmix
