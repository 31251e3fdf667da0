/* librexspawn: a program without MPI creates copies of another, waits for any of them, signals them
 * and reads how they ended. rexspawn(3).
 *
 * The program is started by rexlaunch, on any node (`rexlaunch -n 1 ./manager`), or otherwise: then
 * it connects to a DVM that `rexctl start` has started here, as a tool. What it creates are jobs:
 * placed by rex on the nodes of the DVM, forked from templates, shown below it by
 * `rexctl ps --tree`; their output is rexlaunch's, a tool's its own. Their ends are no failures of
 * anybody: the program decides. They end with the process that created them (a tool's with its
 * connection), unless they are detached; rexlaunch ends when all have.
 *
 * Any thread may call; calls of one connection take turns but for rexspawn_wait. Functions return
 * 0, or -1 and leave a line in rexspawn_error. Not to be mixed with MPI in one process.
 */
#ifndef REXSPAWN_H
#define REXSPAWN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define REXSPAWN_API __attribute__((visibility("default")))
#else
#define REXSPAWN_API
#endif

typedef struct rexspawn rexspawn_t;
typedef uint32_t rexspawn_job_t; /* 1, 2, ...: of this connection */

#define REXSPAWN_ANY ((rexspawn_job_t)0)
#define REXSPAWN_ALL (-1)

typedef struct {
  const char* const* argv; /* NULL at its end; argv[0] is looked up as rexlaunch does */
  const char* const* env;  /* NAME=VALUE over the caller's job's, NULL at its end; or NULL */
  const char* dir;         /* NULL: where the caller is */
  const char* hosts;       /* "n1,n2": only these nodes of the DVM; NULL: any with free slots */
  uint32_t copies;         /* at least 1 */
  int detached;            /* not 0: they may outlive the caller */
} rexspawn_request_t;

typedef struct {
  rexspawn_job_t job;
  uint32_t copy; /* 0 to copies - 1 */
  int exit_code; /* 0 to 255 when signal is 0 */
  int signal;    /* that ended it; 0: it exited */
} rexspawn_end_t;

/* NULL: rexspawn_error() says why. A process that rexlaunch has started: to its own DVM. Another:
 * to the one that PMIX_SERVER_URI, PMIX_TOOL_ATTACHMENT_FILE or REX_DVM names, or the user's only
 * one on this machine. One connection in a process at a time. */
REXSPAWN_API rexspawn_t* rexspawn_open(void);
/* To the DVM of that name (`rexctl start --name`); NULL: as rexspawn_open. Not for a process that
 * rexlaunch has started. */
REXSPAWN_API rexspawn_t* rexspawn_open_dvm(const char* dvm);
/* Returns when every copy runs; a program that can't be started, or no free slots, is an error and
 * creates nothing. */
REXSPAWN_API int rexspawn_start(rexspawn_t* connection, const rexspawn_request_t* request,
                                rexspawn_job_t* job);
/* The next end of a copy, each once: 1 and *end, 0 when timeout_ms (-1: for ever) is over. -1 when
 * nothing is left to wait for. */
REXSPAWN_API int rexspawn_wait(rexspawn_t* connection, rexspawn_job_t job, int timeout_ms,
                               rexspawn_end_t* end);
/* To one copy, or REXSPAWN_ALL; its whole process group gets it. */
REXSPAWN_API int rexspawn_signal(rexspawn_t* connection, rexspawn_job_t job, int64_t copy,
                                 int signo);
/* Copies that still run of that job, or of all. */
REXSPAWN_API uint32_t rexspawn_running(rexspawn_t* connection, rexspawn_job_t job);
/* Before exit, or rexlaunch takes the caller's end for a failure. Ends nobody, but of a tool what
 * is not detached; of what has ended all output is out then. */
REXSPAWN_API void rexspawn_close(rexspawn_t* connection);
/* Of this thread's last call that failed; valid until its next. */
REXSPAWN_API const char* rexspawn_error(void);

#ifdef __cplusplus
}
#endif

#endif
