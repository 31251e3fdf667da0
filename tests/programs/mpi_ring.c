/* A token goes round ROUNDS times (default 10); each rank adds one. Rank 0 checks the sum. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  int rank, size;
  long token = 0;
  const int rounds = argc > 1 ? atoi(argv[1]) : 10;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const int next = (rank + 1) % size;
  const int before = (rank + size - 1) % size;
  for (int round = 0; round < rounds; ++round) {
    if (rank != 0) MPI_Recv(&token, 1, MPI_LONG, before, 7, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    ++token;
    MPI_Request sent;
    MPI_Isend(&token, 1, MPI_LONG, next, 7, MPI_COMM_WORLD, &sent);
    long back = token;
    if (rank == 0) MPI_Recv(&back, 1, MPI_LONG, before, 7, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Wait(&sent, MPI_STATUS_IGNORE);
    if (rank == 0) token = back;
  }
  const int good = rank != 0 || token == (long)rounds * size;
  if (rank == 0) printf("ring size=%d token=%ld ok=%d\n", size, token, good);
  MPI_Finalize();
  return good ? 0 : 1;
}
