/* An MPI rank that says where it is and computes one sum with the others. */
#include <mpi.h>
#include <stdio.h>

int main(int argc, char** argv) {
  int rank = 0, size = 0, sum = 0, found = 0;
  int *app = NULL, *universe = NULL;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  MPI_Comm shared;
  int shared_size = 0;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &shared);
  MPI_Comm_size(shared, &shared_size);
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_APPNUM, &app, &found);
  const int appnum = found ? *app : -1;
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_UNIVERSE_SIZE, &universe, &found);
  printf("rank=%d size=%d sum=%d shared=%d app=%d universe=%d\n", rank, size, sum, shared_size,
         appnum, found ? *universe : -1);
  MPI_Comm_free(&shared);
  MPI_Finalize();
  return 0;
}
