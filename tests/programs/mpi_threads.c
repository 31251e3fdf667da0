/* MPI_THREAD_MULTIPLE: threads of each rank talk to the same thread of the next rank, all at once.
 */
#include <mpi.h>
#include <pthread.h>
#include <stdio.h>

#define THREADS 3
#define ROUNDS 50

static int rank, size;

static void* talk(void* arg) {
  const int tag = 100 + (int)(long)arg;
  const int next = (rank + 1) % size;
  const int before = (rank + size - 1) % size;
  long wrong = 0;
  for (int round = 0; round < ROUNDS; ++round) {
    const int mine = rank * 1000 + round;
    int theirs = -1;
    MPI_Sendrecv(&mine, 1, MPI_INT, next, tag, &theirs, 1, MPI_INT, before, tag, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    wrong += theirs != before * 1000 + round;
  }
  return (void*)wrong;
}

int main(int argc, char** argv) {
  int provided, all = 0;
  pthread_t threads[THREADS];
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  int wrong = provided != MPI_THREAD_MULTIPLE;
  for (long i = 0; i < THREADS; ++i) pthread_create(&threads[i], NULL, talk, (void*)i);
  for (int i = 0; i < THREADS; ++i) {
    void* result;
    pthread_join(threads[i], &result);
    wrong += (int)(long)result;
  }
  MPI_Allreduce(&wrong, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) printf("threads size=%d provided=%d wrong=%d\n", size, provided, all);
  MPI_Finalize();
  return all != 0;
}
