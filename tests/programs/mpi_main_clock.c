/* mpi_main_clock SECONDS: CLOCK_MONOTONIC at main, in microseconds; then it stays for a while, so
 * that no rank ends while others are started. Linked with MPI and never in MPI_Init. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char** argv) {
  struct timespec now;
  int inside = 0;
  clock_gettime(CLOCK_MONOTONIC, &now);
  MPI_Initialized(&inside);
  printf("main_us=%lld\n", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
  fflush(stdout);
  sleep(argc > 1 ? (unsigned)atoi(argv[1]) : 1);
  return inside;
}
