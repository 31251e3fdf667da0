// What every upcall family stands on.
//
// An upcall runs on libpmix's progress thread. It copies its arguments (libpmix owns them all, but
// for the one case fence.cc names), hands a message to the sink and returns PMIX_SUCCESS, which
// promises libpmix exactly one call of the callback it gave; or it returns an error, and then
// libpmix answers its client itself and the callback must not be called. No exception may reach
// libpmix.
#pragma once

#include <pmix_server.h>

#include <exception>
#include <functional>

#include "launcher/base/event_loop.h"
#include "pmix-server/host/request_table.h"
#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

// The host's own name in PMIx terms: libpmix asks and logs under it when it does so by itself.
inline constexpr const char* kHostNameSpace = "rex-host";

// Where upcalls hand over to the host's own thread. All of it may be called on any thread.
class UpcallSink {
 public:
  virtual ~UpcallSink() = default;
  // Sends a message that carries a request number (set here) and calls `on_answer` once, on the
  // loop's thread, with the agent's answer; or with an OpDone of kErrBadParam when the message
  // breaks the protocol's bounds, because an application put nonsense into it.
  virtual void Request(HostMessage message, OnAnswer on_answer) = 0;
  // Sends a message that is not answered, then calls `then` (may be empty) on the loop's thread.
  virtual void Tell(HostMessage message, std::function<void()> then) = 0;
  virtual Clock::Time Now() const = 0;
};

// The table of functions that libpmix calls. Its functions carry no pointer of ours, so `sink` is
// kept in a variable of support.cc: there is one libpmix in a process anyway. `takes_tools`: who is
// no rank may connect and ask for jobs.
pmix_server_module_t MakeServerModule(UpcallSink& sink, bool takes_tools);
UpcallSink& Sink();

// Each family fills in its functions.
void InstallConnectionUpcalls(pmix_server_module_t& module);
void InstallAbortUpcall(pmix_server_module_t& module);
void InstallFenceUpcall(pmix_server_module_t& module);
void InstallConnectUpcalls(pmix_server_module_t& module);
void InstallDmodexUpcall(pmix_server_module_t& module);
void InstallPublishUpcalls(pmix_server_module_t& module);
void InstallEventUpcalls(pmix_server_module_t& module);
void InstallJobControlUpcall(pmix_server_module_t& module);
void InstallLogUpcall(pmix_server_module_t& module);
void InstallQueryUpcall(pmix_server_module_t& module);
void InstallSpawnUpcall(pmix_server_module_t& module);
void InstallGroupUpcall(pmix_server_module_t& module);
void InstallToolUpcall(pmix_server_module_t& module);
// Has the ends of tools told. Once libpmix has started; not on its thread.
void WatchTools();

// Runs the body of an upcall; what it throws (memory, in practice) becomes a status.
template <typename Body>
pmix_status_t Guarded(const Body& body) noexcept {
  try {
    return body();
  } catch (const std::exception&) {
    return PMIX_ERR_NOMEM;
  }
}

// The status of an answer; kError when it is of a kind that has none.
int32_t StatusOf(const HostMessage& answer);
// Hands the status of an answer to `callback` (may be null), on the progress thread.
OnAnswer AnswerOp(pmix_op_cbfunc_t callback, void* cbdata);
// Calls `done` once, with the first bad of `parts` statuses (or success), as they come in.
std::function<void(int32_t status)> JoinStatuses(size_t parts,
                                                 std::function<void(int32_t status)> done);

// Directives that several families take. `infos` may be null when `count` is 0.
const pmix_info_t* FindInfo(const pmix_info_t* infos, size_t count, const char* key);
bool IsTrue(const pmix_info_t* infos, size_t count, const char* key);
// `otherwise` when the key is absent or no number.
uint32_t NumberOf(const pmix_info_t* infos, size_t count, const char* key, uint32_t otherwise);
// PMIX_TIMEOUT, at most a week; 0: none given.
std::chrono::seconds TimeoutOf(const pmix_info_t* infos, size_t count);

}  // namespace rex::pmix
