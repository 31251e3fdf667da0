/* The component: parameters, whether rex can serve this orted, and what must not reach the ranks.
 */
#include "launcher/openmpi/odls_rex.h"

#include "launcher/openmpi/component.h"

#include <stdlib.h>

#include "opal/mca/base/base.h"
#include "orte/runtime/orte_globals.h"

#define REX_ODLS_PRIORITY 50 /* ORTE's own has 10 */

struct rex_odls_settings rex_odls_settings;

static char* rex_file(const char* relative) {
  return rex_component_file(rex_odls_settings.directory, relative, rex_odls_settings.verbose);
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
  return rex_component_decline(module, priority, rex_odls_settings.verbose,
                               "Open MPI makes the ranks itself", why);
}

static int query(mca_base_module_t** module, int* priority) {
  if (rex_odls_settings.directory == NULL) rex_odls_settings.directory = rex_component_directory();
  if (rex_odls_settings.directory == NULL) return decline(module, priority, "where is rex?");
  rex_component_clear_environment(rex_odls_settings.directory);
  const char* unfit = rex_component_unfit();
  if (unfit != NULL) return decline(module, priority, unfit);
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
