/* mpi_init_probe [SLEEP_MS]: when each rank entered main and left MPI_Init, and what MPI_Init cost.
 *
 *   probe rank=R main_us=T init_us=T cpu_us=C
 *
 * Times are CLOCK_MONOTONIC in microseconds since boot, so that the one who started the command can
 * compare. Rank 0 prints for all, after MPI_Init of all: printing disturbs nothing that is
 * measured. Plain MPI: built with Open MPI for us and mpirun, and with MPICH for Hydra. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static long long now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

static long long cpu_us(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000ll + used.ru_utime.tv_usec +
         used.ru_stime.tv_usec;
}

static void print_all(const long long* times, int size) {
  for (int i = 0; i < size; ++i) {
    printf("probe rank=%d main_us=%lld init_us=%lld cpu_us=%lld\n", i, times[3 * i],
           times[3 * i + 1], times[3 * i + 2]);
  }
  fflush(stdout);
}

int main(int argc, char** argv) {
  long long mine[3];
  long long* all = NULL;
  int rank, size;
  mine[0] = now_us();
  const long long cpu_before = cpu_us();
  MPI_Init(&argc, &argv);
  mine[1] = now_us();
  mine[2] = cpu_us() - cpu_before;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (rank == 0) all = malloc((size_t)size * sizeof mine);
  MPI_Gather(mine, 3, MPI_LONG_LONG, all, 3, MPI_LONG_LONG, 0, MPI_COMM_WORLD);
  if (rank == 0) print_all(all, size);
  free(all);
  if (argc > 1) {
    const struct timespec pause = {atol(argv[1]) / 1000, (atol(argv[1]) % 1000) * 1000000};
    nanosleep(&pause, NULL);
  }
  MPI_Finalize();
  return 0;
}
