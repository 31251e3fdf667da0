/* mpi_spawn_self PROGRAM: starts two more of PROGRAM, which is this one, and adds up what they are.
 */
#include <mpi.h>
#include <stdio.h>

int main(int argc, char** argv) {
  MPI_Comm parent;
  MPI_Comm other;
  int rank, sum = 0, one = 1;
  MPI_Init(&argc, &argv);
  MPI_Comm_get_parent(&parent);
  if (parent == MPI_COMM_NULL) {
    char* program = argc > 1 ? argv[1] : argv[0];
    MPI_Comm_spawn(program, MPI_ARGV_NULL, 2, MPI_INFO_NULL, 0, MPI_COMM_WORLD, &other,
                   MPI_ERRCODES_IGNORE);
  } else {
    other = parent;
  }
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm all;
  MPI_Intercomm_merge(other, parent != MPI_COMM_NULL, &all);
  MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, all);
  printf("%s rank=%d of all=%d\n", parent == MPI_COMM_NULL ? "parent" : "child", rank, sum);
  MPI_Comm_free(&all);
  MPI_Comm_disconnect(&other);
  MPI_Finalize();
  return 0;
}
