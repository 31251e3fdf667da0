/* Binding and its report: what ORTE does to a rank between fork and exec, done from outside to a
 * rank that waits at the gate. Texts are ORTE's own. */
#include "launcher/openmpi/odls_rex.h"

#include <errno.h>
#include <hwloc/linux.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opal/mca/base/base.h"
#include "opal/mca/hwloc/base/base.h"
#include "opal/util/opal_environ.h"
#include "opal/util/output.h"
#include "opal/util/show_help.h"
#include "orte/mca/rmaps/rmaps_types.h"
#include "orte/runtime/orte_globals.h"
#include "orte/util/attr.h"
#include "orte/util/proc_info.h"
#include "orte/util/show_help.h"

#define REX_ODLS_HELP "help-orte-odls-default.txt"
#define REX_WORD_BITS 64u

void rex_odls_help(const char* file, const char* topic, ...) {
  va_list arguments;
  va_start(arguments, topic);
  char* text = opal_show_help_vstring(file, topic, true, arguments);
  va_end(arguments);
  if (text != NULL) orte_show_help_norender(file, topic, false, text);
  free(text);
}

/* The cpus that ORTE has chosen for it, malloc'ed text; null: none. */
static char* chosen_cpus(const orte_proc_t* child) {
  char* cpus = NULL;
  orte_proc_t* proc = (orte_proc_t*)child;
  if (!orte_get_attribute(&proc->attributes, ORTE_PROC_CPU_BITMAP, (void**)&cpus, OPAL_STRING)) {
    return NULL;
  }
  if (cpus != NULL && cpus[0] != '\0') return cpus;
  free(cpus);
  return NULL;
}

/* The same as a set, to be freed; null: none, or ORTE's text makes no sense. */
static hwloc_cpuset_t chosen_set(const orte_proc_t* child) {
  char* cpus = chosen_cpus(child);
  if (cpus == NULL) return NULL;
  hwloc_cpuset_t set = hwloc_bitmap_alloc();
  if (set != NULL && hwloc_bitmap_list_sscanf(set, cpus) != 0) {
    hwloc_bitmap_free(set);
    set = NULL;
  }
  free(cpus);
  return set;
}

static size_t words_of(hwloc_const_bitmap_t nodes, uint64_t** words) {
  const int last = hwloc_bitmap_last(nodes);
  if (last < 0) return 0;
  const size_t count = (size_t)last / REX_WORD_BITS + 1;
  *words = calloc(count, sizeof **words);
  if (*words == NULL) return 0;
  int node = -1;
  while ((node = hwloc_bitmap_next(nodes, node)) >= 0) {
    (*words)[(size_t)node / REX_WORD_BITS] |= UINT64_C(1) << ((size_t)node % REX_WORD_BITS);
  }
  return count;
}

size_t rex_odls_memory_nodes(const struct rex_odls_birth* birth, uint64_t** words) {
  *words = NULL;
  if (opal_hwloc_base_map != OPAL_HWLOC_BASE_MAP_LOCAL_ONLY) return 0;
  hwloc_cpuset_t cpus = chosen_set(birth->child);
  hwloc_nodeset_t nodes = hwloc_bitmap_alloc();
  size_t count = 0;
  if (cpus != NULL && nodes != NULL) {
    hwloc_cpuset_to_nodeset(opal_hwloc_topology, cpus, nodes);
    count = words_of(nodes, words);
  }
  hwloc_bitmap_free(nodes);
  hwloc_bitmap_free(cpus);
  return count;
}

void rex_odls_report_once(struct rex_odls_birth* birth) {
  if (!opal_hwloc_report_bindings) return;
  hwloc_cpuset_t cpus = chosen_set(birth->child);
  if (cpus == NULL && orte_daemon_cores == NULL) return;
  hwloc_bitmap_free(cpus);
  char* name = NULL;
  if (mca_base_var_env_name("hwloc_base_report_bindings", &name) == OPAL_SUCCESS) {
    opal_unsetenv(name, &birth->caddy->env);
  }
  free(name);
}

/* By ORTE's rules: silent unless the user chose the binding, else a warning, or the rank's end when
 * the binding is required. */
static bool after_failure(const struct rex_odls_birth* birth, const char* message, int line) {
  const orte_mapping_policy_t binding = birth->caddy->jdata->map->binding;
  if (!OPAL_BINDING_POLICY_IS_SET(binding)) return true;
  const bool required = OPAL_BINDING_REQUIRED(binding);
  rex_odls_help(REX_ODLS_HELP, required ? "binding generic error" : "not bound",
                orte_process_info.nodename, birth->caddy->app->app, message, __FILE__, line);
  return !required;
}

static bool after_refusal(const struct rex_odls_birth* birth, int error, const char* cpus,
                          int line) {
  char text[512];
  if (error == ENOSYS) {
    snprintf(text, sizeof text, "hwloc indicates cpu binding not supported");
  } else if (error == EXDEV) {
    snprintf(text, sizeof text, "hwloc indicates cpu binding cannot be enforced");
  } else {
    snprintf(text, sizeof text, "hwloc_set_cpubind returned \"%s\" for bitmap \"%s\"",
             opal_strerror(OPAL_ERROR), cpus);
  }
  return after_failure(birth, text, line);
}

