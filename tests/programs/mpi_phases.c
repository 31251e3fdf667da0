/* mpi_phases INIT_MS RUN_MS: prints and waits before MPI_Init, between, and after MPI_Finalize, so
 * that a fault test can strike in a known phase. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void say(const char* phase, const char* wait_ms) {
  const long ms = wait_ms != NULL ? atol(wait_ms) : 0;
  const struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};
  printf("phase=%s\n", phase);
  fflush(stdout);
  nanosleep(&pause, NULL);
}

int main(int argc, char** argv) {
  say("before-init", argc > 1 ? argv[1] : NULL);
  MPI_Init(&argc, &argv);
  say("initialized", argc > 2 ? argv[2] : NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Finalize();
  say("finalized", NULL);
  return 0;
}
