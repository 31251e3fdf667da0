#include "launcher/openmpi/component.h"

#include "launcher/openmpi/orted_environment.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "opal/mca/base/base.h"
#include "opal/util/argv.h"
#include "opal/util/opal_environ.h"
#include "opal/util/output.h"
#include "orte/runtime/orte_globals.h"
#include "orte/runtime/runtime.h"
#include "orte/util/proc_info.h"

#ifndef REX_BUILT_FOR
#define REX_BUILT_FOR ORTE_IDENT_STRING
#endif

/* What rexlaunch --check-openmpi looks for in the file. */
__attribute__((used)) static const char built_for[] = "rex plug-in for Open MPI " REX_BUILT_FOR;

const char* rex_component_unfit(void) {
  if (strcmp(orte_version_string, REX_BUILT_FOR) != 0) {
    return "rex was built for Open MPI " REX_BUILT_FOR;
  }
  return ORTE_PROC_IS_DAEMON || ORTE_PROC_IS_HNP ? NULL : "no daemon";
}

int rex_component_decline(mca_base_module_t** module, int* priority, bool verbose, const char* what,
                          const char* why) {
  if (verbose) opal_output(0, "rex: %s: %s", what, why);
  *module = NULL;
  *priority = -1;
  return ORTE_ERROR;
}

char* rex_component_file(const char* directory, const char* relative, bool verbose) {
  struct stat st;
  char* path = NULL;
  if (asprintf(&path, "%s/%s", directory, relative) < 0) return NULL;
  if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK | X_OK) == 0) return path;
  if (verbose) opal_output(0, "rex: cannot use %s", path);
  free(path);
  return NULL;
}

char* rex_component_directory(void) {
  Dl_info info;
  char path[PATH_MAX];
  if (dladdr(built_for, &info) == 0 || realpath(info.dli_fname, path) == NULL) {
    return NULL;
  }
  *strrchr(path, '/') = '\0';
  return strdup(path);
}

/* The value without ":directory", as rexlaunch had appended it; null when nothing is left. */
static char* without_directory(const char* value, const char* directory) {
  const size_t length = strlen(value);
  const size_t own = strlen(directory);
  char* rest = NULL;
  if (asprintf(&rest, "SYSTEM_DEFAULT:%s:USER_DEFAULT", directory) < 0) {
    return NULL;
  }
  const bool ours = strcmp(value, rest) == 0;
  free(rest);
  if (ours) return NULL;
  rest = strdup(value);
  if (rest != NULL && length > own && value[length - own - 1] == ':' &&
      strcmp(value + length - own, directory) == 0) {
    rest[length - own - 1] = '\0';
  }
  return rest;
}

static bool is_own(const char* entry) {
  static const char odls[] = OPAL_MCA_PREFIX "odls_rex_";
  static const char filem[] = OPAL_MCA_PREFIX "filem_rex_";
  return strncmp(entry, odls, sizeof odls - 1) == 0 || strncmp(entry, filem, sizeof filem - 1) == 0;
}

void rex_component_clear_environment(const char* directory) {
  static const char paths[] = OPAL_MCA_PREFIX "mca_base_component_path";
  if (orte_launch_environ == NULL) return;
  const char* hwloc = getenv(REX_ORTED_HWLOC_NAME);
  if (hwloc != NULL && strcmp(hwloc, REX_ORTED_HWLOC_VALUE) == 0) {
    opal_unsetenv(REX_ORTED_HWLOC_NAME, &orte_launch_environ);
  }
  char** names = NULL;
  for (char** entry = orte_launch_environ; *entry != NULL; ++entry) {
    if (is_own(*entry)) opal_argv_append_nosize(&names, *entry);
  }
  for (char** entry = names; entry != NULL && *entry != NULL; ++entry) {
    *strchr(*entry, '=') = '\0';
    opal_unsetenv(*entry, &orte_launch_environ);
  }
  opal_argv_free(names);
  const char* value = getenv(paths);
  if (value == NULL) return;
  char* rest = without_directory(value, directory);
  if (rest == NULL) {
    opal_unsetenv(paths, &orte_launch_environ);
  } else {
    opal_setenv(paths, rest, true, &orte_launch_environ);
  }
  free(rest);
}
