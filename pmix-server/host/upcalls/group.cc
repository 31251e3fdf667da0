// PMIx_Group_construct and PMIx_Group_destruct: every member on this node has called. Frees:
// nothing of libpmix's; what is handed to its callback is ours and is let go by the release
// function that goes with it.
//
// libpmix 4.2.2 completes by itself what concerns processes of one server alone and asks for no
// context id. Invite, join and leave never come here: they are events.
#include <memory>

#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/progress_thread.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

std::string DataOf(const pmix_info_t* infos, size_t ninfo) {
  const pmix_info_t* info = FindInfo(infos, ninfo, PMIX_GROUP_ENDPT_DATA);
  if (info == nullptr || info->value.type != PMIX_BYTE_OBJECT) return "";
  const pmix_byte_object_t& bytes = info->value.data.bo;
  return bytes.bytes == nullptr ? "" : std::string(bytes.bytes, bytes.size);
}

void Release(void* infos) noexcept { delete static_cast<InfoList*>(infos); }

void Deliver(const HostMessage& answer, pmix_info_cbfunc_t callback, void* cbdata) {
  auto infos = std::make_shared<std::unique_ptr<InfoList>>(std::make_unique<InfoList>());
  if (const auto* done = std::get_if<GroupDone>(&answer); done != nullptr) {
    if (done->context > 0) (*infos)->AddSize(PMIX_GROUP_CONTEXT_ID, done->context);
    if (!done->data.empty()) (*infos)->AddBytes(PMIX_GROUP_ENDPT_DATA, done->data);
  }
  OnProgressThread([callback, cbdata, infos, status = StatusOf(answer)] {
    InfoList* const list = infos->release();
    callback(status, list->data(), list->size(), cbdata, &Release, list);
  });
}

pmix_status_t OnGroup(pmix_group_operation_t operation, char* id, const pmix_proc_t* procs,
                      size_t nprocs, const pmix_info_t* infos, size_t ninfo,
                      pmix_info_cbfunc_t callback, void* cbdata) {
  return Guarded([&]() -> pmix_status_t {
    if (operation != PMIX_GROUP_CONSTRUCT && operation != PMIX_GROUP_DESTRUCT) {
      return PMIX_ERR_NOT_SUPPORTED;
    }
    Group group;
    group.operation = operation == PMIX_GROUP_CONSTRUCT ? Group::Operation::kConstruct
                                                        : Group::Operation::kDestruct;
    group.id = id;
    group.members = FromPmix(procs, nprocs);
    group.want_context = IsTrue(infos, ninfo, PMIX_GROUP_ASSIGN_CONTEXT_ID);
    group.timeout = TimeoutOf(infos, ninfo);
    group.data = DataOf(infos, ninfo);
    Sink().Request(std::move(group), [callback, cbdata](const HostMessage& answer) {
      Deliver(answer, callback, cbdata);
    });
    return PMIX_SUCCESS;
  });
}

}  // namespace

void InstallGroupUpcall(pmix_server_module_t& module) { module.group = &OnGroup; }

}  // namespace rex::pmix
