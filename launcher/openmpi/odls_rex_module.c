/* The module: takes ORTE's orders for ranks, has them born in batches, and gives ORTE their pids
 * and states. docs/design/launch-agent.md. */
#include "launcher/openmpi/odls_rex.h"

#include "launcher/openmpi/component.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "opal/mca/event/event.h"
#include "opal/util/argv.h"
#include "opal/util/opal_environ.h"
#include "opal/util/output.h"
#include "orte/mca/errmgr/errmgr.h"
#include "orte/mca/iof/base/base.h"
#include "orte/mca/state/state.h"
#include "orte/runtime/orte_globals.h"
#include "orte/runtime/orte_wait.h"
#include "orte/util/attr.h"
#include "orte/util/name_fns.h"
#include "orte/util/proc_info.h"
#include "orte/util/show_help.h"

/* Everything that lives as long as the component is in use. */
static struct {
  struct rex_births* births; /* null before the first launch */
  opal_event_t ready;        /* the births have something to do */
  opal_event_t flush;
  pthread_t main_thread;
  orte_state_base_module_activate_proc_state_fn_t announce; /* ORTE's own */
  pthread_mutex_t mutex;                                    /* of the list below */
  struct rex_odls_birth* first;                             /* taken, not yet added to the births */
  struct rex_odls_birth** end;
  bool flush_is_due;
  struct rex_odls_birth* unborn; /* also under the mutex */
} g = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ORTE announces RUNNING right after our fork_local, in the same thread; the rank is not born yet.
 */
static __thread bool skip_announcement;

void rex_odls_note(void* self, const char* line) {
  (void)self;
  if (rex_odls_settings.verbose) opal_output(0, "rex: %s", line);
}

static void announce(orte_process_name_t* proc, orte_proc_state_t state) {
  if (skip_announcement && state == ORTE_PROC_STATE_RUNNING) {
    skip_announcement = false;
    return;
  }
  g.announce(proc, state);
}

/* ------------------------------ orders ------------------------------ */

/* What ORTE does to a pty in the rank, on the rank's end of it. */
static void set_terminal(const orte_iof_base_io_conf_t* streams) {
  struct termios terminal;
  if (!streams->usepty || tcgetattr(streams->p_stdout[1], &terminal) != 0) return;
  terminal.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | ECHONL);
  terminal.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | ISTRIP | INPCK | IXON);
  terminal.c_oflag &= ~(tcflag_t)(OCRNL | ONLCR);
  tcsetattr(streams->p_stdout[1], TCSANOW, &terminal);
}

/* The rank's ends of its streams; they are the births' from here on. */
static void take_streams(const orte_odls_spawn_caddy_t* caddy, struct rex_birth_order* order) {
  const orte_iof_base_io_conf_t* streams = &caddy->opts;
  if (!ORTE_FLAG_TEST(caddy->jdata, ORTE_JOB_FLAG_FORWARD_OUTPUT)) {
    /* As a fork leaves them: the daemon's own. */
    order->stdin_fd = dup(STDIN_FILENO);
    order->stdout_fd = dup(STDOUT_FILENO);
    order->stderr_fd = dup(STDERR_FILENO);
    return;
  }
  set_terminal(streams);
  order->stdin_fd = streams->connect_stdin ? streams->p_stdin[0] : -1;
  order->stdout_fd = streams->p_stdout[1];
  order->stderr_fd = orte_iof_base.redirect_app_stderr_to_stdout ? dup(streams->p_stdout[1])
                                                                 : streams->p_stderr[1];
}

/* Words and place of a rank; the streams are not touched. */
static void describe(const struct rex_odls_birth* birth, struct rex_birth_order* order) {
  memset(order, 0, sizeof *order);
  order->rank = (void*)birth;
  order->path = birth->caddy->cmd;
  order->argv = birth->caddy->argv;
  order->env = birth->caddy->env;
  order->wdir = birth->caddy->wdir;
  order->library_path = birth->library_path;
  order->image_dir = birth->image_dir;
  order->stdin_fd = -1;
  order->stdout_fd = -1;
  order->stderr_fd = -1;
}

static void add_birth(struct rex_odls_birth* birth) {
  struct rex_birth_order order;
  uint64_t* nodes = NULL;
  rex_odls_report_once(birth);
  describe(birth, &order);
  order.mem_words = rex_odls_memory_nodes(birth, &nodes);
  order.mem_nodes = nodes;
  take_streams(birth->caddy, &order);
  rex_births_add(g.births, &order);
  free(nodes);
}

