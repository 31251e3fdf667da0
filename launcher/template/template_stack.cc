#include "launcher/template/template_stack.h"

#include "launcher/template/raw_sys.h"

namespace rex {

namespace {
size_t Length(const char* text) {
  size_t n = 0;
  while (text[n] != '\0') ++n;
  return n;
}

bool StartsWith(const char* text, const char* prefix) {
  while (*prefix != '\0') {
    if (*text++ != *prefix++) return false;
  }
  return true;
}

size_t ListBytes(const BatchView& view, uint64_t list, uint32_t count) {
  const uint64_t* words = view.Words(list);
  size_t bytes = 0;
  for (uint32_t i = 0; i < count; ++i) bytes += Length(view.String(words[i])) + 1;
  return bytes;
}

// Copies the list's strings to `text` and their addresses to `entry`; both go on from there.
void PutList(const BatchView& view, uint64_t list, uint32_t count, char*** entry, char** text) {
  const uint64_t* words = view.Words(list);
  for (uint32_t i = 0; i < count; ++i) {
    *(*entry)++ = *text;
    const char* from = view.String(words[i]);
    while ((*(*text)++ = *from++) != '\0') {
    }
  }
}

// The whole number at `*at`, which is left behind it; decimal, maybe with a sign (ignored).
uint64_t TakeNumber(const char** at) {
  while (**at == ' ' || **at == '-') ++*at;
  uint64_t value = 0;
  while (**at >= '0' && **at <= '9') value = value * 10 + static_cast<uint64_t>(*(*at)++ - '0');
  return value;
}
}  // namespace

bool TemplateStack::Read(char** envp) {
  envp_ = envp;
  while (envp[slots_] != nullptr) ++slots_;
  aux_ = reinterpret_cast<const elf::Aux*>(envp + slots_ + 1);
  while (aux_[aux_count_++].type != elf::kAuxNull) {
  }
  if (slots_ == 0 || !ReadKernelMap()) return false;
  strings_ = reinterpret_cast<char*>(map_.env_start);
  room_ = map_.env_end - map_.env_start;
  used_ = room_;
  return map_.env_end > map_.env_start &&
         map_.env_start > reinterpret_cast<uint64_t>(aux_ + aux_count_ - 1);
}

uint64_t TemplateStack::AuxValue(uint64_t type) const {
  for (const elf::Aux* a = aux_; a->type != elf::kAuxNull; ++a) {
    if (a->type == type) return a->value;
  }
  return 0;
}

const char* TemplateStack::Find(const char* name) const {
  for (size_t i = 0; i < slots_ && envp_[i] != nullptr; ++i) {
    if (StartsWith(envp_[i], name)) return envp_[i] + Length(name);
  }
  return nullptr;
}

bool TemplateStack::Fits(const BatchView& view) const {
  const rex_blob_header& header = *view.header;
  const size_t aux_words = aux_count_ * sizeof(elf::Aux) / sizeof(char*);
  const size_t entries = size_t{header.common_env_count} + LongestOwnEnv(view);
  if (entries + aux_words > slots_) return false;
  const size_t common = ListBytes(view, header.common_env, header.common_env_count);
  for (uint32_t i = 0; i < header.count; ++i) {
    if (common + ListBytes(view, view.ranks[i].env, view.ranks[i].env_count) > room_) return false;
  }
  return true;
}

void TemplateStack::ClearSpare() {
  for (size_t i = 0; i < slots_; ++i) {
    if (!StartsWith(envp_[i], REX_TEMPLATE_PAD_NAME)) continue;
    for (char* at = envp_[i]; *at != '\0'; ++at) *at = '\0';
  }
  while (used_ > 0 && strings_[used_ - 1] == '\0') --used_;
}

void TemplateStack::Become(const BatchView& view, uint32_t index) const {
  char** entry = envp_;
  char* text = strings_;
  PutList(view, view.header->common_env, view.header->common_env_count, &entry, &text);
  PutList(view, view.ranks[index].env, view.ranks[index].env_count, &entry, &text);
  TellKernel(text);
  for (char* rest = text; rest < strings_ + used_; ++rest) *rest = '\0';
  *entry++ = nullptr;
  // ld.so keeps a pointer to the original, which stays; programs that walk the stack look here.
  const auto* word = reinterpret_cast<char* const*>(aux_);
  const auto* word_end = reinterpret_cast<char* const*>(aux_ + aux_count_);
  while (word < word_end) *entry++ = *word++;
  while (entry <= envp_ + slots_) *entry++ = nullptr;
  constexpr long kRandomBytes = 16;
  const uint64_t random = AuxValue(elf::kAuxRandom);
  if (random != 0) sys::Call(sys::kGetrandom, static_cast<long>(random), kRandomBytes, 0);
}

// Where /proc/PID/environ ends. Any user may say so where the kernel has checkpoint/restore
// (prctl(2), PR_SET_MM_MAP); elsewhere the file goes on with zero bytes.
void TemplateStack::TellKernel(const char* end) const {
  KernelMap map = map_;
  map.env_end = reinterpret_cast<uint64_t>(end);
  sys::Call(sys::kPrctl, sys::kPrSetMm, sys::kPrSetMmMap, sys::Address(&map), sizeof map, 0);
}

// The numbers that go with PR_SET_MM_MAP, from /proc/self/stat (proc(5): fields 26 to 28, 45 to
// 51).
bool TemplateStack::ReadKernelMap() {
  const long fd = sys::Call(sys::kOpenat, sys::kAtFdcwd, sys::Address("/proc/self/stat"),
                            sys::kORdonly | sys::kOCloexec, 0);
  if (fd < 0) return false;
  char text[2048];
  const long n = sys::Call(sys::kRead, fd, sys::Address(text), sizeof text - 1);
  sys::Call(sys::kClose, fd);
  if (n <= 0) return false;
  text[n] = '\0';
  const char* at = text + n;
  while (at > text && *at != ')') --at;  // the command may hold anything
  if (at == text) return false;
  at += 4;  // ") S " and the state's letter
  constexpr int kLast = 51;
  uint64_t field[kLast + 1] = {};
  for (int i = 4; i <= kLast; ++i) field[i] = TakeNumber(&at);
  map_.start_code = field[26];
  map_.end_code = field[27];
  map_.start_stack = field[28];
  map_.start_data = field[45];
  map_.end_data = field[46];
  map_.start_brk = field[47];
  map_.arg_start = field[48];
  map_.arg_end = field[49];
  map_.env_start = field[50];
  map_.env_end = field[51];
  map_.brk = static_cast<uint64_t>(sys::Call(sys::kBrk, 0));
  map_.exe_fd = ~uint32_t{0};
  return true;
}

}  // namespace rex
