/* Whether a rank can connect to its host after another's end was overlooked: `pmix_reuse DIR`.
 *
 * The parent spawns a child, which goes on to close its connection when DIR/go is there; keeps the
 * host's progress thread busy meanwhile with a connection that says nothing; waits until the child
 * has been reaped; lets go, and spawns a child whose connection the host will likely give the
 * number of the first one's. It prints "both came" when that child ended well, too. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pmix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kTicks = 3000, kSettleTicks = 20 }; /* of 10 ms */

static const char* hold_dir; /* of a child that waits before it closes its connection */

static void tick(void) {
  const struct timespec ten_ms = {0, 10000000};
  nanosleep(&ten_ms, NULL);
}

static const char* path_of(const char* dir, const char* name) {
  static char path[512];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return path;
}

static int put(const char* dir, const char* name) {
  FILE* file = fopen(path_of(dir, name), "w");
  if (file == NULL) return -1;
  fprintf(file, "%d\n", (int)getpid());
  return fclose(file);
}

/* The number in the file, once it is there; -1: it never was. */
static int await(const char* dir, const char* name) {
  for (int i = 0; i < kTicks; ++i) {
    int number = 0;
    FILE* file = fopen(path_of(dir, name), "r");
    const int got = file != NULL && fscanf(file, "%d", &number) == 1;
    if (file != NULL) fclose(file);
    if (got) return number;
    tick();
  }
  return -1;
}

/* libpmix's own, which it calls just before it closes its connection. */
int shutdown(int fd, int how) {
  if (hold_dir != NULL) {
    const char* dir = hold_dir;
    hold_dir = NULL;
    put(dir, "ready");
    await(dir, "go");
  }
  return (int)syscall(SYS_shutdown, fd, how);
}

/* Connects to the host's port and sends a byte, which is no whole message. */
static int occupy(void) {
  const char* uri = getenv("PMIX_SERVER_URI41");
  const char* port = uri != NULL ? strrchr(uri, ':') : NULL;
  struct sockaddr_in to = {.sin_family = AF_INET};
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (port == NULL || fd < 0) return -1;
  to.sin_port = htons((unsigned short)atoi(port + 1));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, (struct sockaddr*)&to, sizeof to) != 0) return -1;
  return write(fd, "", 1) == 1 ? fd : -1;
}

/* The host has read the byte, so that its thread waits for the rest (proc(5), /proc/net/tcp). */
static int is_read(int fd) {
  struct sockaddr_in own;
  socklen_t bytes = sizeof own;
  char line[512];
  int found = 0;
  if (getsockname(fd, (struct sockaddr*)&own, &bytes) != 0) return 0;
  FILE* table = fopen("/proc/net/tcp", "r");
  while (table != NULL && fgets(line, sizeof line, table) != NULL) {
    unsigned remote = 0, unread = 1;
    if (sscanf(line, " %*d: %*x:%*x %*x:%x %*x %*x:%x", &remote, &unread) != 2) continue;
    if (remote == ntohs(own.sin_port)) found = unread == 0;
  }
  if (table != NULL) fclose(table);
  return found;
}

static int spawn(const char* self, const char* dir, const char* how) {
  char name_space[PMIX_MAX_NSLEN + 1];
  pmix_app_t app;
  PMIX_APP_CONSTRUCT(&app);
  app.cmd = strdup(self);
  app.maxprocs = 1;
  app.argv = calloc(4, sizeof(char*));
  app.argv[0] = strdup(self);
  app.argv[1] = strdup(dir);
  app.argv[2] = strdup(how);
  const pmix_status_t status = PMIx_Spawn(NULL, 0, &app, 1, name_space);
  if (status != PMIX_SUCCESS) printf("spawn: %s\n", PMIx_Error_string(status));
  return status == PMIX_SUCCESS ? 0 : -1;
}

static int run_parent(const char* self, const char* dir) {
  if (spawn(self, dir, "hold") != 0) return 3;
  const int child = await(dir, "ready");
  const int busy = occupy();
  if (child < 0 || busy < 0) return 4;
  for (int i = 0; i < kTicks && !is_read(busy); ++i) tick();
  if (put(dir, "go") != 0) return 5;
  for (int i = 0; i < kTicks && kill(child, 0) == 0; ++i) tick();
  for (int i = 0; i < kSettleTicks; ++i) tick(); /* the host hears of it; nothing tells */
  close(busy);
  if (spawn(self, dir, "plain") != 0 || await(dir, "plain") < 0) return 6;
  puts("both came");
  return 0;
}

int main(int argc, char** argv) {
  pmix_proc_t me;
  int code = 0;
  if (argc < 2 || PMIx_Init(&me, NULL, 0) != PMIX_SUCCESS) return 1;
  const char* how = argc > 2 ? argv[2] : "";
  if (strcmp(how, "hold") == 0) hold_dir = argv[1];
  if (strcmp(how, "plain") == 0 && put(argv[1], "plain") != 0) code = 7;
  if (argc == 2) code = run_parent(argv[0], argv[1]);
  PMIx_Finalize(NULL, 0);
  return code;
}
