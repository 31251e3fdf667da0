/* The worker of manager.c: squares what it is sent until it is told to stop. */
#include <mpi.h>
#include <stdio.h>

enum { kTagWork = 1, kTagAnswer = 2, kTagStop = 3 };

int main(int argc, char** argv) {
  int rank, done = 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (;;) {
    int number;
    MPI_Status status;
    MPI_Recv(&number, 1, MPI_INT, 0, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
    if (status.MPI_TAG == kTagStop) break;
    const int square = number * number;
    MPI_Send(&square, 1, MPI_INT, 0, kTagAnswer, MPI_COMM_WORLD);
    ++done;
  }
  printf("worker %d: %d numbers squared\n", rank, done);
  MPI_Finalize();
  return 0;
}
