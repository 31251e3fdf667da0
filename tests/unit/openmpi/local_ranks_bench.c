#include "local_ranks_bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher/openmpi/odls_rex.h"

#include "opal/class/opal_hash_table.h"
#include "opal/class/opal_pointer_array.h"
#include "opal/mca/event/event.h"
#include "opal/util/argv.h"
#include "orte/mca/state/state.h"
#include "orte/runtime/orte_globals.h"
#include "orte/util/proc_info.h"
#include "orte/util/show_help.h"

#define MOST_RANKS 16

struct rex_odls_settings rex_odls_settings;

static struct {
  orte_odls_base_fork_local_proc_fn_t fork_local;
  orte_job_t* job;
  orte_app_context_t* app;
  orte_proc_t* ranks[MOST_RANKS];
  void* births[MOST_RANKS]; /* handles, by rank, once they are added */
  struct rex_births_host host;
  int pipe[2];
} g;

/* ------------------------------ the births ------------------------------ */

struct rex_births* rex_births_new(const struct rex_births_host* host,
                                  const struct rex_births_files* files) {
  (void)files;
  g.host = *host;
  return (struct rex_births*)&g;
}
void rex_births_free(struct rex_births* births) { (void)births; }
int rex_births_fd(const struct rex_births* births) {
  (void)births;
  return g.pipe[0];
}
void rex_births_run(struct rex_births* births) { (void)births; }
void rex_births_expect(struct rex_births* births, const struct rex_birth_order* order) {
  (void)births;
  bench_tell("template of %s", order->path);
}
void rex_births_add(struct rex_births* births, const struct rex_birth_order* order) {
  const unsigned rank = (unsigned)atoi(order->argv[1]);
  (void)births;
  g.births[rank] = order->rank;
  if (order->stdin_fd >= 0) close(order->stdin_fd);
  if (order->stdout_fd >= 0) close(order->stdout_fd);
  if (order->stderr_fd >= 0) close(order->stderr_fd);
}
void rex_births_flush(struct rex_births* births) {
  (void)births;
  bench_tell("flush");
}
int rex_births_busy(const struct rex_births* births) {
  (void)births;
  return 0;
}

/* ------------------------------ binding ------------------------------ */

size_t rex_odls_memory_nodes(const struct rex_odls_birth* birth, uint64_t** words) {
  (void)birth;
  *words = NULL;
  return 0;
}
void rex_odls_report_once(struct rex_odls_birth* birth) { (void)birth; }
bool rex_odls_bind(struct rex_odls_birth* birth, pid_t pid, int stderr_fd) {
  (void)birth;
  (void)pid;
  (void)stderr_fd;
  return true;
}
void rex_odls_help(const char* file, const char* topic, ...) {
  (void)file;
  bench_tell("shown: %s", topic);
}

/* ------------------------------ in place of the system's and ORTE's ------------------------------
 */

int kill(pid_t pid, int signal_number) {
  bench_tell("kill %d of %s%d", signal_number, pid < 0 ? "group of " : "",
             abs(pid) - BENCH_FIRST_PID);
  return 0;
}

/* The way to our fork_local that needs nothing else of a daemon. */
int orte_odls_base_default_restart_proc(orte_proc_t* child,
                                        orte_odls_base_fork_local_proc_fn_t fork_local) {
  (void)child;
  g.fork_local = fork_local;
  return ORTE_SUCCESS;
}

int orte_show_help_norender(const char* file, const char* topic, bool error_header,
                            const char* output) {
  (void)file;
  (void)error_header;
  (void)output;
  bench_tell("shown: %s", topic);
  return ORTE_SUCCESS;
}

static void announced(orte_process_name_t* name, orte_proc_state_t state) {
  const char* text = state == ORTE_PROC_STATE_RUNNING           ? "RUNNING"
                     : state == ORTE_PROC_STATE_FAILED_TO_START ? "FAILED_TO_START"
                                                                : "?";
  bench_tell("%u: %s", name->vpid, text);
}

