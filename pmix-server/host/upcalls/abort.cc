// PMIx_Abort. Frees: nothing; libpmix frees the text and the targets when we return.
#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

pmix_status_t OnAbort(const pmix_proc_t* proc, void* /*server_object*/, int code, const char* text,
                      pmix_proc_t* targets, size_t count, pmix_op_cbfunc_t callback, void* cbdata) {
  return Guarded([&] {
    Abort abort;
    abort.proc = FromPmix(*proc);
    abort.code = code;
    abort.text = text == nullptr ? "" : text;
    abort.targets = FromPmix(targets, count);
    Sink().Request(std::move(abort), AnswerOp(callback, cbdata));
    return PMIX_SUCCESS;
  });
}

}  // namespace

void InstallAbortUpcall(pmix_server_module_t& module) { module.abort = &OnAbort; }

}  // namespace rex::pmix
