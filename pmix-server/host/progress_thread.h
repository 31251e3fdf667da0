// A way onto libpmix's own thread.
#pragma once

#include <functional>

namespace rex::pmix {

// Runs `task` on libpmix's progress thread, soon, in the order of the calls. Any thread may call it
// once PMIx_server_init has returned; `task` must not throw or block.
//
// Why: the answers to lookup, query, log, job control and notification (libpmix 4.2.2,
// pmix_server.c: lookup_cbfunc and its like) queue their reply on a connection without a lock,
// which is sound on that thread alone. libpmix has no call that says "run this"; deregistering a
// process that it does not know does nothing else.
void OnProgressThread(std::function<void()> task);

}  // namespace rex::pmix
