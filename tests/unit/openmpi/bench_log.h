/* What a bench's made-up surroundings were told, a line each. One log for a program. */
#ifndef REX_TESTS_UNIT_OPENMPI_BENCH_LOG_H_
#define REX_TESTS_UNIT_OPENMPI_BENCH_LOG_H_

#ifdef __cplusplus
extern "C" {
#endif

__attribute__((format(printf, 1, 2))) void bench_tell(const char* format, ...);
/* The lines since the last call; good until the next. */
const char* bench_log(void);
void bench_log_clear(void);

#ifdef __cplusplus
}
#endif

#endif
