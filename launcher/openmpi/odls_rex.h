/* mca_odls_rex.so: ORTE's component for local ranks, by rex. docs/design/launch-agent.md.
 *
 * A shim in C over births.h, which knows nothing of ORTE. All of it runs in orted's (or mpirun's)
 * main thread, but for rex_odls_fork_local when the user asks for odls_base_num_threads.
 */
#ifndef REX_LAUNCHER_OPENMPI_ODLS_REX_H_
#define REX_LAUNCHER_OPENMPI_ODLS_REX_H_

#include "orte/constants.h"
#include "orte_config.h"

#include "orte/mca/odls/base/odls_private.h"
#include "orte/mca/odls/odls.h"

#include "launcher/openmpi/births.h"

/* What the component was told, and where rex's files are. */
struct rex_odls_settings {
  char* births;    /* MCA: "template" or "exec" */
  bool verbose;    /* MCA */
  char* directory; /* of this very component */
  char* library;   /* librex_template.so */
  char* spawner;   /* rexd-spawner */
};
extern struct rex_odls_settings rex_odls_settings;

extern orte_odls_base_module_t rex_odls_module;
/* Ends what is under way. */
void rex_odls_close(void);

/* A line on orted's stderr, when asked for. */
void rex_odls_note(void* self, const char* line);
/* One of ORTE's help texts, as its own component shows them. */
void rex_odls_help(const char* file, const char* topic, ...);

/* So many are kept for a rank that is not born yet; mpirun passes on one at a time. */
#define REX_ODLS_MOST_SIGNALS 8

/* One rank's birth, from ORTE's order to its state. */
struct rex_odls_birth {
  orte_odls_spawn_caddy_t* caddy;     /* retained */
  orte_proc_t* child;                 /* retained */
  bool ordered_to_die;                /* while it was held */
  char* library_path;                 /* of a staged program; else null */
  char* image_dir;                    /* likewise */
  int signals[REX_ODLS_MOST_SIGNALS]; /* that came before it was born */
  int signal_count;
  struct rex_odls_birth* next;        /* taken, not yet added */
  struct rex_odls_birth* next_unborn; /* of all that are not born yet */
};

/* Binding (odls_rex_bind.c). Memory nodes of a rank that gets a memory policy: malloc'ed words and
 * their count; 0 for none. */
size_t rex_odls_memory_nodes(const struct rex_odls_birth* birth, uint64_t** words);
/* Takes the variable away that would make MPI_Init report the binding once more. */
void rex_odls_report_once(struct rex_odls_birth* birth);
/* Binds a held rank and reports that. False: it must not run, and that was shown. */
bool rex_odls_bind(struct rex_odls_birth* birth, pid_t pid, int stderr_fd);

#endif
