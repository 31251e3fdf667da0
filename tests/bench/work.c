/* work MILLIONS: so many million steps of arithmetic, then a line with the CPU time that they took.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char** argv) {
  const uint64_t steps = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1000) * 1000000;
  volatile uint64_t sink = 0;
  uint64_t x = 88172645463325252ULL;
  for (uint64_t i = 0; i < steps; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  sink = x;
  (void)sink;
  struct timespec cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  printf("cpu_s=%.3f\n", (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
  return 0;
}
