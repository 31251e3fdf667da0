/* mpi_io FILE: every rank writes its block, reads its neighbour's, checks it. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT 10000

static int check_block(MPI_File file, int owner) {
  static int values[COUNT];
  MPI_File_read_at_all(file, (MPI_Offset)owner * COUNT * (MPI_Offset)sizeof(int), values, COUNT,
                       MPI_INT, MPI_STATUS_IGNORE);
  int wrong = 0;
  for (int i = 0; i < COUNT; ++i) wrong += values[i] != owner * COUNT + i;
  return wrong;
}

int main(int argc, char** argv) {
  int rank, size, wrong, all = 0;
  static int values[COUNT];
  MPI_File file;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (argc < 2 || MPI_File_open(MPI_COMM_WORLD, argv[1], MPI_MODE_CREATE | MPI_MODE_RDWR,
                                MPI_INFO_NULL, &file) != MPI_SUCCESS) {
    MPI_Abort(MPI_COMM_WORLD, 9);
  }
  for (int i = 0; i < COUNT; ++i) values[i] = rank * COUNT + i;
  MPI_File_write_at_all(file, (MPI_Offset)rank * (MPI_Offset)sizeof values, values, COUNT, MPI_INT,
                        MPI_STATUS_IGNORE);
  MPI_File_sync(file);
  MPI_Barrier(MPI_COMM_WORLD);
  wrong = check_block(file, (rank + 1) % size);
  MPI_File_close(&file);
  MPI_Allreduce(&wrong, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) printf("io size=%d wrong=%d\n", size, all);
  MPI_Finalize();
  return all != 0;
}