/* ------------------------------ the test's hand ------------------------------ */

void bench_open(void) {
  memset(&g, 0, sizeof g);
  bench_log_clear();
  rex_odls_settings.births = "template";
  if (pipe(g.pipe) != 0) abort();
  orte_event_base = opal_event_base_create();
  orte_state.activate_proc_state = announced;
  orte_process_info.nodename = "n1";
  orte_local_children = OBJ_NEW(opal_pointer_array_t);
  opal_pointer_array_init(orte_local_children, MOST_RANKS, MOST_RANKS, 1);
  orte_job_data = OBJ_NEW(opal_hash_table_t);
  opal_hash_table_init(orte_job_data, MOST_RANKS);
  g.job = OBJ_NEW(orte_job_t);
  g.job->jobid = BENCH_JOB;
  opal_hash_table_set_value_uint32(orte_job_data, BENCH_JOB, g.job);
  g.app = OBJ_NEW(orte_app_context_t);
  g.app->app = strdup("/bin/app");
  rex_odls_module.restart_proc(NULL);
}

void bench_close(void) {
  rex_odls_close();
  for (unsigned rank = 0; rank < MOST_RANKS; ++rank) {
    if (g.ranks[rank] != NULL) OBJ_RELEASE(g.ranks[rank]);
  }
  OBJ_RELEASE(g.app);
  opal_hash_table_remove_value_uint32(orte_job_data, BENCH_JOB);
  OBJ_RELEASE(orte_job_data);
  OBJ_RELEASE(orte_local_children);
  opal_event_base_free(orte_event_base);
  close(g.pipe[0]);
  close(g.pipe[1]);
}

static orte_proc_t* new_rank(unsigned rank) {
  orte_proc_t* child = OBJ_NEW(orte_proc_t);
  child->name.jobid = BENCH_JOB;
  child->name.vpid = rank;
  child->state = ORTE_PROC_STATE_INIT;
  ORTE_FLAG_SET(child, ORTE_PROC_FLAG_ALIVE);
  g.ranks[rank] = child;
  opal_pointer_array_set_item(orte_local_children, (int)rank, child);
  return child;
}

void bench_order(unsigned rank) {
  char word[16];
  orte_odls_spawn_caddy_t* caddy = OBJ_NEW(orte_odls_spawn_caddy_t);
  snprintf(word, sizeof word, "%u", rank);
  caddy->cmd = strdup("/bin/app");
  caddy->wdir = strdup("/");
  opal_argv_append_nosize(&caddy->argv, "/bin/app");
  opal_argv_append_nosize(&caddy->argv, word);
  opal_argv_append_nosize(&caddy->env, "NAME=value");
  caddy->jdata = g.job;
  caddy->app = g.app;
  caddy->child = new_rank(rank);
  if (g.fork_local(caddy) != ORTE_SUCCESS) bench_tell("refused");
  orte_state.activate_proc_state(&caddy->child->name, ORTE_PROC_STATE_RUNNING);
  OBJ_RELEASE(caddy);
}

void bench_flush(void) { opal_event_loop(orte_event_base, OPAL_EVLOOP_NONBLOCK); }

bool bench_held(unsigned rank) {
  return g.host.on_pid(g.host.self, g.births[rank], (pid_t)(BENCH_FIRST_PID + rank), -1) == 0;
}

void bench_end(unsigned rank, enum rex_birth_failure failure) {
  g.host.on_end(g.host.self, g.births[rank], failure, 0, "");
}

void bench_gone(unsigned rank) { g.host.on_gone(g.host.self, g.births[rank]); }

void bench_signal(unsigned rank, int number) {
  const orte_process_name_t name = {BENCH_JOB, rank};
  rex_odls_module.signal_local_procs(&name, number);
}

void bench_signal_all(int number) { rex_odls_module.signal_local_procs(NULL, number); }

void bench_mark_dead(unsigned rank) { g.ranks[rank]->state = ORTE_PROC_STATE_KILLED_BY_CMD; }