/* As ORTE's output from inside the rank: on the rank's stderr, with the daemon's own prefix. */
static void report(const struct rex_odls_birth* birth, int stderr_fd, const char* text) {
  char line[2200];
  char host[OPAL_MAXHOSTNAMELEN];
  if (stderr_fd < 0) return;
  gethostname(host, sizeof host);
  host[sizeof host - 1] = '\0';
  const int length = snprintf(line, sizeof line, "[%s:%05d] MCW rank %d %s\n", host, (int)getpid(),
                              (int)birth->child->name.vpid, text);
  if (length > 0 && write(stderr_fd, line, strlen(line)) < 0) {
    rex_odls_note(NULL, "a report of bindings could not be written");
  }
}

static void report_set(const struct rex_odls_birth* birth, pid_t pid, int stderr_fd) {
  char place[1024];
  char picture[1024];
  char text[2100];
  if (!opal_hwloc_report_bindings) return;
  hwloc_cpuset_t bound = hwloc_bitmap_alloc();
  if (bound == NULL || hwloc_linux_get_tid_cpubind(opal_hwloc_topology, pid, bound) < 0) {
    snprintf(text, sizeof text, "is not bound");
  } else if (opal_hwloc_base_cset2str(place, sizeof place, opal_hwloc_topology, bound) ==
             OPAL_ERR_NOT_BOUND) {
    snprintf(text, sizeof text, "is not bound (or bound to all available processors)");
  } else {
    opal_hwloc_base_cset2mapstr(picture, sizeof picture, opal_hwloc_topology, bound);
    snprintf(text, sizeof text, "bound to %s: %s", place, picture);
  }
  hwloc_bitmap_free(bound);
  report(birth, stderr_fd, text);
}

/* orted is bound itself and ORTE chose nothing for the rank: all that is available. */
static bool unbind(const struct rex_odls_birth* birth, pid_t pid, int stderr_fd) {
  hwloc_obj_t root = hwloc_get_root_obj(opal_hwloc_topology);
  const opal_hwloc_topo_data_t* all = root->userdata;
  if (all == NULL) {
    rex_odls_help(REX_ODLS_HELP, "incorrectly bound", orte_process_info.nodename,
                  birth->caddy->app->app, __FILE__, __LINE__);
    return true;
  }
  if (hwloc_linux_set_tid_cpubind(opal_hwloc_topology, pid, all->available) < 0) {
    const int error = errno;
    char* cpus = NULL;
    hwloc_bitmap_list_asprintf(&cpus, all->available);
    const bool may_run = after_refusal(birth, error, cpus == NULL ? "" : cpus, __LINE__);
    free(cpus);
    return may_run;
  }
  if (opal_hwloc_report_bindings) {
    report(birth, stderr_fd, "is not bound (or bound to all available processors)");
  }
  return true;
}

/* The rank sets its policy itself; whether this machine allows it shows as well here. */
static bool check_memory(const struct rex_odls_birth* birth, hwloc_const_cpuset_t cpus) {
  const bool local = opal_hwloc_base_map == OPAL_HWLOC_BASE_MAP_LOCAL_ONLY;
  const int failed = hwloc_set_membind(opal_hwloc_topology, cpus,
                                       local ? HWLOC_MEMBIND_BIND : HWLOC_MEMBIND_DEFAULT,
                                       local ? HWLOC_MEMBIND_STRICT : 0);
  const int error = errno;
  if (local) hwloc_set_membind(opal_hwloc_topology, cpus, HWLOC_MEMBIND_DEFAULT, 0);
  const bool harmless = failed == 0 || (error == ENOSYS && !local);
  if (harmless || !OPAL_BINDING_POLICY_IS_SET(birth->caddy->jdata->map->binding)) return true;
  const char* message = error == ENOSYS  ? "hwloc indicates memory binding not supported"
                        : error == EXDEV ? "hwloc indicates memory binding cannot be enforced"
                                         : "failed to bind memory";
  const bool fatal = opal_hwloc_base_mbfa == OPAL_HWLOC_BASE_MBFA_ERROR;
  rex_odls_help(REX_ODLS_HELP, fatal ? "memory binding error" : "memory not bound",
                orte_process_info.nodename, birth->caddy->app->app, message, __FILE__, __LINE__);
  return !fatal;
}

bool rex_odls_bind(struct rex_odls_birth* birth, pid_t pid, int stderr_fd) {
  char* text = chosen_cpus(birth->child);
  if (text == NULL) return orte_daemon_cores == NULL || unbind(birth, pid, stderr_fd);
  hwloc_cpuset_t cpus = chosen_set(birth->child);
  bool may_run = true;
  if (cpus == NULL) {
    may_run = after_failure(birth, "the list of cpus makes no sense", __LINE__);
  } else if (hwloc_linux_set_tid_cpubind(opal_hwloc_topology, pid, cpus) < 0) {
    may_run = after_refusal(birth, errno, text, __LINE__);
  } else {
    report_set(birth, pid, stderr_fd);
    may_run = check_memory(birth, cpus);
  }
  hwloc_bitmap_free(cpus);
  free(text);
  return may_run;
}
