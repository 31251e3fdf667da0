// PMIx_Fence: all local participants are in. Frees: `data`, which
// libpmix 4.2.2 unloads from its buffer for us and forgets (pmix_server_ops.c); the answer's bytes
// are ours until the release function that goes with them is called. The callback moves to the
// progress thread by itself.
#include <cstdlib>
#include <memory>

#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

void ReleaseData(void* data) noexcept { delete static_cast<std::string*>(data); }

void Release(HostMessage& answer, pmix_modex_cbfunc_t callback, void* cbdata) {
  auto* done = std::get_if<FenceDone>(&answer);
  if (done == nullptr || done->status != kSuccess || done->data.empty()) {
    callback(StatusOf(answer), nullptr, 0, cbdata, nullptr, nullptr);
    return;
  }
  auto data = std::make_unique<std::string>(std::move(done->data));
  const char* bytes = data->data();
  const size_t count = data->size();
  callback(done->status, bytes, count, cbdata, &ReleaseData, data.release());
}

pmix_status_t OnFence(const pmix_proc_t* procs, size_t nprocs, const pmix_info_t* infos,
                      size_t ninfo, char* data, size_t ndata, pmix_modex_cbfunc_t callback,
                      void* cbdata) {
  const std::unique_ptr<char, void (*)(void*)> owned(data, &std::free);
  return Guarded([&] {
    Fence fence;
    fence.participants = FromPmix(procs, nprocs);
    fence.collect = IsTrue(infos, ninfo, PMIX_COLLECT_DATA);
    if (data != nullptr) fence.data.assign(data, ndata);
    fence.at = Sink().Now();
    // libpmix times the wait for the local ranks alone, and stops that clock before it asks us.
    fence.timeout = TimeoutOf(infos, ninfo);
    Sink().Request(std::move(fence),
                   [callback, cbdata](HostMessage& answer) { Release(answer, callback, cbdata); });
    return PMIX_SUCCESS;
  });
}

}  // namespace

void InstallFenceUpcall(pmix_server_module_t& module) { module.fence_nb = &OnFence; }

}  // namespace rex::pmix