/* Is another rank of its app to be born here? Then a template pays. */
static bool has_sibling(const orte_proc_t* child) {
  for (int i = 0; i < orte_local_children->size; ++i) {
    const orte_proc_t* other = opal_pointer_array_get_item(orte_local_children, i);
    if (other != NULL && other != child && other->name.jobid == child->name.jobid &&
        other->app_idx == child->app_idx && other->pid == 0) {
      return true;
    }
  }
  return false;
}

static bool wants_template(const struct rex_odls_birth* birth) {
  return strcmp(rex_odls_settings.births, "exec") != 0 &&
         pthread_equal(pthread_self(), g.main_thread) && has_sibling(birth->child);
}

/* How a staged program is run, as filem has put it into the app's environment. */
static void take_staged(struct rex_odls_birth* birth) {
  static const char name[] = REX_COMPONENT_STAGED "=";
  for (char** entry = birth->caddy->env; entry != NULL && *entry != NULL; ++entry) {
    if (strncmp(*entry, name, sizeof name - 1) != 0) continue;
    const char* value = *entry + sizeof name - 1;
    const char* blank = strchr(value, ' ');
    if (blank != NULL) {
      birth->library_path = strndup(value, (size_t)(blank - value));
      birth->image_dir = strdup(blank + 1);
    }
    opal_unsetenv(REX_COMPONENT_STAGED, &birth->caddy->env);
    return;
  }
}

static struct rex_odls_birth* new_birth(orte_odls_spawn_caddy_t* caddy) {
  struct rex_odls_birth* birth = calloc(1, sizeof *birth);
  if (birth == NULL) return NULL;
  if (caddy->wdir == NULL) caddy->wdir = getcwd(NULL, 0); /* ORTE has just gone there */
  if (caddy->wdir == NULL) {
    free(birth);
    return NULL;
  }
  if (caddy->argv == NULL) opal_argv_append_nosize(&caddy->argv, caddy->app->app);
  OBJ_RETAIN(caddy);
  OBJ_RETAIN(caddy->child);
  birth->caddy = caddy;
  birth->child = caddy->child;
  take_staged(birth);
  return birth;
}

static void on_flush(int fd, short events, void* self) {
  (void)fd;
  (void)events;
  (void)self;
  pthread_mutex_lock(&g.mutex);
  struct rex_odls_birth* birth = g.first;
  g.first = NULL;
  g.end = &g.first;
  g.flush_is_due = false;
  pthread_mutex_unlock(&g.mutex);
  while (birth != NULL) {
    struct rex_odls_birth* next = birth->next;
    add_birth(birth);
    birth = next;
  }
  rex_births_flush(g.births);
}

/* ORTE's hook for one rank. Success means: taken. */
static int fork_local(void* order) {
  orte_odls_spawn_caddy_t* caddy = order;
  struct rex_odls_birth* birth = new_birth(caddy);
  if (birth == NULL) {
    ORTE_ERROR_LOG(ORTE_ERR_OUT_OF_RESOURCE);
    return ORTE_ERR_OUT_OF_RESOURCE;
  }
  if (wants_template(birth)) {
    struct rex_birth_order first;
    describe(birth, &first);
    rex_births_expect(g.births, &first);
  }
  pthread_mutex_lock(&g.mutex);
  *g.end = birth;
  g.end = &birth->next;
  birth->next_unborn = g.unborn;
  g.unborn = birth;
  const bool first_one = !g.flush_is_due;
  g.flush_is_due = true;
  pthread_mutex_unlock(&g.mutex);
  /* Behind all the preparations that are queued already. */
  if (first_one) opal_event_active(&g.flush, OPAL_EV_WRITE, 1);
  skip_announcement = true;
  return ORTE_SUCCESS;
}

/* ------------------------------ births ------------------------------ */

/* Killing a job marks ranks that have no pid yet. */
static bool shall_run(const orte_proc_t* child) {
  return ORTE_FLAG_TEST(child, ORTE_PROC_FLAG_ALIVE) &&
         child->state != ORTE_PROC_STATE_TERMINATED &&
         child->state != ORTE_PROC_STATE_KILLED_BY_CMD &&
         orte_get_job_data_object(child->name.jobid) != NULL;
}

static int on_pid(void* self, void* rank, pid_t pid, int stderr_fd) {
  struct rex_odls_birth* birth = rank;
  (void)self;
  if (!shall_run(birth->child)) {
    birth->ordered_to_die = true;
    return 1;
  }
  birth->child->pid = pid;
  setpgid(pid, pid); /* it does so itself; signals to its group may come first */
  return rex_odls_bind(birth, pid, stderr_fd) ? 0 : 1;
}

