// PMIx_Connect and PMIx_Disconnect: all local participants are in. Frees: nothing; libpmix owns all
// arguments. The callbacks move to the progress thread by themselves.
//
// libpmix 4.2.2 completes what concerns processes of one server alone without asking. It wants all
// namespaces registered here before a connect is answered.
#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

using std::chrono::milliseconds;

// A connect with PMIX_TIMEOUT is timed by libpmix 4.2.2 as well, which starts its timer when the
// upcall has returned, answers its clients when that fires, and then must not be called back
// (pmix_server_ops.c, connect_timeout: the tracker would be taken off its list twice). So an answer
// that comes this close to the timer, or later, is left to it.
constexpr milliseconds kMargin(200);

bool IsLeftToLibpmix(const Fence& fence, Clock::Time now) {
  if (fence.kind != Fence::Kind::kConnect || fence.timeout.count() == 0) return false;
  return now >= fence.at + fence.timeout - kMargin;
}

pmix_status_t OnCollective(Fence::Kind kind, const pmix_proc_t* procs, size_t nprocs,
                           const pmix_info_t* infos, size_t ninfo, pmix_op_cbfunc_t callback,
                           void* cbdata) {
  return Guarded([&] {
    Fence fence;
    fence.kind = kind;
    fence.participants = FromPmix(procs, nprocs);
    fence.timeout = TimeoutOf(infos, ninfo);
    fence.at = Sink().Now();
    const auto on_answer = [callback, cbdata, asked = fence](const HostMessage& answer) {
      if (!IsLeftToLibpmix(asked, Sink().Now())) callback(StatusOf(answer), cbdata);
    };
    Sink().Request(std::move(fence), on_answer);
    return PMIX_SUCCESS;
  });
}

pmix_status_t OnConnect(const pmix_proc_t* procs, size_t nprocs, const pmix_info_t* infos,
                        size_t ninfo, pmix_op_cbfunc_t callback, void* cbdata) {
  return OnCollective(Fence::Kind::kConnect, procs, nprocs, infos, ninfo, callback, cbdata);
}

pmix_status_t OnDisconnect(const pmix_proc_t* procs, size_t nprocs, const pmix_info_t* infos,
                           size_t ninfo, pmix_op_cbfunc_t callback, void* cbdata) {
  return OnCollective(Fence::Kind::kDisconnect, procs, nprocs, infos, ninfo, callback, cbdata);
}

}  // namespace

void InstallConnectUpcalls(pmix_server_module_t& module) {
  module.connect = &OnConnect;
  module.disconnect = &OnDisconnect;
}

}  // namespace rex::pmix
