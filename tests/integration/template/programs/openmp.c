/* How many threads OpenMP will use: decided by its library's constructor. */
#include <omp.h>
#include <stdio.h>
int main(void) {
  int counted = 0;
#pragma omp parallel reduction(+ : counted)
  ++counted;
  printf("max=%d procs=%d counted=%d\n", omp_get_max_threads(), omp_get_num_procs(), counted);
  return 0;
}
