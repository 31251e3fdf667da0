/* mpi_early_yield: whether Open MPI gives the core away while it waits, before and after MPI_Init:
 * "yields before=0 after=1". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <mpi.h>
#include <stdio.h>

int main(int argc, char** argv) {
  const unsigned char* yields = dlsym(RTLD_DEFAULT, "opal_progress_yield_when_idle");
  if (yields == NULL) return 3; /* another MPI */
  const int before = *yields;
  MPI_Init(&argc, &argv);
  printf("yields before=%d after=%d\n", before, *yields);
  MPI_Finalize();
  return 0;
}
