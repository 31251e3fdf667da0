/* mca_filem_rex.so: ORTE's component that brings programs to nodes, by rex's store and transfer.
 * docs/design/launch-agent.md, "Programs that nodes lack".
 *
 * A shim in C: what an image is, who lacks it and how it goes is rexd-stager's, a process of ours
 * (stager_link.h). ORTE's own component, raw, works inside this one for all the rest. Main thread
 * only.
 */
#ifndef REX_LAUNCHER_OPENMPI_FILEM_REX_H_
#define REX_LAUNCHER_OPENMPI_FILEM_REX_H_

#include "orte/constants.h"
#include "orte_config.h"

#include "orte/mca/filem/base/base.h"
#include "orte/mca/filem/filem.h"

#include "launcher/openmpi/stager_link.h"

struct rex_filem_settings {
  char* stage;     /* MCA: auto, always, never */
  char* store;     /* MCA: memory, disk, DIR */
  char* transport; /* MCA: auto, tree, multicast */
  bool verbose;    /* MCA, or --rex-verbose */
  char* directory; /* of this very component */
  char* stager;    /* rexd-stager */
};
extern struct rex_filem_settings rex_filem_settings;

/* Hooks that nothing in Open MPI 4.1 calls: ORTE's own that do nothing. */
#define REX_FILEM_UNUSED                                                  \
  .put = orte_filem_base_none_put, .put_nb = orte_filem_base_none_put_nb, \
  .get = orte_filem_base_none_get, .get_nb = orte_filem_base_none_get_nb, \
  .rm = orte_filem_base_none_rm, .rm_nb = orte_filem_base_none_rm_nb,     \
  .wait = orte_filem_base_none_wait, .wait_all = orte_filem_base_none_wait_all

extern orte_filem_base_module_t rex_filem_module;
/* ORTE's own, or its functions that do nothing. */
extern orte_filem_base_module_t rex_filem_raw;

/* A line on our stderr, when asked for. */
void rex_filem_note(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* The way of messages (filem_rex_module.c). */
bool rex_filem_start_stager(void);
void rex_filem_tell_stager(enum rex_stager_kind kind, uint32_t job, uint32_t node, size_t count,
                           const struct rex_stager_word* words);
void rex_filem_tell_all(const struct rex_stager_message* message);

/* Calls once, so many seconds after it was set last (filem_rex_module.c). Null: no memory. */
struct rex_filem_alarm;
struct rex_filem_alarm* rex_filem_alarm_new(void (*ring)(void* self), void* self);
void rex_filem_alarm_set(struct rex_filem_alarm* alarm, int seconds);
void rex_filem_alarm_free(struct rex_filem_alarm* alarm);

/* mpirun's part (filem_rex_offer.c). */
int rex_filem_offer(orte_job_t* job, orte_filem_completion_cbfunc_t done, void* data);
/* From our stager, or from a node's plug-in (`message->node`). */
void rex_filem_offer_take(const struct rex_stager_message* message);
/* Our stager is gone: raw's turn, for all jobs. */
void rex_filem_offer_lose(const char* why);
void rex_filem_offer_close(void);

/* A node's part (filem_rex_node.c). */
/* From our stager, or from mpirun's plug-in. */
void rex_filem_node_take(const struct rex_stager_message* message);
void rex_filem_node_lose(const char* why);
/* The app is to be run as it was placed here, if it was. */
void rex_filem_node_use(orte_job_t* job, orte_app_context_t* app);
void rex_filem_node_close(void);
/* To mpirun's plug-in. */
void rex_filem_tell_head(const struct rex_stager_message* message);

/* A word of text. */
struct rex_stager_word rex_filem_word(const char* text);

#endif
