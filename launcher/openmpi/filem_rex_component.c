/* The component: parameters, whether rex can serve this mpirun or orted, and ORTE's own component
 * that goes on working inside ours. */
#include "launcher/openmpi/filem_rex.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/openmpi/component.h"

#include "opal/mca/base/base.h"
#include "orte/runtime/orte_globals.h"

#define REX_FILEM_PRIORITY 50 /* ORTE's own has 0 */

struct rex_filem_settings rex_filem_settings;

orte_filem_base_module_t rex_filem_raw = {
    REX_FILEM_UNUSED,
    .preposition_files = orte_filem_base_none_preposition_files,
    .link_local_files = orte_filem_base_none_link_local_files,
};
static void* raw_code; /* keeps it mapped when Open MPI unloads what it did not choose */

/* Whether mpirun starts its daemons by rexlaunch, and with rex. */
static bool launched_by_rexlaunch(void) {
  if (orte_launch_agent == NULL || strstr(orte_launch_agent, "--rex-plain") != NULL) return false;
  const size_t length = strcspn(orte_launch_agent, " ");
  static const char name[] = "rexlaunch";
  const size_t own = sizeof name - 1;
  return length >= own && strncmp(orte_launch_agent + length - own, name, own) == 0 &&
         (length == own || orte_launch_agent[length - own - 1] == '/');
}

static bool take_raw(const mca_base_component_t* component) {
  mca_base_module_t* module = NULL;
  int priority = 0;
  Dl_info info;
  if (component->mca_query_component(&module, &priority) != ORTE_SUCCESS || module == NULL) {
    return false;
  }
  if (dladdr(component, &info) == 0) return false;
  /* Built into Open MPI, it is never unloaded. */
  if (raw_code == NULL) raw_code = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  rex_filem_raw = *(orte_filem_base_module_t*)module;
  return raw_code != NULL;
}

/* False: it is there and can't be used. */
static bool find_raw(void) {
  mca_base_component_list_item_t* item;
  OPAL_LIST_FOREACH(item, &orte_filem_base_framework.framework_components,
                    mca_base_component_list_item_t) {
    const mca_base_component_t* component = item->cli_component;
    if (strcmp(component->mca_component_name, "raw") == 0) return take_raw(component);
  }
  return true;
}

static int open_component(void) { return ORTE_SUCCESS; }

static int close_component(void) {
  free(rex_filem_settings.directory);
  free(rex_filem_settings.stager);
  rex_filem_settings.directory = NULL;
  rex_filem_settings.stager = NULL;
  return ORTE_SUCCESS;
}

/* Says no: ORTE's own component does all. */
static int decline(mca_base_module_t** module, int* priority, const char* why) {
  return rex_component_decline(module, priority, rex_filem_settings.verbose,
                               "programs are not sent by rex", why);
}

static int query(mca_base_module_t** module, int* priority) {
  struct rex_filem_settings* settings = &rex_filem_settings;
  if (settings->directory == NULL) settings->directory = rex_component_directory();
  if (settings->directory == NULL) return decline(module, priority, "where is rex?");
  const char* unfit = rex_component_unfit();
  if (unfit != NULL) return decline(module, priority, unfit);
  if (!launched_by_rexlaunch()) {
    return decline(module, priority, "no --launch-agent rexlaunch");
  }
  if (strstr(orte_launch_agent, "--rex-verbose") != NULL) settings->verbose = true;
  rex_component_clear_environment(settings->directory);
  if (settings->stager == NULL) {
    settings->stager = rex_component_file(settings->directory, "../../../libexec/rex/rexd-stager",
                                          settings->verbose);
  }
  if (settings->stager == NULL) return decline(module, priority, "a file of rex is missing");
  if (!find_raw()) return decline(module, priority, "Open MPI's own component can't be kept");
  *module = (mca_base_module_t*)&rex_filem_module;
  *priority = REX_FILEM_PRIORITY;
  return ORTE_SUCCESS;
}

static int register_parameters(void);

__attribute__((visibility("default"))) orte_filem_base_component_t mca_filem_rex_component = {
    .base_version =
        {
            ORTE_FILEM_BASE_VERSION_2_0_0,
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

static void register_text(const char* name, const char* help, char** value) {
  (void)mca_base_component_var_register(&mca_filem_rex_component.base_version, name, help,
                                        MCA_BASE_VAR_TYPE_STRING, NULL, 0, 0, OPAL_INFO_LVL_5,
                                        MCA_BASE_VAR_SCOPE_READONLY, value);
}

static int register_parameters(void) {
  rex_filem_settings.stage = "auto";
  register_text("stage",
                "Which programs go to nodes: auto (what a node lacks), always (nothing of a node's "
                "own is used), never",
                &rex_filem_settings.stage);
  rex_filem_settings.store = "memory";
  register_text("store", "Where nodes keep them: memory, disk, or a directory",
                &rex_filem_settings.store);
  rex_filem_settings.transport = "auto";
  register_text(
      "transport",
      "How they go: auto (multicast for 64 nodes and more, where the network carries it), "
      "tree (from node to node), multicast",
      &rex_filem_settings.transport);
  rex_filem_settings.verbose = false;
  (void)mca_base_component_var_register(&mca_filem_rex_component.base_version, "verbose",
                                        "Say on stderr what was sent", MCA_BASE_VAR_TYPE_BOOL, NULL,
                                        0, 0, OPAL_INFO_LVL_5, MCA_BASE_VAR_SCOPE_READONLY,
                                        &rex_filem_settings.verbose);
  return ORTE_SUCCESS;
}