static void show_no_exec(const struct rex_odls_birth* birth, int error) {
  const char* app = birth->caddy->app->app;
  struct stat is_there;
  char message[PATH_MAX + 64];
  const bool no_interpreter = error == ENOENT && stat(app, &is_there) == 0;
  if (no_interpreter) {
    snprintf(message, sizeof message, "%s has a bad interpreter on the first line.", app);
  } else {
    snprintf(message, sizeof message, "%s", strerror(error));
  }
  rex_odls_help("help-orte-odls-default.txt", "execve error", orte_process_info.nodename,
                birth->caddy->wdir, app, message);
}

static void show_failure(const struct rex_odls_birth* birth, enum rex_birth_failure failure,
                         int error, const char* text) {
  switch (failure) {
    case REX_BIRTH_NO_DIRECTORY:
      rex_odls_help("help-orterun.txt", "orterun:wdir-not-found", "orted", birth->caddy->wdir,
                    orte_process_info.nodename, birth->child->app_rank);
      return;
    case REX_BIRTH_NO_EXEC:
      show_no_exec(birth, error);
      return;
    case REX_BIRTH_NO_SETUP:
    case REX_BIRTH_NO_PROCESS: {
      char line[1024];
      snprintf(line, sizeof line, "rex: a rank of %s could not be started on %s: %s",
               birth->caddy->app->app, orte_process_info.nodename,
               text[0] == '\0' && error != 0 ? strerror(error) : text);
      orte_show_help_norender("rex", "start", false, line);
      return;
    }
    case REX_BIRTH_OK:
    case REX_BIRTH_REFUSED: /* shown when it was refused */
      return;
  }
}

static int signal_one(pid_t pid, int signal_number);

static void forget_unborn(const struct rex_odls_birth* birth) {
  pthread_mutex_lock(&g.mutex);
  for (struct rex_odls_birth** at = &g.unborn; *at != NULL; at = &(*at)->next_unborn) {
    if (*at != birth) continue;
    *at = birth->next_unborn;
    break;
  }
  pthread_mutex_unlock(&g.mutex);
}

/* Those that came before there was a program to get them. */
static void give_kept_signals(struct rex_odls_birth* birth) {
  for (int i = 0; i < birth->signal_count; ++i) {
    (void)signal_one(birth->child->pid, birth->signals[i]);
  }
  birth->signal_count = 0;
}

static void on_end(void* self, void* rank, enum rex_birth_failure failure, int error,
                   const char* text) {
  struct rex_odls_birth* birth = rank;
  orte_proc_t* child = birth->child;
  (void)self;
  forget_unborn(birth);
  if (birth->ordered_to_die) return; /* ORTE has its state already */
  if (failure == REX_BIRTH_OK) {
    child->state = ORTE_PROC_STATE_RUNNING;
    ORTE_FLAG_SET(child, ORTE_PROC_FLAG_ALIVE);
    ORTE_ACTIVATE_PROC_STATE(&child->name, ORTE_PROC_STATE_RUNNING);
    give_kept_signals(birth);
    return;
  }
  show_failure(birth, failure, error, text);
  child->state = ORTE_PROC_STATE_FAILED_TO_START;
  ORTE_FLAG_UNSET(child, ORTE_PROC_FLAG_ALIVE);
  child->exit_code = ORTE_ERR_FAILED_TO_START;
  ORTE_ACTIVATE_PROC_STATE(&child->name, ORTE_PROC_STATE_FAILED_TO_START);
}

static void on_gone(void* self, void* rank) {
  struct rex_odls_birth* birth = rank;
  (void)self;
  forget_unborn(birth);
  free(birth->library_path);
  free(birth->image_dir);
  OBJ_RELEASE(birth->child);
  OBJ_RELEASE(birth->caddy);
  free(birth);
}

static void on_ready(int fd, short events, void* self) {
  (void)fd;
  (void)events;
  (void)self;
  rex_births_run(g.births);
}

static bool start_births(void) {
  const struct rex_births_host host = {.on_pid = on_pid,
                                       .on_end = on_end,
                                       .on_gone = on_gone,
                                       .on_note = rex_odls_settings.verbose ? rex_odls_note : NULL};
  const struct rex_births_files files = {.template_library = rex_odls_settings.library,
                                         .spawner = rex_odls_settings.spawner};
  if (g.births != NULL) return true;
  g.births = rex_births_new(&host, &files);
  if (g.births == NULL) return false;
  g.end = &g.first;
  g.main_thread = pthread_self();
  g.announce = orte_state.activate_proc_state;
  orte_state.activate_proc_state = announce;
  opal_event_set(orte_event_base, &g.flush, -1, OPAL_EV_WRITE, on_flush, NULL);
  opal_event_set_priority(&g.flush, ORTE_MSG_PRI);
  opal_event_set(orte_event_base, &g.ready, rex_births_fd(g.births), OPAL_EV_READ | OPAL_EV_PERSIST,
                 on_ready, NULL);
  opal_event_set_priority(&g.ready, ORTE_MSG_PRI);
  opal_event_add(&g.ready, NULL);
  return true;
}

