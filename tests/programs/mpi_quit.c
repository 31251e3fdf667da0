/* mpi_quit RANK CODE: that rank ends after MPI_Init without MPI_Finalize; the others wait for it.
 */
#include <mpi.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char** argv) {
  int rank;
  const int who = argc > 1 ? atoi(argv[1]) : 0;
  const int code = argc > 2 ? atoi(argv[2]) : 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == who) _exit(code);
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Finalize();
  return 0;
}
