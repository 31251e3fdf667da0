/* Ports and names. Without arguments: rank 0 accepts, rank 1 connects, by a published name, twice;
 * then the name is taken back. "jobs": the only rank spawns a server and a client, which find each
 * other by name. "join": ranks 0 and 1 join over a socket. "nobody": looks for what is not there.
 */
#include <arpa/inet.h>
#include <mpi.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char* kService = "rex-connect";

static int meet(MPI_Comm inter, int mine) {
  int theirs = -1;
  MPI_Sendrecv(&mine, 1, MPI_INT, 0, 1, &theirs, 1, MPI_INT, 0, 1, inter, MPI_STATUS_IGNORE);
  MPI_Comm_disconnect(&inter);
  return theirs;
}

static void serve(int rounds) {
  char port[MPI_MAX_PORT_NAME];
  MPI_Comm inter;
  MPI_Open_port(MPI_INFO_NULL, port);
  MPI_Publish_name(kService, MPI_INFO_NULL, port);
  for (int i = 0; i < rounds; ++i) {
    MPI_Comm_accept(port, MPI_INFO_NULL, 0, MPI_COMM_SELF, &inter);
    printf("server got %d\n", meet(inter, 100 + i));
  }
  MPI_Unpublish_name(kService, MPI_INFO_NULL, port);
  MPI_Close_port(port);
  fflush(stdout);
}

static int find(char* port, int tries) {
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  for (; tries > 0; --tries) {
    if (MPI_Lookup_name(kService, MPI_INFO_NULL, port) == MPI_SUCCESS) return 1;
    usleep(10000);
  }
  return 0;
}

static void visit(int rounds) {
  char port[MPI_MAX_PORT_NAME];
  MPI_Comm inter;
  if (!find(port, 3000)) MPI_Abort(MPI_COMM_WORLD, 7);
  for (int i = 0; i < rounds; ++i) {
    MPI_Comm_connect(port, MPI_INFO_NULL, 0, MPI_COMM_SELF, &inter);
    printf("client got %d\n", meet(inter, 200 + i));
  }
  fflush(stdout);
}

static void spawn(const char* self, char* what) {
  char* argv[] = {what, NULL};
  MPI_Comm inter;
  MPI_Comm_spawn(self, argv, 1, MPI_INFO_NULL, 0, MPI_COMM_SELF, &inter, MPI_ERRCODES_IGNORE);
  MPI_Comm_disconnect(&inter);
}

/* A connected socket between ranks 0 and 1 of one machine. */
static int connect_ranks(int rank) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (rank == 0) {
    bind(fd, (struct sockaddr*)&address, sizeof address);
    listen(fd, 1);
    getsockname(fd, (struct sockaddr*)&address, &length);
    MPI_Send(&address, sizeof address, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
    return accept(fd, NULL, NULL);
  }
  MPI_Recv(&address, sizeof address, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  return connect(fd, (struct sockaddr*)&address, sizeof address) == 0 ? fd : -1;
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  char port[MPI_MAX_PORT_NAME];
  int rank;
  MPI_Comm parent, inter;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_get_parent(&parent);
  if (parent != MPI_COMM_NULL) MPI_Comm_disconnect(&parent);
  if (strcmp(what, "server") == 0) {
    serve(1);
  } else if (strcmp(what, "client") == 0) {
    visit(1);
  } else if (strcmp(what, "jobs") == 0) {
    spawn(argv[0], "client");
    spawn(argv[0], "server");
  } else if (strcmp(what, "nobody") == 0) {
    printf("found=%d\n", find(port, 1));
  } else if (strcmp(what, "join") == 0) {
    MPI_Comm_join(connect_ranks(rank), &inter);
    printf("rank %d joined, got %d\n", rank, meet(inter, 300 + rank));
  } else {
    if (rank == 0) serve(2);
    if (rank == 1) visit(2);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 1) printf("after unpublish found=%d\n", find(port, 1));
  }
  MPI_Finalize();
  return 0;
}