void rex_odls_close(void) {
  if (g.births == NULL) return;
  opal_event_del(&g.ready);
  opal_event_del(&g.flush);
  orte_state.activate_proc_state = g.announce;
  rex_births_free(g.births);
  g.births = NULL;
}

/* ------------------------------ module ------------------------------ */

/* Open MPI 4.1.4 copies a program of --preload-binary into the session directory and then looks for
 * ./NAME elsewhere. Say where it is. */
static void find_preloaded(orte_job_t* job) {
  for (int i = 0; i < job->apps->size; ++i) {
    orte_app_context_t* app = opal_pointer_array_get_item(job->apps, i);
    if (app == NULL ||
        !orte_get_attribute(&app->attributes, ORTE_APP_PRELOAD_BIN, NULL, OPAL_BOOL)) {
      continue;
    }
    const char* slash = strrchr(app->app, '/');
    char* path = NULL;
    if (asprintf(&path, "%s/%s", orte_process_info.jobfam_session_dir,
                 slash == NULL ? app->app : slash + 1) < 0) {
      return;
    }
    if (access(path, X_OK) != 0) {
      free(path);
      continue;
    }
    free(app->app);
    app->app = path;
  }
}

static int launch_local_procs(opal_buffer_t* data) {
  orte_jobid_t job;
  if (!start_births()) {
    ORTE_ERROR_LOG(ORTE_ERR_OUT_OF_RESOURCE);
    ORTE_ACTIVATE_JOB_STATE(NULL, ORTE_JOB_STATE_NEVER_LAUNCHED);
    return ORTE_ERR_OUT_OF_RESOURCE;
  }
  /* Ranks come in batches: threads would only divide them. What the user says holds. */
  if (orte_odls_globals.num_threads == -1) orte_odls_globals.num_threads = 0;
  const int rc = orte_odls_base_default_construct_child_list(data, &job);
  if (rc != ORTE_SUCCESS) return rc;
  orte_job_t* described = orte_get_job_data_object(job);
  if (described != NULL) find_preloaded(described);
  ORTE_ACTIVATE_LOCAL_LAUNCH(job, fork_local);
  return ORTE_SUCCESS;
}

static int kill_one(pid_t pid, int signal_number) {
  const pid_t group = getpgid(pid);
  if (kill(group == -1 ? pid : -group, signal_number) == 0 || errno == ESRCH) return 0;
  return errno;
}

static int kill_local_procs(opal_pointer_array_t* procs) {
  return orte_odls_base_default_kill_local_procs(procs, kill_one);
}

static int signal_one(pid_t pid, int signal_number) {
  if (pid <= 0) return ORTE_SUCCESS; /* not born yet: kept for it */
  const pid_t target = orte_odls_globals.signal_direct_children_only ? pid : -pid;
  if (kill(target, signal_number) == 0 || errno == ESRCH) return ORTE_SUCCESS;
  return errno == EPERM ? ORTE_ERR_PERM : errno == EINVAL ? ORTE_ERR_BAD_PARAM : ORTE_ERROR;
}

/* For ranks that are not born yet: a program gets it as soon as there is one. Until then it is held
 * at the gate, or still ld.so's, where a signal would end it unseen. */
static void keep_signal(const orte_process_name_t* proc, int32_t signal_number) {
  pthread_mutex_lock(&g.mutex);
  for (struct rex_odls_birth* birth = g.unborn; birth != NULL; birth = birth->next_unborn) {
    const orte_process_name_t* name = &birth->child->name;
    const bool meant = proc == NULL || (proc->jobid == name->jobid && proc->vpid == name->vpid);
    if (meant && birth->child->pid <= 0 && birth->signal_count < REX_ODLS_MOST_SIGNALS) {
      birth->signals[birth->signal_count++] = signal_number;
    }
  }
  pthread_mutex_unlock(&g.mutex);
}

static int signal_local_procs(const orte_process_name_t* proc, int32_t signal_number) {
  keep_signal(proc, signal_number);
  return orte_odls_base_default_signal_local_procs(proc, signal_number, signal_one);
}

static int restart_proc(orte_proc_t* child) {
  if (!start_births()) return ORTE_ERR_OUT_OF_RESOURCE;
  return orte_odls_base_default_restart_proc(child, fork_local);
}

orte_odls_base_module_t rex_odls_module = {
    .get_add_procs_data = orte_odls_base_default_get_add_procs_data,
    .launch_local_procs = launch_local_procs,
    .kill_local_procs = kill_local_procs,
    .signal_local_procs = signal_local_procs,
    .restart_proc = restart_proc,
};
