/* The component: parameters, whether rex can serve this orted, and what must not reach the ranks.
 */
#include "launcher/openmpi/odls_rex.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opal/mca/base/base.h"
#include "opal/util/argv.h"
#include "opal/util/opal_environ.h"
#include "opal/util/output.h"
#include "orte/runtime/orte_globals.h"
#include "orte/runtime/runtime.h"
#include "orte/util/proc_info.h"

#ifndef REX_ODLS_BUILT_FOR
#define REX_ODLS_BUILT_FOR ORTE_IDENT_STRING
#endif

/* What rexlaunch --check-openmpi looks for in the file. */
__attribute__((used)) static const char built_for[] =
    "rex plug-in for Open MPI " REX_ODLS_BUILT_FOR;

#define REX_ODLS_PRIORITY 50 /* ORTE's own has 10 */

struct rex_odls_settings rex_odls_settings;

/* `directory`/`relative`, malloc'ed, or null when it is no file of ours to use. */
static char* rex_file(const char* relative) {
  char* path = NULL;
  if (asprintf(&path, "%s/%s", rex_odls_settings.directory, relative) < 0) return NULL;
  if (rex_births_usable(path)) return path;
  if (rex_odls_settings.verbose) opal_output(0, "rex: cannot use %s", path);
  free(path);
  return NULL;
}

/* Where this component lies: links, as in ~/.openmpi/components, are followed. */
static char* own_directory(void) {
  Dl_info info;
  char path[PATH_MAX];
  if (dladdr(&rex_odls_settings, &info) == 0 || realpath(info.dli_fname, path) == NULL) {
    return NULL;
  }
  *strrchr(path, '/') = '\0';
  return strdup(path);
}

/* The value without ":directory", as rexlaunch had appended it; null when nothing is left. */
static char* without_own_directory(const char* value) {
  const size_t length = strlen(value);
  const size_t own = strlen(rex_odls_settings.directory);
  char* rest = NULL;
  if (asprintf(&rest, "SYSTEM_DEFAULT:%s:USER_DEFAULT", rex_odls_settings.directory) < 0) {
    return NULL;
  }
  const bool ours = strcmp(value, rest) == 0;
  free(rest);
  if (ours) return NULL;
  rest = strdup(value);
  if (rest != NULL && length > own && value[length - own - 1] == ':' &&
      strcmp(value + length - own, rex_odls_settings.directory) == 0) {
    rest[length - own - 1] = '\0';
  }
  return rest;
}

/* orted hands its own MCA settings on to the ranks. Not the ones that rexlaunch gave it. */
static void clear_launch_environment(void) {
  static const char own[] = OPAL_MCA_PREFIX "odls_rex_";
  static const char paths[] = OPAL_MCA_PREFIX "mca_base_component_path";
  if (orte_launch_environ == NULL) return;
  char** names = NULL;
  for (char** entry = orte_launch_environ; *entry != NULL; ++entry) {
    if (strncmp(*entry, own, sizeof own - 1) == 0) opal_argv_append_nosize(&names, *entry);
  }
  for (char** entry = names; entry != NULL && *entry != NULL; ++entry) {
    *strchr(*entry, '=') = '\0';
    opal_unsetenv(*entry, &orte_launch_environ);
  }
  opal_argv_free(names);
  const char* value = getenv(paths);
  if (value == NULL) return;
  char* rest = without_own_directory(value);
  if (rest == NULL) {
    opal_unsetenv(paths, &orte_launch_environ);
  } else {
    opal_setenv(paths, rest, true, &orte_launch_environ);
  }
  free(rest);
}

static int register_parameters(void);

static int open_component(void) { return ORTE_SUCCESS; }

static int close_component(void) {
  rex_odls_close();
  free(rex_odls_settings.directory);
  free(rex_odls_settings.library);
  free(rex_odls_settings.spawner);
  rex_odls_settings.directory = NULL;
  rex_odls_settings.library = NULL;
  rex_odls_settings.spawner = NULL;
  return ORTE_SUCCESS;
}

/* Says no, so that ORTE's own component makes the ranks. */
static int decline(mca_base_module_t** module, int* priority, const char* why) {
  if (rex_odls_settings.verbose) opal_output(0, "rex: Open MPI makes the ranks itself: %s", why);
  *module = NULL;
  *priority = -1;
  return ORTE_ERROR;
}

static int query(mca_base_module_t** module, int* priority) {
  if (rex_odls_settings.directory == NULL) rex_odls_settings.directory = own_directory();
  if (rex_odls_settings.directory == NULL) return decline(module, priority, "where is rex?");
  clear_launch_environment();
  /* Before anything of ORTE's own structures is touched: their layout is this version's. */
  if (strcmp(orte_version_string, REX_ODLS_BUILT_FOR) != 0) {
    return decline(module, priority, "rex was built for Open MPI " REX_ODLS_BUILT_FOR);
  }
  if (!ORTE_PROC_IS_DAEMON && !ORTE_PROC_IS_HNP) return decline(module, priority, "no daemon");
  if (rex_odls_settings.library == NULL) {
    rex_odls_settings.library = rex_file("../../../libexec/rex/librex_template.so");
  }
  if (rex_odls_settings.spawner == NULL) {
    rex_odls_settings.spawner = rex_file("../../../libexec/rex/rexd-spawner");
  }
  if (rex_odls_settings.library == NULL || rex_odls_settings.spawner == NULL) {
    return decline(module, priority, "a file of rex is missing");
  }
  *module = (mca_base_module_t*)&rex_odls_module;
  *priority = REX_ODLS_PRIORITY;
  return ORTE_SUCCESS;
}

__attribute__((visibility("default"))) orte_odls_base_component_t mca_odls_rex_component = {
    .version =
        {
            ORTE_ODLS_BASE_VERSION_2_0_0,
            .mca_component_name = "rex",
            MCA_BASE_MAKE_VERSION(component, ORTE_MAJOR_VERSION, ORTE_MINOR_VERSION,
                                  ORTE_RELEASE_VERSION),
            .mca_open_component = open_component,
            .mca_close_component = close_component,
            .mca_query_component = query,
            .mca_register_component_params = register_parameters,
        },
    .base_data = {MCA_BASE_METADATA_PARAM_NONE},
};

static int register_parameters(void) {
  mca_base_component_t* self = &mca_odls_rex_component.version;
  rex_odls_settings.births = "template";
  (void)mca_base_component_var_register(
      self, "births", "How ranks are made: template (forked where that can be), exec (always)",
      MCA_BASE_VAR_TYPE_STRING, NULL, 0, 0, OPAL_INFO_LVL_5, MCA_BASE_VAR_SCOPE_READONLY,
      &rex_odls_settings.births);
  rex_odls_settings.verbose = false;
  (void)mca_base_component_var_register(
      self, "verbose", "Say on the daemon's stderr how ranks were made", MCA_BASE_VAR_TYPE_BOOL,
      NULL, 0, 0, OPAL_INFO_LVL_5, MCA_BASE_VAR_SCOPE_READONLY, &rex_odls_settings.verbose);
  return ORTE_SUCCESS;
}
