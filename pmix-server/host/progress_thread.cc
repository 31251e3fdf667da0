#include "pmix-server/host/progress_thread.h"

#include <pmix_server.h>

#include <memory>

namespace rex::pmix {

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
