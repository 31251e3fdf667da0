// Ranks that connect (PMIx_Init) and finalize. Frees: nothing; libpmix owns all arguments.
//
// The agent must have a rank's FINALIZED before it can see the rank's exit, or it would take a good
// exit for one without PMIx_Finalize: so the rank is let go only after the message has been sent.
#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/progress_thread.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

// Libpmix 4.2.2 gives this upcall no callback and goes on at once; other versions may.
pmix_status_t OnConnected(const pmix_proc_t* proc, void* /*server_object*/, pmix_info_t* /*info*/,
                          size_t /*ninfo*/, pmix_op_cbfunc_t /*callback*/, void* /*cbdata*/) {
  return Guarded([&] {
    Sink().Tell(ClientEvent{FromPmix(*proc), ClientEvent::What::kConnected, Sink().Now()}, {});
    return PMIX_OPERATION_SUCCEEDED;
  });
}

pmix_status_t OnFinalized(const pmix_proc_t* proc, void* /*server_object*/,
                          pmix_op_cbfunc_t callback, void* cbdata) {
  return Guarded([&] {
    const auto let_go = [callback, cbdata] {
      if (callback == nullptr) return;
      OnProgressThread([callback, cbdata] { callback(PMIX_SUCCESS, cbdata); });
    };
    Sink().Tell(ClientEvent{FromPmix(*proc), ClientEvent::What::kFinalized, Sink().Now()}, let_go);
    return PMIX_SUCCESS;
  });
}

}  // namespace

void InstallConnectionUpcalls(pmix_server_module_t& module) {
  module.client_connected2 = &OnConnected;
  module.client_finalized = &OnFinalized;
}

}  // namespace rex::pmix
