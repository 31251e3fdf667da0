// PMIx_Spawn. Frees: nothing; libpmix owns all arguments until the callback, which copies the name.
//
// The namespace of the children is registered here before the answer comes (the agent's messages
// keep their order), so that libpmix finds its data for the parent.
#include <algorithm>

#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/progress_thread.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

std::string TextOf(const char* text) { return text == nullptr ? "" : text; }

std::vector<std::string> WordsOf(char** words) {
  std::vector<std::string> out;
  for (char** word = words; word != nullptr && *word != nullptr; ++word) out.emplace_back(*word);
  return out;
}

void TakeNumber(const pmix_value_t& value, SpawnInfo& out) {
  pmix_status_t status = PMIX_SUCCESS;
  PMIX_VALUE_GET_NUMBER(status, &value, out.number, int64_t);
  if (status == PMIX_SUCCESS) out.type = SpawnInfo::Type::kNumber;
}

void TakeEnvar(const pmix_envar_t& envar, SpawnInfo& out) {
  out.type = SpawnInfo::Type::kEnvar;
  out.text = TextOf(envar.envar);
  out.value = TextOf(envar.value);
  if (envar.separator != '\0') out.separator.assign(1, envar.separator);
}

SpawnInfo FromInfo(const pmix_info_t& info) {
  SpawnInfo out;
  out.key.assign(info.key, strnlen(info.key, PMIX_MAX_KEYLEN));
  out.required = PMIX_INFO_IS_REQUIRED(&info);
  out.optional = PMIX_INFO_IS_OPTIONAL(&info);
  switch (info.value.type) {
    case PMIX_STRING:
      out.type = SpawnInfo::Type::kText;
      out.text = TextOf(info.value.data.string);
      break;
    case PMIX_UNDEF:  // a key without a value is true
    case PMIX_BOOL:
      out.type = SpawnInfo::Type::kNumber;
      out.number = PMIX_INFO_TRUE(&info) ? 1 : 0;
      break;
    case PMIX_ENVAR:
      TakeEnvar(info.value.data.envar, out);
      break;
    case PMIX_PROC_RANK:
      out.type = SpawnInfo::Type::kNumber;
      out.number = info.value.data.rank;
      break;
    case PMIX_PROC:
      if (info.value.data.proc == nullptr) break;
      out.type = SpawnInfo::Type::kNumber;
      out.number = info.value.data.proc->rank;
      break;
    default:
      TakeNumber(info.value, out);
  }
  return out;
}

std::vector<SpawnInfo> FromInfos(const pmix_info_t* infos, size_t count) {
  std::vector<SpawnInfo> out;
  for (size_t i = 0; infos != nullptr && i < count; ++i) out.push_back(FromInfo(infos[i]));
  return out;
}

SpawnApp FromApp(const pmix_app_t& app) {
  SpawnApp out;
  out.argv = WordsOf(app.argv);
  out.program = TextOf(app.cmd);
  if (out.program.empty() && !out.argv.empty()) out.program = out.argv[0];
  if (out.argv.empty()) out.argv.push_back(out.program);
  out.env = WordsOf(app.env);
  out.cwd = TextOf(app.cwd);
  out.ranks = static_cast<uint32_t>(std::max(app.maxprocs, 0));
  out.infos = FromInfos(app.info, app.ninfo);
  return out;
}

void Deliver(const HostMessage& answer, pmix_spawn_cbfunc_t callback, void* cbdata) {
  const auto* done = std::get_if<SpawnDone>(&answer);
  const std::string name = done == nullptr ? "" : done->name_space;
  OnProgressThread([callback, cbdata, name, status = StatusOf(answer)] {
    pmix_nspace_t name_space;
    PMIX_LOAD_NSPACE(name_space, name.c_str());
    callback(status, name_space, cbdata);
  });
}

pmix_status_t OnSpawn(const pmix_proc_t* proc, const pmix_info_t* infos, size_t ninfo,
                      const pmix_app_t* apps, size_t napps, pmix_spawn_cbfunc_t callback,
                      void* cbdata) {
  return Guarded([&]() -> pmix_status_t {
    Spawn spawn;
    spawn.proc = FromPmix(*proc);
    spawn.infos = FromInfos(infos, ninfo);
    for (size_t i = 0; i < napps; ++i) spawn.apps.push_back(FromApp(apps[i]));
    if (spawn.apps.empty()) return PMIX_ERR_BAD_PARAM;
    Sink().Request(std::move(spawn), [callback, cbdata](const HostMessage& answer) {
      Deliver(answer, callback, cbdata);
    });
    return PMIX_SUCCESS;
  });
}

}  // namespace

void InstallSpawnUpcall(pmix_server_module_t& module) { module.spawn = &OnSpawn; }

}  // namespace rex::pmix
