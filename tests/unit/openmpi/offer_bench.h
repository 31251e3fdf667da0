/* filem_rex_offer.c in surroundings that a test makes up: mpirun with so many nodes, a clock that
 * stands until it is moved, and everybody to whom something is said. What happens is told by lines.
 */
#ifndef REX_TESTS_UNIT_OPENMPI_OFFER_BENCH_H_
#define REX_TESTS_UNIT_OPENMPI_OFFER_BENCH_H_

#include <stdbool.h>

#include "launcher/openmpi/stager_words.h"

#include "bench_log.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `tmp`: an existing directory. */
void bench_open(unsigned nodes, const char* tmp);
void bench_close(void);
/* ORTE's hook is called for a job with this program (null: one that is not here). */
void bench_offer(unsigned job, const char* program, bool preload_binary);
/* The stager, or a node, says this. Words are texts, ended by a null pointer. */
void bench_say(enum rex_stager_kind kind, unsigned job, unsigned node, ...);
/* The last fence's file was acknowledged by all daemons. */
void bench_fence_over(void);
void bench_lose_stager(void);
void bench_no_stager(bool none); /* it can't be started */
void bench_no_fence(bool none);  /* raw refuses it */
void bench_stage(const char* mode);
/* The clock goes on; alarms that are due ring. */
void bench_advance(int seconds);
int bench_alarms(void); /* set */

#ifdef __cplusplus
}
#endif

#endif
