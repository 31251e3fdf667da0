// libpmix's own thread: the event base that it runs, and a way onto it.
#pragma once

#include <functional>

struct event_base;

namespace rex::pmix {

// The base that libpmix's progress thread runs, with locks; nullptr when this libpmix keeps it to
// itself. After PMIx_server_init.
//
// Why: with a loop of our own every call of a rank wakes two threads on its way to the agent, and
// two on its way back; on one base it is one each. libpmix 4.2.2 exports the function but has no
// header for it, and takes no base of ours (it ignores PMIX_EVENT_BASE).
event_base* ProgressBase();

// Runs `task` on libpmix's progress thread, soon, in the order of the calls. Any thread may call it
// once PMIx_server_init has returned; `task` must not throw or block.
//
// Why: the answers to lookup, query, log, job control and notification (libpmix 4.2.2,
// pmix_server.c: lookup_cbfunc and its like) queue their reply on a connection without a lock,
// which is sound on that thread alone. libpmix has no call that says "run this"; deregistering a
// process that it does not know does nothing else.
void OnProgressThread(std::function<void()> task);

}  // namespace rex::pmix
