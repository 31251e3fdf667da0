/* Prints what a rank's memory costs, from its own /proc/self/smaps_rollup (proc(5)), in KiB: at the
 * begin of main, when all ranks are born, and after MPI_Init and a barrier. */
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static long field(const char* text, const char* name) {
  long value = -1;
  const char* at = strstr(text, name);
  if (at == NULL || sscanf(at + strlen(name), ": %ld", &value) != 1) return -1;
  return value;
}

/* Without stdio, which would be memory itself. */
static void read_rollup(char* text, size_t room) {
  const int file = open("/proc/self/smaps_rollup", O_RDONLY);
  const ssize_t bytes = file >= 0 ? read(file, text, room - 1) : 0;
  text[bytes > 0 ? bytes : 0] = '\0';
  if (file >= 0) close(file);
}

int main(int argc, char** argv) {
  static char early[4096];
  static char late[4096];
  read_rollup(early, sizeof early);
  MPI_Init(&argc, &argv);
  MPI_Barrier(MPI_COMM_WORLD);
  read_rollup(late, sizeof late);
  MPI_Barrier(MPI_COMM_WORLD);
  printf("memory main_private=%ld private=%ld shared=%ld pss=%ld\n",
         field(early, "\nPrivate_Dirty"), field(late, "\nPrivate_Dirty"),
         field(late, "\nShared_Dirty"), field(late, "\nPss"));
  MPI_Finalize();
  return 0;
}
