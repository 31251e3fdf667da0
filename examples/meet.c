/* Two commands that meet by name in one DVM (rexctl start): `rexlaunch -n 1 meet serve` waits at a
 * port for a visitor, `rexlaunch -n 1 meet visit` finds it; each says what it got of the other. */
#include <mpi.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char* kName = "rex-example-meet";

/* 0 when nobody publishes the name within half a minute. */
static int find(char* port) {
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  for (int tries = 0; tries < 1500; ++tries) {
    if (MPI_Lookup_name(kName, MPI_INFO_NULL, port) == MPI_SUCCESS) return 1;
    usleep(20000);
  }
  return 0;
}

int main(int argc, char** argv) {
  char port[MPI_MAX_PORT_NAME];
  MPI_Comm other;
  MPI_Init(&argc, &argv);
  const int serve = argc > 1 && strcmp(argv[1], "serve") == 0;
  if (serve) {
    MPI_Open_port(MPI_INFO_NULL, port);
    MPI_Publish_name(kName, MPI_INFO_NULL, port);
    MPI_Comm_accept(port, MPI_INFO_NULL, 0, MPI_COMM_SELF, &other);
    MPI_Unpublish_name(kName, MPI_INFO_NULL, port);
  } else {
    if (!find(port)) {
      fprintf(stderr, "meet: nobody serves; start `meet serve` in the same DVM\n");
      MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Comm_connect(port, MPI_INFO_NULL, 0, MPI_COMM_SELF, &other);
  }
  int mine = serve ? 1 : 2, theirs = 0;
  MPI_Sendrecv(&mine, 1, MPI_INT, 0, 0, &theirs, 1, MPI_INT, 0, 0, other, MPI_STATUS_IGNORE);
  printf("%s got %d\n", serve ? "server" : "visitor", theirs);
  MPI_Comm_disconnect(&other);
  if (serve) MPI_Close_port(port);
  MPI_Finalize();
  return 0;
}
