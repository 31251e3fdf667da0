// rexd-spawner: makes ranks by fork and exec for one agent. Protocol: template_proto.h.
//
// Started by the agent as `rexd-spawner --agent-fd=N`; ends at end of file there, or with the agent
// (PR_SET_PDEATHSIG). One thread, static, libc only: it is cloned once per rank, so what it maps
// and holds is what each birth costs.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "launcher/template/maker_core.h"
#include "launcher/template/raw_sys.h"

namespace {

constexpr int kUsageExit = 2;

[[noreturn]] void Die(const char* text) {
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text, ::strlen(text));
  ::_exit(kUsageExit);
}

int AgentFd(int argc, char** argv) {
  static constexpr char kOption[] = "--agent-fd=";
  if (argc != 2 || ::strncmp(argv[1], kOption, sizeof kOption - 1) != 0) return -1;
  char* end = nullptr;
  const long fd = ::strtol(argv[1] + sizeof kOption - 1, &end, 10);
  return *end == '\0' && fd > 2 && fd < 1 << 20 ? static_cast<int>(fd) : -1;
}

// argv and the common environment as execve wants them, in one mapping for the life of a batch.
struct Vectors {
  void* at = nullptr;
  size_t bytes = 0;
};

int BuildVectors(void* self, rex::RankContext* context) {
  auto* arena = static_cast<Vectors*>(self);
  const rex_blob_header& header = *context->view.header;
  const size_t env = size_t{header.common_env_count} + rex::LongestOwnEnv(context->view) + 1;
  arena->bytes = (size_t{header.argc} + 1 + env) * sizeof(char*);
  const long at = rex::sys::Call(rex::sys::kMmap, 0, static_cast<long>(arena->bytes),
                                 rex::sys::kProtRead | rex::sys::kProtWrite,
                                 rex::sys::kMapPrivate | rex::sys::kMapAnonymous, -1, 0);
  if (rex::sys::IsMapFailure(at)) return static_cast<int>(-at);
  arena->at = reinterpret_cast<void*>(at);
  char** next = static_cast<char**>(arena->at);
  const uint64_t* words = context->view.Words(header.argv);
  context->argv = next;
  for (uint32_t i = 0; i < header.argc; ++i) {
    *next++ = const_cast<char*>(context->view.String(words[i]));
  }
  *next++ = nullptr;
  const uint64_t* common = context->view.Words(header.common_env);
  context->envp = next;
  for (uint32_t i = 0; i < header.common_env_count; ++i) {
    *next++ = const_cast<char*>(context->view.String(common[i]));
  }
  return 0;
}

void DropVectors(void* self, rex::RankContext*) {
  auto* arena = static_cast<Vectors*>(self);
  if (arena->at != nullptr) {
    rex::sys::Call(rex::sys::kMunmap, rex::sys::Address(arena->at),
                   static_cast<long>(arena->bytes));
  }
  *arena = Vectors{};
}

void AddOwnEnv(const rex::RankContext& context, uint32_t index) {
  const rex_blob_rank& rank = context.view.ranks[index];
  const uint64_t* own = context.view.Words(rank.env);
  char** next = context.envp + context.view.header->common_env_count;
  for (uint32_t i = 0; i < rank.env_count; ++i) {
    *next++ = const_cast<char*>(context.view.String(own[i]));
  }
  *next = nullptr;
}

[[noreturn]] void RunRank(const rex::BornRank& born) {
  const rex::RankContext& context = born.context;
  rex::PrepareRank(context, born.index);
  AddOwnEnv(context, born.index);
  rex::AwaitGate(context.gate);
  const long error = rex::sys::Call(
      rex::sys::kExecve, rex::sys::Address(context.view.String(context.view.header->path)),
      rex::sys::Address(context.argv), rex::sys::Address(context.envp));
  rex::FailRank(context, born.index, REX_PHASE_EXEC, static_cast<int>(-error));
}

}  // namespace

int main(int argc, char** argv) {
  const int socket = AgentFd(argc, argv);
  if (socket < 0) Die("rexd-spawner: started by rexd-agent only, with --agent-fd=N\n");
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  rex::sys::ResetSignals();
  const int null_device = rex::ArrangeDescriptors(socket);
  if (null_device < 0) Die("rexd-spawner: /dev/null can't be opened read-write\n");
  Vectors vectors;
  rex::MakerKind kind;
  kind.self = &vectors;
  kind.prepare = BuildVectors;
  kind.finish = DropVectors;
  rex::BornRank born;
  if (rex::ServeBatches(socket, null_device, kind, &born)) RunRank(born);
  return 0;
}
