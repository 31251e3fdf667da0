// PMIx_Get of a rank on another node. Frees: nothing of libpmix's; the answer's bytes are ours
// until their release function is called. The callback moves to the progress thread by itself.
#include <memory>

#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

void ReleaseData(void* data) noexcept { delete static_cast<std::string*>(data); }

void Deliver(HostMessage& answer, pmix_modex_cbfunc_t callback, void* cbdata) {
  auto* done = std::get_if<ModexDone>(&answer);
  if (done == nullptr || done->status != kSuccess) {
    callback(StatusOf(answer), nullptr, 0, cbdata, nullptr, nullptr);
    return;
  }
  auto data = std::make_unique<std::string>(std::move(done->data));
  const char* bytes = data->data();
  const size_t count = data->size();
  callback(done->status, bytes, count, cbdata, &ReleaseData, data.release());
}

pmix_status_t OnDirectModex(const pmix_proc_t* proc, const pmix_info_t* infos, size_t ninfo,
                            pmix_modex_cbfunc_t callback, void* cbdata) {
  return Guarded([&] {
    DirectModex modex;
    modex.proc = FromPmix(*proc);
    modex.timeout = TimeoutOf(infos, ninfo);
    Sink().Request(std::move(modex),
                   [callback, cbdata](HostMessage& answer) { Deliver(answer, callback, cbdata); });
    return PMIX_SUCCESS;
  });
}

}  // namespace

void InstallDmodexUpcall(pmix_server_module_t& module) { module.direct_modex = &OnDirectModex; }

}  // namespace rex::pmix
