/* Manager and workers: two programs in one MPI_COMM_WORLD (MPMD). This is the manager; it must be
 * the first program on the command line, so that it is rank 0:
 *
 *   rexlaunch -n 1 ./manager : -n 3 ./worker
 *
 * It hands out numbers to square, one at a time, to whoever is free, and sums the answers. */
#include <mpi.h>
#include <stdio.h>

enum { kTagWork = 1, kTagAnswer = 2, kTagStop = 3, kJobs = 20 };

int main(int argc, char** argv) {
  int size, sent = 0, sum = 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const int workers = size - 1;
  for (int worker = 1; worker <= workers && sent < kJobs; ++worker) {
    ++sent;
    MPI_Send(&sent, 1, MPI_INT, worker, kTagWork, MPI_COMM_WORLD);
  }
  for (int received = 0; received < kJobs && workers > 0; ++received) {
    int answer;
    MPI_Status status;
    MPI_Recv(&answer, 1, MPI_INT, MPI_ANY_SOURCE, kTagAnswer, MPI_COMM_WORLD, &status);
    sum += answer;
    if (sent == kJobs) continue;
    ++sent;
    MPI_Send(&sent, 1, MPI_INT, status.MPI_SOURCE, kTagWork, MPI_COMM_WORLD);
  }
  for (int worker = 1; worker <= workers; ++worker) {
    MPI_Send(NULL, 0, MPI_INT, worker, kTagStop, MPI_COMM_WORLD);
  }
  printf("manager: %d workers, the squares of 1 to %d add up to %d\n", workers, kJobs, sum);
  MPI_Finalize();
  return 0;
}
