#include "pmix-server/host/pmix_values.h"

#include <pmix.h>
#include <string.h>

#include <cstdlib>

namespace rex::pmix {

namespace {

// Owns a pmix_data_buffer_t.
class Buffer {
 public:
  Buffer() { PMIX_DATA_BUFFER_CONSTRUCT(&buffer_); }
  // libpmix wants malloc'ed memory that it may free.
  explicit Buffer(const std::string& bytes) : Buffer() {
    char* copy = static_cast<char*>(std::malloc(bytes.size() + 1));
    REX_CHECK(copy != nullptr);
    memcpy(copy, bytes.data(), bytes.size());
    PMIX_DATA_BUFFER_LOAD(&buffer_, copy, bytes.size());
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { PMIX_DATA_BUFFER_DESTRUCT(&buffer_); }

  pmix_data_buffer_t* get() { return &buffer_; }
  std::string bytes() const { return std::string(buffer_.base_ptr, buffer_.bytes_used); }

 private:
  pmix_data_buffer_t buffer_;
};

std::string Pack(const void* items, size_t count, pmix_data_type_t type) {
  Buffer buffer;
  const auto status = PMIx_Data_pack(nullptr, buffer.get(), const_cast<void*>(items),
                                     static_cast<int32_t>(count), type);
  return status == PMIX_SUCCESS ? buffer.bytes() : std::string();
}

bool Unpack(const std::string& bytes, void* items, size_t count, pmix_data_type_t type) {
  Buffer buffer(bytes);
  int32_t n = static_cast<int32_t>(count);
  const auto status = PMIx_Data_unpack(nullptr, buffer.get(), items, &n, type);
  return status == PMIX_SUCCESS && n == static_cast<int32_t>(count);
}

pmix_data_array_t* MakeArray(size_t count, pmix_data_type_t type) {
  pmix_data_array_t* array = nullptr;
  PMIX_DATA_ARRAY_CREATE(array, count, type);
  REX_CHECK(array != nullptr && (array->array != nullptr || count == 0));
  return array;
}

void SetArray(pmix_info_t* info, pmix_data_array_t* array) {
  info->value.type = PMIX_DATA_ARRAY;
  info->value.data.darray = array;
}

}  // namespace

InfoList& InfoList::operator=(InfoList&& other) noexcept {
  if (this != &other) {
    Clear();
    items_.swap(other.items_);
  }
  return *this;
}

void InfoList::Clear() {
  for (pmix_info_t& info : items_) PMIX_INFO_DESTRUCT(&info);
  items_.clear();
}

pmix_info_t* InfoList::Append(const char* key) {
  pmix_info_t* info = &items_.emplace_back();
  memset(info, 0, sizeof *info);
  PMIX_LOAD_KEY(info->key, key);
  return info;
}

void InfoList::AddString(const char* key, const std::string& value) {
  PMIx_Value_load(&Append(key)->value, value.c_str(), PMIX_STRING);
}
void InfoList::AddUint32(const char* key, uint32_t value) {
  PMIx_Value_load(&Append(key)->value, &value, PMIX_UINT32);
}
void InfoList::AddInt(const char* key, int value) {
  PMIx_Value_load(&Append(key)->value, &value, PMIX_INT);
}
void InfoList::AddUint16(const char* key, uint16_t value) {
  PMIx_Value_load(&Append(key)->value, &value, PMIX_UINT16);
}
void InfoList::AddSize(const char* key, size_t value) {
  PMIx_Value_load(&Append(key)->value, &value, PMIX_SIZE);
}
void InfoList::AddBool(const char* key, bool value) {
  PMIx_Value_load(&Append(key)->value, &value, PMIX_BOOL);
}
void InfoList::AddRank(const char* key, uint32_t value) {
  PMIx_Value_load(&Append(key)->value, &value, PMIX_PROC_RANK);
}
void InfoList::AddRegex(const char* key, const char* regex) {
  PMIx_Value_load(&Append(key)->value, regex, PMIX_REGEX);
}

void InfoList::AddInfos(const char* key, InfoList infos) {
  pmix_data_array_t* array = MakeArray(infos.size(), PMIX_INFO);
  // The array now owns what the infos point to: a C structure is moved by copying its bytes.
  memcpy(array->array, infos.data(), infos.size() * sizeof(pmix_info_t));
  infos.items_.clear();
  SetArray(Append(key), array);
}

void InfoList::AddBytes(const char* key, std::string_view bytes) {
  pmix_byte_object_t object{const_cast<char*>(bytes.data()), bytes.size()};
  PMIx_Value_load(&Append(key)->value, &object, PMIX_BYTE_OBJECT);
}

void InfoList::AddProc(const char* key, const ProcId& proc) {
  const pmix_proc_t id = ToPmix(proc);
  PMIx_Value_load(&Append(key)->value, &id, PMIX_PROC);
}

void InfoList::AddProcs(const char* key, const std::vector<ProcId>& procs) {
  pmix_data_array_t* array = MakeArray(procs.size(), PMIX_PROC);
  auto* out = static_cast<pmix_proc_t*>(array->array);
  for (const ProcId& proc : procs) *out++ = ToPmix(proc);
  SetArray(Append(key), array);
}

void InfoList::AddProcStates(const char* key, const std::vector<ProcState>& states) {
  pmix_data_array_t* array = MakeArray(states.size(), PMIX_PROC_INFO);
  auto* out = static_cast<pmix_proc_info_t*>(array->array);
  for (const ProcState& state : states) {
    out->proc = ToPmix(state.proc);
    out->hostname = strdup(state.node.c_str());
    out->executable_name = strdup(state.program.c_str());
    out->pid = static_cast<pid_t>(state.pid);
    out->exit_code = state.exit_code;
    out->state = static_cast<pmix_proc_state_t>(state.state);
    ++out;
  }
  SetArray(Append(key), array);
}

void InfoList::AddTopology(const char* key, pmix_topology_t* topology) {
  // Not PMIx_Value_load: that would copy the topology. The caller's outlives this list, and the
  // value must not be freed with it, so it goes in as a value without an owner.
  pmix_info_t* info = Append(key);
  info->value.type = PMIX_TOPO;
  info->value.data.topo = topology;
  info->flags |= PMIX_INFO_PERSISTENT;
}

bool InfoList::AddPacked(const std::string& bytes, uint32_t count) {
  if (count == 0) return true;
  InfoList taken;
  taken.items_.resize(count);
  memset(taken.items_.data(), 0, count * sizeof(pmix_info_t));
  if (!Unpack(bytes, taken.items_.data(), count, PMIX_INFO)) return false;
  items_.insert(items_.end(), taken.items_.begin(), taken.items_.end());
  taken.items_.clear();
  return true;
}

pmix_proc_t ToPmix(const ProcId& proc) {
  pmix_proc_t out;
  PMIX_LOAD_PROCID(&out, proc.name_space.c_str(), proc.rank);
  return out;
}

ProcId FromPmix(const pmix_proc_t& proc) {
  return ProcId{std::string(proc.nspace, strnlen(proc.nspace, PMIX_MAX_NSLEN)), proc.rank};
}

std::vector<ProcId> FromPmix(const pmix_proc_t* procs, size_t count) {
  std::vector<ProcId> out;
  for (size_t i = 0; procs != nullptr && i < count; ++i) out.push_back(FromPmix(procs[i]));
  return out;
}

std::string PackValue(const pmix_value_t& value) { return Pack(&value, 1, PMIX_VALUE); }

std::string PackInfos(const pmix_info_t* infos, size_t count) {
  return count == 0 ? std::string() : Pack(infos, count, PMIX_INFO);
}

bool UnpackValue(const std::string& bytes, pmix_value_t* value) {
  memset(value, 0, sizeof *value);
  return Unpack(bytes, value, 1, PMIX_VALUE);
}

}  // namespace rex::pmix
