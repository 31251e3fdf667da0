// Events: what ranks raise goes to the agent for the other nodes (libpmix has told the local ranks
// already), and registrations for system events are accepted, because the agent reports all it
// knows. Frees: nothing; libpmix owns all arguments.
//
// A notification is done for libpmix when we have copied it, and its callback is never called:
// libpmix 4.2.2 frees what the callback points to if we return PMIX_SUCCESS (prm_base_stubs.c
// counts only PMIX_OPERATION_IN_PROGRESS as pending), and on its other path if we return anything
// else.
#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

pmix_status_t OnRegisterEvents(pmix_status_t* /*codes*/, size_t /*ncodes*/,
                               const pmix_info_t* /*infos*/, size_t /*ninfo*/,
                               pmix_op_cbfunc_t /*callback*/, void* /*cbdata*/) {
  return PMIX_OPERATION_SUCCEEDED;
}

// libpmix 4.2.2 never calls this one.
pmix_status_t OnDeregisterEvents(pmix_status_t* /*codes*/, size_t /*ncodes*/,
                                 pmix_op_cbfunc_t /*callback*/, void* /*cbdata*/) {
  return PMIX_OPERATION_SUCCEEDED;
}

std::vector<ProcId> TargetsOf(const pmix_info_t* infos, size_t ninfo) {
  const pmix_info_t* range = FindInfo(infos, ninfo, PMIX_EVENT_CUSTOM_RANGE);
  if (range == nullptr) return {};
  const pmix_value_t& value = range->value;
  if (value.type == PMIX_PROC) return FromPmix(value.data.proc, 1);
  if (value.type != PMIX_DATA_ARRAY || value.data.darray == nullptr ||
      value.data.darray->type != PMIX_PROC) {
    return {};
  }
  return FromPmix(static_cast<const pmix_proc_t*>(value.data.darray->array),
                  value.data.darray->size);
}

pmix_status_t OnNotify(pmix_status_t code, const pmix_proc_t* source, pmix_data_range_t range,
                       pmix_info_t* infos, size_t ninfo, pmix_op_cbfunc_t /*callback*/,
                       void* /*cbdata*/) {
  return Guarded([&]() -> pmix_status_t {
    // libpmix passes up what has the host itself as its source. Other nodes' hosts have the same
    // name: there it would be passed up again, and so on.
    if (PMIX_CHECK_NSPACE(source->nspace, kHostNameSpace)) return PMIX_OPERATION_SUCCEEDED;
    EventRaised event;
    event.code = code;
    event.source = FromPmix(*source);
    event.range = range;
    event.info = PackInfos(infos, ninfo);
    event.info_count = static_cast<uint32_t>(ninfo);
    event.targets = TargetsOf(infos, ninfo);
    if (event.info.empty() && ninfo > 0) return PMIX_ERR_PACK_FAILURE;
    Sink().Request(std::move(event), [](const HostMessage& /*answer*/) {});
    return PMIX_OPERATION_SUCCEEDED;
  });
}

}  // namespace

void InstallEventUpcalls(pmix_server_module_t& module) {
  module.register_events = &OnRegisterEvents;
  module.deregister_events = &OnDeregisterEvents;
  module.notify_event = &OnNotify;
}

}  // namespace rex::pmix
