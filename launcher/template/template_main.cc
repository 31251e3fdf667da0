// librex_template.so: turns the process it is preloaded into into a template.
// docs/design/template.md.
//
// Its only entry is the constructor below, which ld.so calls before all others (-z initfirst), when
// everything is mapped and relocated and nothing initialised: no libc, no environ, no stdio.
// Without REX_TEMPLATE_FD in the environment it only gives an exec'ed rank its own environment back
// (REX_KEEP_NAME in template_proto.h). In the template it never returns; in
// each rank it returns once, and ld.so goes on with the rank's own start-up.
#include "launcher/template/data_symbol.h"
#include "launcher/template/elf_abi.h"
#include "launcher/template/maker_core.h"
#include "launcher/template/raw_sys.h"
#include "launcher/template/template_stack.h"

extern "C" __attribute__((visibility("hidden"))) const rex::elf::Dynamic _DYNAMIC[];

namespace rex {
namespace {

// What a rank has to set up once more after its clone, as glibc's own fork does.
struct ThreadState {
  void* tid = nullptr;
  void* robust_list = nullptr;
  size_t robust_bytes = 0;
};

TemplateStack g_stack;

// Open MPI's own "give the core away while waiting", a bool of libopen-pal; null where there is
// none. It looks at OMPI_MCA_mpi_yield_when_idle at the very end of MPI_Init (4.1.4,
// ompi_mpi_init.c), and its parameter for the time before, opal_progress_yield_when_idle, is never
// registered (opal_params.c asks for HAVE_SCHED_YIELD, configure defines OPAL_HAVE_SCHED_YIELD). So
// children of a spawn, which communicate inside MPI_Init, wait without yielding whatever they are
// told: 32 on 2 cores took 2.4 s for what takes 0.3 s.
unsigned char* g_yields = nullptr;

bool StartsWith(const char* text, const char* prefix) {
  while (*prefix != '\0') {
    if (*text++ != *prefix++) return false;
  }
  return true;
}

bool IsSanitizer(const char* path) {
  const char* name = path;
  for (const char* at = path; *at != '\0'; ++at) {
    if (*at == '/') name = at + 1;
  }
  static constexpr char kPrefixes[][14] = {"libasan.so", "libtsan.so",   "libubsan.so",
                                           "liblsan.so", "libhwasan.so", "libclang_rt."};
  for (const auto& prefix : kPrefixes) {
    if (StartsWith(name, prefix)) return true;
  }
  return false;
}

bool WantsFirstCall(const elf::Dynamic* dynamic) {
  for (; dynamic->tag != elf::kDtNull; ++dynamic) {
    if (dynamic->tag == elf::kDtFlags1) return (dynamic->value & elf::kDf1Initfirst) != 0;
  }
  return false;
}

// ld.so's list of mapped objects, found as a debugger does; null when it is not there.
const elf::LinkMap* FindLinkMap(const TemplateStack& stack) {
  const auto* header = reinterpret_cast<const elf::ProgramHeader*>(stack.AuxValue(elf::kAuxPhdr));
  const uint64_t count = stack.AuxValue(elf::kAuxPhnum);
  const elf::ProgramHeader* self = nullptr;
  const elf::ProgramHeader* dynamic = nullptr;
  for (uint64_t i = 0; header != nullptr && i < count; ++i) {
    if (header[i].type == elf::kPtPhdr) self = &header[i];
    if (header[i].type == elf::kPtDynamic) dynamic = &header[i];
  }
  if (self == nullptr || dynamic == nullptr) return nullptr;
  const uint64_t base = reinterpret_cast<uint64_t>(header) - self->address;
  const auto* entry = reinterpret_cast<const elf::Dynamic*>(base + dynamic->address);
  for (; entry->tag != elf::kDtNull; ++entry) {
    if (entry->tag != elf::kDtDebug || entry->value == 0) continue;
    return reinterpret_cast<const elf::DebugState*>(entry->value)->map;
  }
  return nullptr;
}

rex_template_fitness JudgeObjects(const TemplateStack& stack) {
  const elf::LinkMap* object = FindLinkMap(stack);
  if (object == nullptr) return REX_TEMPLATE_LAYOUT;
  for (; object != nullptr; object = object->next) {
    if (object->dynamic == _DYNAMIC || object->dynamic == nullptr) continue;
    if (WantsFirstCall(object->dynamic)) return REX_TEMPLATE_INITFIRST;
    if (IsSanitizer(object->name)) return REX_TEMPLATE_SANITIZER;
  }
  return REX_TEMPLATE_FIT;
}

// /proc/self/task has a link for each thread beside its own two.
bool HasOneThread() {
  constexpr long kLinkCount = 4;  // STATX_NLINK
  constexpr uint32_t kLinksOfOne = 3;
  struct {
    uint32_t mask, block_bytes;
    uint64_t attributes;
    uint32_t links;
    uint32_t rest[64];
  } info{};
  static_assert(sizeof info >= 256);
  const long done = sys::Call(sys::kStatx, sys::kAtFdcwd, sys::Address("/proc/self/task"), 0,
                              kLinkCount, sys::Address(&info));
  return done == 0 && info.links == kLinksOfOne;
}

// The agent gave us a memory file for what ld.so has to say.
bool SomethingWasPrinted() { return sys::Call(sys::kLseek, 2, 0, sys::kSeekEnd) > 0; }

bool KernelSupports(ThreadState* state) {
  if (sys::Call(sys::kPrctl, sys::kPrGetTidAddress, sys::Address(&state->tid)) != 0) return false;
  if (state->tid == nullptr) return false;
  if (sys::Call(sys::kCloseRange, 0xffffffffL, 0xffffffffL, 0) != 0) return false;
  return sys::Call(sys::kGetRobustList, 0, sys::Address(&state->robust_list),
                   sys::Address(&state->robust_bytes)) == 0;
}

rex_template_fitness JudgeAll(const TemplateStack& stack, ThreadState* state) {
  if (!KernelSupports(state)) return REX_TEMPLATE_NO_KERNEL_SUPPORT;
  if (const rex_template_fitness objects = JudgeObjects(stack)) return objects;
  if (SomethingWasPrinted()) return REX_TEMPLATE_NOISE;
  return HasOneThread() ? REX_TEMPLATE_FIT : REX_TEMPLATE_THREADS;
}

bool Greet(int socket, rex_template_fitness fitness) {
  const rex_template_hello hello{REX_BATCH_MAGIC, REX_BATCH_VERSION, fitness, 0};
  return sys::Call(sys::kSendto, socket, sys::Address(&hello), sizeof hello, sys::kMsgNosignal) ==
         sizeof hello;
}

int PrepareBatch(void*, RankContext* context) {
  return HasOneThread() && g_stack.Fits(context->view) ? 0 : REX_BATCH_UNFIT;
}
void FinishBatch(void*, RankContext*) {}

// What the rank's environment asks for holds from its start.
void YieldEarly() {
  if (g_yields == nullptr) return;
  const char* asked = g_stack.Find("OMPI_MCA_mpi_yield_when_idle=");
  if (asked != nullptr && asked[0] == '1' && asked[1] == '\0') *g_yields = 1;
}

void Become(const BornRank& born, const ThreadState& state) {
  const RankContext& context = born.context;
  sys::Call(sys::kSetRobustList, sys::Address(state.robust_list),
            static_cast<long>(state.robust_bytes));
  PrepareRank(context, born.index);
  g_stack.Become(context.view, born.index);
  YieldEarly();
  sys::Call(sys::kMunmap, sys::Address(context.view.base), static_cast<long>(context.blob_bytes));
  AwaitGate(context.gate);
  sys::Call(sys::kClose, context.gate);
  sys::Call(sys::kClose, context.report);  // the last one tells the agent that all are born
}

// The number behind the variable's name; -1 when there is none.
int SocketNumber(const char* text) {
  if (text == nullptr) return -1;
  int number = 0;
  for (; *text >= '0' && *text <= '9' && number < 1 << 20; ++text) {
    number = number * 10 + (*text - '0');
  }
  return *text == '\0' && number > 2 ? number : -1;
}

// "NAME=" of two entries is the same.
bool SameName(const char* a, const char* b) {
  for (; *a == *b; ++a, ++b) {
    if (*a == '=') return true;
    if (*a == '\0') return false;
  }
  return false;
}

// Takes the entries out for which `gone` holds.
template <typename F>
void RemoveEntries(char** envp, F gone) {
  char** to = envp;
  for (char** from = envp; *from != nullptr; ++from) {
    if (!gone(*from)) *to++ = *from;
  }
  *to = nullptr;
}

// Programs that walk the stack find the auxiliary vector behind the shorter environment, too. ld.so
// keeps to the old one. `entries`: of the environment before.
void MoveAux(char** envp, size_t entries) {
  size_t left = 0;
  while (envp[left] != nullptr) ++left;
  const elf::Aux* from = g_stack.aux();
  size_t count = 0;
  while (from[count++].type != elf::kAuxNull) {
  }
  if ((entries - left) * sizeof(char*) < count * sizeof(elf::Aux)) return;
  auto* to = reinterpret_cast<uint64_t*>(envp + left + 1);
  for (size_t i = 0; i < count; ++i) {
    *to++ = from[i].type;
    *to++ = from[i].value;
  }
}

// ld.so has done its search: what follows sees the environment as the user made it.
void RestoreEnvironment(char** envp) {
  size_t entries = 0;
  while (envp[entries] != nullptr) ++entries;
  constexpr size_t kNameBytes = sizeof(REX_KEEP_NAME) - 1;
  static_assert(sizeof(REX_KEEP_NAME) == sizeof(REX_DROP_NAME));
  for (size_t i = 0; envp[i] != nullptr;) {
    const bool keep = StartsWith(envp[i], REX_KEEP_NAME);
    if (!keep && !StartsWith(envp[i], REX_DROP_NAME)) {
      ++i;
      continue;
    }
    char* const order = envp[i];
    char* const own = order + kNameBytes;
    for (size_t j = 0; keep && envp[j] != nullptr; ++j) {
      if (SameName(envp[j], own)) envp[j] = own;
    }
    RemoveEntries(envp, [order, own, keep](const char* entry) {
      return entry == order || (!keep && SameName(entry, own));
    });
    i = 0;
  }
  RemoveEntries(envp, [](const char* entry) { return StartsWith(entry, REX_TEMPLATE_PAD_NAME); });
  MoveAux(envp, entries);
}

void Start(int, char**, char** envp) {
  const bool sound = g_stack.Read(envp);
  const int socket = SocketNumber(g_stack.Find(REX_TEMPLATE_FD_NAME));
  if (socket < 0) return RestoreEnvironment(envp);
  sys::Call(sys::kPrctl, sys::kPrSetPdeathsig, sys::kSigKill);
  ThreadState state;
  const rex_template_fitness fitness = sound ? JudgeAll(g_stack, &state) : REX_TEMPLATE_LAYOUT;
  const int null_device = ArrangeDescriptors(socket);
  if (!Greet(socket, fitness) || fitness != REX_TEMPLATE_FIT || null_device < 0) sys::Exit(1);
  sys::ResetSignals();
  g_stack.ClearSpare();
  g_yields = static_cast<unsigned char*>(
      FindData(FindLinkMap(g_stack), "opal_progress_yield_when_idle", sizeof *g_yields));
  MakerKind kind;
  kind.prepare = PrepareBatch;
  kind.finish = FinishBatch;
  kind.child_tid = state.tid;
  kind.can_become = true;
  BornRank born;
  if (!ServeBatches(socket, null_device, kind, &born)) sys::Exit(0);
  Become(born, state);
}

__attribute__((section(".init_array"), used)) void (*const g_constructor)(int, char**,
                                                                          char**) = Start;

}  // namespace
}  // namespace rex

// The compiler may ask for these whatever it is told.
extern "C" {
void* memset(void* to, int byte, size_t bytes) {
  auto* at = static_cast<volatile unsigned char*>(to);
  while (bytes-- > 0) *at++ = static_cast<unsigned char>(byte);
  return to;
}
void* memcpy(void* to, const void* from, size_t bytes) {
  auto* at = static_cast<volatile unsigned char*>(to);
  const auto* source = static_cast<const unsigned char*>(from);
  while (bytes-- > 0) *at++ = *source++;
  return to;
}
}
