/* MPI between the ranks, OpenMP threads inside each: pi by the midpoint rule.
 *
 *   rexlaunch -n 2 -x OMP_NUM_THREADS=2 ./hybrid */
#include <mpi.h>
#include <omp.h>
#include <stdio.h>

int main(int argc, char** argv) {
  const long steps = 2000000;
  int rank, size, provided;
  double mine = 0, pi = 0;
  /* Only the thread that called this makes MPI calls. */
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
#pragma omp parallel for reduction(+ : mine)
  for (long i = rank; i < steps; i += size) {
    const double x = ((double)i + 0.5) / (double)steps;
    mine += 4.0 / (1.0 + x * x);
  }
  MPI_Reduce(&mine, &pi, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
  printf("rank %d of %d used %d threads\n", rank, size, omp_get_max_threads());
  if (rank == 0) printf("pi is about %.6f\n", pi / (double)steps);
  MPI_Finalize();
  return 0;
}
