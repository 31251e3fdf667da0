#include "pmix-server/host/upcalls/support.h"

#include <algorithm>
#include <memory>

#include "launcher/base/check.h"
#include "pmix-server/host/progress_thread.h"

namespace rex::pmix {

namespace {
UpcallSink* g_sink = nullptr;  // set once, before libpmix starts its thread
constexpr uint32_t kLongestTimeoutSeconds = 7 * 24 * 3600;
}  // namespace

pmix_server_module_t MakeServerModule(UpcallSink& sink, bool takes_tools) {
  REX_CHECK(g_sink == nullptr);
  g_sink = &sink;
  pmix_server_module_t module{};
  InstallConnectionUpcalls(module);
  InstallAbortUpcall(module);
  InstallFenceUpcall(module);
  InstallConnectUpcalls(module);
  InstallDmodexUpcall(module);
  InstallPublishUpcalls(module);
  InstallEventUpcalls(module);
  InstallJobControlUpcall(module);
  InstallLogUpcall(module);
  InstallQueryUpcall(module);
  InstallSpawnUpcall(module);
  InstallGroupUpcall(module);
  if (takes_tools) InstallToolUpcall(module);
  return module;
}

UpcallSink& Sink() { return *g_sink; }

int32_t StatusOf(const HostMessage& answer) {
  return std::visit(
      [](const auto& m) -> int32_t {
        if constexpr (requires { m.status; }) {
          return m.status;
        } else {
          return kError;
        }
      },
      answer);
}

OnAnswer AnswerOp(pmix_op_cbfunc_t callback, void* cbdata) {
  return [callback, cbdata](const HostMessage& answer) {
    if (callback == nullptr) return;
    OnProgressThread([callback, cbdata, status = StatusOf(answer)] { callback(status, cbdata); });
  };
}

std::function<void(int32_t)> JoinStatuses(size_t parts, std::function<void(int32_t)> done) {
  struct State {
    size_t left;
    int32_t status;
    std::function<void(int32_t)> done;
  };
  auto state = std::make_shared<State>(State{parts, kSuccess, std::move(done)});
  return [state](int32_t status) {
    if (state->status == kSuccess) state->status = status;
    if (--state->left == 0) state->done(state->status);
  };
}

const pmix_info_t* FindInfo(const pmix_info_t* infos, size_t count, const char* key) {
  for (size_t i = 0; infos != nullptr && i < count; ++i) {
    if (PMIX_CHECK_KEY(&infos[i], key)) return &infos[i];
  }
  return nullptr;
}

bool IsTrue(const pmix_info_t* infos, size_t count, const char* key) {
  const pmix_info_t* info = FindInfo(infos, count, key);
  return info != nullptr && PMIX_INFO_TRUE(info);
}

uint32_t NumberOf(const pmix_info_t* infos, size_t count, const char* key, uint32_t otherwise) {
  const pmix_info_t* info = FindInfo(infos, count, key);
  if (info == nullptr) return otherwise;
  pmix_status_t status = PMIX_SUCCESS;
  uint32_t number = otherwise;
  switch (info->value.type) {  // the macro below does not know the one-byte kinds
    case PMIX_DATA_RANGE:
      return info->value.data.range;
    case PMIX_PERSIST:
      return info->value.data.persist;
    default:
      PMIX_VALUE_GET_NUMBER(status, &info->value, number, uint32_t);
  }
  return status == PMIX_SUCCESS ? number : otherwise;
}

std::chrono::seconds TimeoutOf(const pmix_info_t* infos, size_t count) {
  return std::chrono::seconds(
      std::min(NumberOf(infos, count, PMIX_TIMEOUT, 0), kLongestTimeoutSeconds));
}

}  // namespace rex::pmix
