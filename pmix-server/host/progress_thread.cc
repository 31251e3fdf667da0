#include "pmix-server/host/progress_thread.h"

#include <pmix_server.h>

#include <memory>

// pmix_progress_threads.c of libpmix 4.2.2; without a name, the shared thread's base. Absent: null.
extern "C" __attribute__((weak)) event_base* pmix_progress_thread_init(const char* name);

namespace rex::pmix {

event_base* ProgressBase() {
  return pmix_progress_thread_init == nullptr ? nullptr : pmix_progress_thread_init(nullptr);
}

namespace {
void RunTask(pmix_status_t /*status*/, void* cbdata) noexcept {
  const std::unique_ptr<std::function<void()>> task(static_cast<std::function<void()>*>(cbdata));
  (*task)();
}
}  // namespace

void OnProgressThread(std::function<void()> task) {
  auto owned = std::make_unique<std::function<void()>>(std::move(task));
  pmix_proc_t nobody;
  PMIX_LOAD_PROCID(&nobody, "rex-nobody", 0);
  PMIx_server_deregister_client(&nobody, &RunTask, owned.release());
}

}  // namespace rex::pmix
