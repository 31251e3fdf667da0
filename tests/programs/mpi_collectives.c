/* Several collectives, large and small, each result checked by every rank. Argument: how many ranks
 * there are on each node; default: all. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT 100000

static int rank, size, on_node;
static int failures;

static void expect(int good, const char* what) {
  if (good) return;
  ++failures;
  fprintf(stderr, "rank %d: %s is wrong\n", rank, what);
}

static void check_bcast(void) {
  int* values = malloc(COUNT * sizeof(int));
  int good = 1;
  for (int i = 0; i < COUNT; ++i) values[i] = rank == size - 1 ? i * 3 : -1;
  MPI_Bcast(values, COUNT, MPI_INT, size - 1, MPI_COMM_WORLD);
  for (int i = 0; i < COUNT; ++i) good = good && values[i] == i * 3;
  expect(good, "bcast");
  free(values);
}

static void check_reductions(void) {
  long sum = 0;
  int largest = -1;
  long mine = rank + 1;
  MPI_Allreduce(&mine, &sum, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
  expect(sum == (long)size * (size + 1) / 2, "allreduce");
  MPI_Reduce(&rank, &largest, 1, MPI_INT, MPI_MAX, 0, MPI_COMM_WORLD);
  expect(rank != 0 || largest == size - 1, "reduce");
  long before = 0;
  MPI_Scan(&mine, &before, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
  expect(before == (long)(rank + 1) * (rank + 2) / 2, "scan");
}

static void check_exchange(void) {
  int* out = malloc((size_t)size * sizeof(int));
  int* in = malloc((size_t)size * sizeof(int));
  int good = 1;
  for (int i = 0; i < size; ++i) out[i] = rank * 1000 + i;
  MPI_Alltoall(out, 1, MPI_INT, in, 1, MPI_INT, MPI_COMM_WORLD);
  for (int i = 0; i < size; ++i) good = good && in[i] == i * 1000 + rank;
  expect(good, "alltoall");
  MPI_Allgather(&rank, 1, MPI_INT, in, 1, MPI_INT, MPI_COMM_WORLD);
  for (int i = 0; i < size; ++i) good = good && in[i] == i;
  expect(good, "allgather");
  free(out);
  free(in);
}

static void check_split(void) {
  MPI_Comm half;
  int members = 0, sum = 0;
  MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &half);
  MPI_Comm_size(half, &members);
  const int one = 1;
  MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, half);
  expect(sum == members, "allreduce after split");
  MPI_Comm_free(&half);
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &half);
  MPI_Comm_size(half, &members);
  expect(members == (on_node > 0 ? on_node : size), "ranks on this node");
  MPI_Comm_free(&half);
}

int main(int argc, char** argv) {
  int all = 0;
  if (argc > 1) on_node = atoi(argv[1]);
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  check_bcast();
  check_reductions();
  check_exchange();
  check_split();
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Allreduce(&failures, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) printf("collectives size=%d failures=%d\n", size, all);
  MPI_Finalize();
  return all != 0;
}
