/* One-sided: put and get between fences, accumulate under locks, a shared window. */
#include <mpi.h>
#include <stdio.h>

static int rank, size;

static int put_and_get(void) {
  int box[2] = {-1, -1};
  int got = -1;
  MPI_Win window;
  MPI_Win_create(box, sizeof box, sizeof(int), MPI_INFO_NULL, MPI_COMM_WORLD, &window);
  const int next = (rank + 1) % size;
  const int before = (rank + size - 1) % size;
  MPI_Win_fence(0, window);
  MPI_Put(&rank, 1, MPI_INT, next, 0, 1, MPI_INT, window);
  MPI_Win_fence(0, window);
  MPI_Get(&got, 1, MPI_INT, next, 0, 1, MPI_INT, window);
  MPI_Win_fence(0, window);
  MPI_Win_free(&window);
  return box[0] != before || got != rank;
}

static int accumulate(void) {
  long* sum;
  const long mine = rank + 1;
  MPI_Win window;
  MPI_Win_allocate(sizeof(long), sizeof(long), MPI_INFO_NULL, MPI_COMM_WORLD, &sum, &window);
  *sum = 0;
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, window);
  MPI_Accumulate(&mine, 1, MPI_LONG, 0, 0, 1, MPI_LONG, MPI_SUM, window);
  MPI_Win_unlock(0, window);
  MPI_Barrier(MPI_COMM_WORLD);
  long total = 0;
  MPI_Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, window);
  MPI_Get(&total, 1, MPI_LONG, 0, 0, 1, MPI_LONG, window);
  MPI_Win_unlock(0, window);
  MPI_Win_free(&window);
  return total != (long)size * (size + 1) / 2;
}

int main(int argc, char** argv) {
  int wrong, all = 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  wrong = put_and_get() + accumulate();
  MPI_Allreduce(&wrong, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) printf("rma size=%d wrong=%d\n", size, all);
  MPI_Finalize();
  return all != 0;
}
