// libpmix's C structures with an owner: lists of pmix_info_t, packed values, process names.
// Thread: any; nothing here is shared.
#pragma once

#include <pmix_common.h>

#include <cstdint>
#include <string>
#include <vector>

#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

// Owns an array of pmix_info_t with all that its values point to.
class InfoList {
 public:
  InfoList() = default;
  InfoList(InfoList&& other) noexcept : items_(std::move(other.items_)) { other.items_.clear(); }
  InfoList& operator=(InfoList&& other) noexcept;
  InfoList(const InfoList&) = delete;
  InfoList& operator=(const InfoList&) = delete;
  ~InfoList() { Clear(); }

  // `key` is one of libpmix's PMIX_... names.
  void AddString(const char* key, const std::string& value);
  void AddUint32(const char* key, uint32_t value);
  void AddInt(const char* key, int value);
  void AddUint16(const char* key, uint16_t value);
  void AddSize(const char* key, size_t value);
  void AddBool(const char* key, bool value);
  // The bytes are copied.
  void AddBytes(const char* key, std::string_view bytes);
  void AddRank(const char* key, uint32_t value);
  // `regex` is what PMIx_generate_regex or PMIx_generate_ppn gave; borrowed.
  void AddRegex(const char* key, const char* regex);
  // A nested array of infos (PMIX_PROC_DATA and the like).
  void AddInfos(const char* key, InfoList infos);
  void AddProc(const char* key, const ProcId& proc);
  void AddProcs(const char* key, const std::vector<ProcId>& procs);
  void AddProcStates(const char* key, const std::vector<ProcState>& states);
  // PMIX_TOPOLOGY2; `topology` is borrowed for as long as libpmix runs.
  void AddTopology(const char* key, pmix_topology_t* topology);
  // `count` infos, unpacked. False (and nothing added) when the bytes are malformed.
  bool AddPacked(const std::string& bytes, uint32_t count);

  pmix_info_t* data() { return items_.data(); }
  size_t size() const { return items_.size(); }

 private:
  pmix_info_t* Append(const char* key);
  void Clear();
  std::vector<pmix_info_t> items_;
};

pmix_proc_t ToPmix(const ProcId& proc);
ProcId FromPmix(const pmix_proc_t& proc);
std::vector<ProcId> FromPmix(const pmix_proc_t* procs, size_t count);

// Bytes that another node's libpmix unpacks. Empty when libpmix can't pack the value.
std::string PackValue(const pmix_value_t& value);
std::string PackInfos(const pmix_info_t* infos, size_t count);
// On success `value` owns what PMIX_VALUE_DESTRUCT frees.
bool UnpackValue(const std::string& bytes, pmix_value_t* value);

}  // namespace rex::pmix
