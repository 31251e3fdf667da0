/* Rank 0 spawns N copies of this program and waits until they are there: `spawn_children N`. Prints
 * how long MPI_Comm_spawn took, in microseconds: of the first spawn, and of one more. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static long spawn(const char* self, int count) {
  MPI_Comm children;
  const double begin = MPI_Wtime();
  MPI_Comm_spawn(self, MPI_ARGV_NULL, count, MPI_INFO_NULL, 0, MPI_COMM_SELF, &children,
                 MPI_ERRCODES_IGNORE);
  const double end = MPI_Wtime();
  MPI_Comm_disconnect(&children);
  return (long)((end - begin) * 1e6);
}

int main(int argc, char** argv) {
  MPI_Comm parent;
  MPI_Init(&argc, &argv);
  MPI_Comm_get_parent(&parent);
  if (parent != MPI_COMM_NULL) {
    MPI_Comm_disconnect(&parent);
  } else {
    const int count = argc > 1 ? atoi(argv[1]) : 1;
    const long first = spawn(argv[0], count);
    const long second = spawn(argv[0], count);
    printf("spawn first_us=%ld second_us=%ld\n", first, second);
  }
  MPI_Finalize();
  return 0;
}
