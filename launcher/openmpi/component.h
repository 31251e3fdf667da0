/* What rex's components for Open MPI have in common: where they are, whether they are for this Open
 * MPI and this job, and what must not reach the ranks. Linked into each. */
#ifndef REX_LAUNCHER_OPENMPI_COMPONENT_H_
#define REX_LAUNCHER_OPENMPI_COMPONENT_H_

#include <stdbool.h>

#include "opal/mca/mca.h"

/* Why no component of rex can serve this process: it is no daemon, or its Open MPI is of another
 * version than this was built for, and only with that the layout of ORTE's structures is known.
 * Null: one can. Touches none of them before it knows. */
const char* rex_component_unfit(void);
/* A query's answer that says no, so that ORTE's own component does all; `verbose`: says `what`
 * follows, and why. */
int rex_component_decline(mca_base_module_t** module, int* priority, bool verbose, const char* what,
                          const char* why);

/* Where the calling component lies, malloc'ed, or null: links, as in ~/.openmpi/components, are
 * followed. */
char* rex_component_directory(void);
/* `directory`/`relative`, malloc'ed, or null when it is no file of ours to use, which `verbose`
 * says. */
char* rex_component_file(const char* directory, const char* relative, bool verbose);

/* orted hands its own MCA settings on to the ranks. Not the ones that rexlaunch gave it. */
void rex_component_clear_environment(const char* directory);

/* An entry of an app's environment by which filem tells odls how a staged program is run:
 * directories for ld.so alone, a blank, the image's directory. It goes no further. */
#define REX_COMPONENT_STAGED "REX_STAGED"

#endif
