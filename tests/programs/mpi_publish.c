/* Rank 0 publishes a name, the last rank looks it up, rank 0 takes it back, then it is gone. */
#include <mpi.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
  int rank, size, wrong = 0;
  char port[MPI_MAX_PORT_NAME] = "a port name, any text";
  char found[MPI_MAX_PORT_NAME] = "";
  const char* service = argc > 1 ? argv[1] : "rex-test-service";
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (rank == 0) wrong += MPI_Publish_name(service, MPI_INFO_NULL, port) != MPI_SUCCESS;
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == size - 1) {
    wrong += MPI_Lookup_name(service, MPI_INFO_NULL, found) != MPI_SUCCESS;
    wrong += strcmp(found, port) != 0;
  }
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) wrong += MPI_Unpublish_name(service, MPI_INFO_NULL, port) != MPI_SUCCESS;
  MPI_Allreduce(MPI_IN_PLACE, &wrong, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) printf("publish size=%d wrong=%d\n", size, wrong);
  MPI_Finalize();
  return wrong != 0;
}
