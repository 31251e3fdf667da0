/* mpi_abort RANK CODE: that rank calls MPI_Abort, the others wait in a barrier. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  int rank;
  const int who = argc > 1 ? atoi(argv[1]) : 0;
  const int code = argc > 2 ? atoi(argv[2]) : 1;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == who) MPI_Abort(MPI_COMM_WORLD, code);
  MPI_Barrier(MPI_COMM_WORLD);
  printf("not reached rank=%d\n", rank);
  MPI_Finalize();
  return 0;
}
