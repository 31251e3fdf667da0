/* odls_rex_module.c in surroundings that a test makes up: ORTE that orders ranks, births that are
 * as slow as the test likes, and kill(2) that only tells. What happens is told by lines. */
#ifndef REX_TESTS_UNIT_OPENMPI_LOCAL_RANKS_BENCH_H_
#define REX_TESTS_UNIT_OPENMPI_LOCAL_RANKS_BENCH_H_

#include <stdbool.h>

#include "launcher/openmpi/births.h"

#include "bench_log.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_JOB 7
/* No process can have such a pid. */
#define BENCH_FIRST_PID 50000000

void bench_open(void);
void bench_close(void);
/* ORTE orders this rank, and announces RUNNING at once, as it does. */
void bench_order(unsigned rank);
/* The births' turn: all that was ordered is with them. */
void bench_flush(void);
/* It is held at the gate, as pid BENCH_FIRST_PID + rank. False: it is not to run. */
bool bench_held(unsigned rank);
void bench_end(unsigned rank, enum rex_birth_failure failure);
void bench_gone(unsigned rank);
/* mpirun passes this on, to a rank or to all. */
void bench_signal(unsigned rank, int number);
void bench_signal_all(int number);
/* ORTE has marked it, in killing its job. */
void bench_mark_dead(unsigned rank);

#ifdef __cplusplus
}
#endif

#endif
