// PMIx_Publish, PMIx_Lookup, PMIx_Unpublish. Frees: nothing of libpmix's; the pdata array of a
// lookup is ours and is freed after the callback, which copies it into its reply.
#include <memory>

#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/progress_thread.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

constexpr const char* kDirectives[] = {
    PMIX_RANGE, PMIX_PERSISTENCE, PMIX_TIMEOUT,           PMIX_USERID,
    PMIX_GRPID, PMIX_WAIT,        PMIX_ACCESS_PERMISSIONS};

bool IsDirective(const pmix_info_t& info) {
  for (const char* key : kDirectives) {
    if (PMIX_CHECK_KEY(&info, key)) return true;
  }
  return false;
}

std::vector<std::string> TakeKeys(char** keys) {
  std::vector<std::string> out;
  for (char** key = keys; key != nullptr && *key != nullptr; ++key) out.emplace_back(*key);
  return out;
}

pmix_status_t OnPublish(const pmix_proc_t* proc, const pmix_info_t* infos, size_t ninfo,
                        pmix_op_cbfunc_t callback, void* cbdata) {
  return Guarded([&]() -> pmix_status_t {
    Publish publish;
    publish.proc = FromPmix(*proc);
    publish.range = NumberOf(infos, ninfo, PMIX_RANGE, PMIX_RANGE_SESSION);
    publish.persistence = NumberOf(infos, ninfo, PMIX_PERSISTENCE, PMIX_PERSIST_APP);
    publish.timeout = TimeoutOf(infos, ninfo);
    for (size_t i = 0; i < ninfo; ++i) {
      if (IsDirective(infos[i])) continue;
      std::string value = PackValue(infos[i].value);
      if (value.empty()) return PMIX_ERR_PACK_FAILURE;
      publish.items.push_back({infos[i].key, std::move(value), publish.proc});
    }
    if (publish.items.empty()) return PMIX_ERR_BAD_PARAM;
    Sink().Request(std::move(publish), AnswerOp(callback, cbdata));
    return PMIX_SUCCESS;
  });
}

// Owns the pdata array of an answer.
class Found {
 public:
  explicit Found(const std::vector<Published>& items) : items_(items.size()) {
    for (size_t i = 0; i < items.size(); ++i) {
      PMIX_PDATA_CONSTRUCT(&items_[i]);
      PMIX_LOAD_KEY(items_[i].key, items[i].key.c_str());
      items_[i].proc = ToPmix(items[i].owner);
      ok_ = UnpackValue(items[i].value, &items_[i].value) && ok_;
    }
  }
  Found(const Found&) = delete;
  Found& operator=(const Found&) = delete;
  ~Found() {
    for (auto& item : items_) PMIX_PDATA_DESTRUCT(&item);
  }
  bool ok() const { return ok_; }
  pmix_pdata_t* data() { return items_.data(); }
  size_t size() const { return items_.size(); }

 private:
  std::vector<pmix_pdata_t> items_;
  bool ok_ = true;
};

void Deliver(const HostMessage& answer, pmix_lookup_cbfunc_t callback, void* cbdata) {
  const auto* done = std::get_if<LookupDone>(&answer);
  const auto found =
      std::make_shared<Found>(done == nullptr ? std::vector<Published>{} : done->items);
  int32_t status = found->ok() ? StatusOf(answer) : PMIX_ERR_UNPACK_FAILURE;
  // libpmix 4.2.2 sends a lookup's data on success alone; keys that are missing show by their type.
  if (status == kErrPartialSuccess && found->size() > 0) status = kSuccess;
  OnProgressThread([callback, cbdata, status, found] {
    if (status == kSuccess) {
      callback(status, found->data(), found->size(), cbdata);
    } else {
      callback(status, nullptr, 0, cbdata);
    }
  });
}

pmix_status_t OnLookup(const pmix_proc_t* proc, char** keys, const pmix_info_t* infos, size_t ninfo,
                       pmix_lookup_cbfunc_t callback, void* cbdata) {
  return Guarded([&] {
    Lookup lookup;
    lookup.proc = FromPmix(*proc);
    lookup.keys = TakeKeys(keys);
    // PMIX_WAIT is the number of keys to wait for; 0, or a true, means all.
    if (const pmix_info_t* wait = FindInfo(infos, ninfo, PMIX_WAIT)) {
      const bool is_bool = wait->value.type == PMIX_BOOL;
      lookup.wait = !is_bool || PMIX_INFO_TRUE(wait);
      lookup.wait_count = is_bool ? 0 : NumberOf(infos, ninfo, PMIX_WAIT, 0);
    }
    if (lookup.wait_count > lookup.keys.size()) lookup.wait_count = 0;
    lookup.timeout = TimeoutOf(infos, ninfo);
    lookup.range = NumberOf(infos, ninfo, PMIX_RANGE, PMIX_RANGE_SESSION);
    Sink().Request(std::move(lookup), [callback, cbdata](const HostMessage& answer) {
      Deliver(answer, callback, cbdata);
    });
    return PMIX_SUCCESS;
  });
}

pmix_status_t OnUnpublish(const pmix_proc_t* proc, char** keys, const pmix_info_t* infos,
                          size_t ninfo, pmix_op_cbfunc_t callback, void* cbdata) {
  return Guarded([&] {
    Unpublish unpublish;
    unpublish.proc = FromPmix(*proc);
    unpublish.keys = TakeKeys(keys);
    unpublish.range = NumberOf(infos, ninfo, PMIX_RANGE, PMIX_RANGE_SESSION);
    Sink().Request(std::move(unpublish), AnswerOp(callback, cbdata));
    return PMIX_SUCCESS;
  });
}

}  // namespace

void InstallPublishUpcalls(pmix_server_module_t& module) {
  module.publish = &OnPublish;
  module.lookup = &OnLookup;
  module.unpublish = &OnUnpublish;
}

}  // namespace rex::pmix
