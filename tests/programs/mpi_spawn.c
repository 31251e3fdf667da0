/* Spawns copies of itself, or other programs, and says what came of it.
 *
 *   mpi_spawn [-n CHILDREN] [-p PROGRAM] [-i KEY=VALUE]... [-m PROGRAM2:N2] [-r ROUNDS] [-R ROOT]
 *             [-s] [--parent STEPS] [--child STEPS] [--args WORD...]
 *
 * Steps, separated by commas, are run after the spawn by the parents, and by the children as soon
 * as they have their parent: merge disconnect print:TEXT exit:N abort:N signal:N sleep:MS where cwd
 * env:NAME stdin spawn:N touch:FILE end:N (exit after MPI_Finalize) only:RANK (the steps behind it
 * are for that rank). -s: each rank spawns by
 * itself (MPI_COMM_SELF). Errors of the spawn are shown by class, not fatal.
 */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static int world_rank, world_size;

static void merge(MPI_Comm* inter, int high) {
  MPI_Comm all;
  int size, sum = 1, remote;
  MPI_Comm_remote_size(*inter, &remote);
  MPI_Intercomm_merge(*inter, high, &all);
  MPI_Comm_size(all, &size);
  MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_INT, MPI_SUM, all);
  if (world_rank == 0) {
    printf("%s size=%d remote=%d merged=%d sum=%d\n", high ? "child" : "parent", world_size, remote,
           size, sum);
    fflush(stdout);
  }
  MPI_Comm_free(&all);
}

static void show_stdin(void) {
  char line[256] = "";
  if (fgets(line, sizeof line, stdin) == NULL) strcpy(line, "(end)\n");
  printf("rank %d read %s", world_rank, line);
  fflush(stdout);
}

static void spawn_more(const char* self, int n) {
  MPI_Comm inter;
  char* argv[] = {"--child", "merge,disconnect", NULL};
  MPI_Comm_spawn(self, argv, n, MPI_INFO_NULL, 0, MPI_COMM_WORLD, &inter, MPI_ERRCODES_IGNORE);
  merge(&inter, 0);
  MPI_Comm_disconnect(&inter);
}

/* One step; `inter` may be MPI_COMM_NULL. */
static void step(const char* self, const char* text, MPI_Comm* inter, int is_child) {
  const char* value = strchr(text, ':');
  const int number = value != NULL ? atoi(value + 1) : 0;
  char host[256];
  char dir[4096];
  if (strcmp(text, "merge") == 0) {
    merge(inter, is_child);
  } else if (strcmp(text, "disconnect") == 0) {
    MPI_Comm_disconnect(inter);
  } else if (strncmp(text, "print:", 6) == 0) {
    printf("rank %d says %s\n", world_rank, value + 1);
    fflush(stdout);
  } else if (strncmp(text, "exit:", 5) == 0) {
    exit(number);
  } else if (strncmp(text, "end:", 4) == 0) {
    MPI_Finalize();
    exit(number);
  } else if (strncmp(text, "abort:", 6) == 0) {
    MPI_Abort(MPI_COMM_WORLD, number);
  } else if (strncmp(text, "signal:", 7) == 0) {
    raise(number);
  } else if (strncmp(text, "sleep:", 6) == 0) {
    usleep((useconds_t)number * 1000);
  } else if (strcmp(text, "where") == 0) {
    int length;
    MPI_Get_processor_name(host, &length);
    const char* name = getenv("PMIX_HOSTNAME");
    printf("rank %d of %d on %s\n", world_rank, world_size, name != NULL ? name : host);
    fflush(stdout);
  } else if (strcmp(text, "cwd") == 0) {
    printf("rank %d in %s\n", world_rank, getcwd(dir, sizeof dir));
    fflush(stdout);
  } else if (strncmp(text, "env:", 4) == 0) {
    const char* set = getenv(value + 1);
    printf("rank %d has %s=%s\n", world_rank, value + 1, set != NULL ? set : "(unset)");
    fflush(stdout);
  } else if (strcmp(text, "stdin") == 0) {
    show_stdin();
  } else if (strncmp(text, "touch:", 6) == 0) {
    utimes(value + 1, NULL);
  } else if (strncmp(text, "spawn:", 6) == 0) {
    spawn_more(self, number);
  } else {
    fprintf(stderr, "mpi_spawn: unknown step '%s'\n", text);
    MPI_Abort(MPI_COMM_WORLD, 99);
  }
}

static void steps(const char* self, const char* text, MPI_Comm* inter, int is_child) {
  char* copy = strdup(text);
  char* rest = copy;
  for (char* word; (word = strsep(&rest, ",")) != NULL;) {
    if (*word == '\0') continue;
    if (strncmp(word, "only:", 5) == 0) {
      if (world_rank != atoi(word + 5)) break;
      continue;
    }
    step(self, word, inter, is_child);
  }
  free(copy);
}

static void add_info(MPI_Info* info, char* pair) {
  char* equal = strchr(pair, '=');
  if (*info == MPI_INFO_NULL) MPI_Info_create(info);
  if (equal == NULL) return;
  *equal = '\0';
  MPI_Info_set(*info, pair, equal + 1);
}

static void say_error(int code) {
  int class = 0;
  MPI_Error_class(code, &class);
  printf("rank %d spawn failed: class %s\n", world_rank,
         class == MPI_ERR_SPAWN ? "MPI_ERR_SPAWN" : "(another)");
  fflush(stdout);
}

int main(int argc, char** argv) {
  int children = 1, rounds = 1, alone = 0, root = 0, second_n = 0, code = MPI_SUCCESS;
  const char *program = argv[0], *parent_steps = "merge,disconnect", *child_steps = NULL;
  char* second = NULL;
  char** args = NULL;
  char* child_argv[4] = {NULL, NULL, NULL, NULL};
  MPI_Info info = MPI_INFO_NULL;
  MPI_Comm inter;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  MPI_Comm_size(MPI_COMM_WORLD, &world_size);
  for (int i = 1; i < argc; ++i) {
    const char* word = argv[i];
    if (strcmp(word, "-s") == 0) alone = 1;
    if (strcmp(word, "--args") == 0) {
      args = &argv[i + 1];
      break;
    }
    if (i + 1 >= argc) continue;
    if (strcmp(word, "-n") == 0) children = atoi(argv[++i]);
    if (strcmp(word, "-p") == 0) program = argv[++i];
    if (strcmp(word, "-r") == 0) rounds = atoi(argv[++i]);
    if (strcmp(word, "-R") == 0) root = atoi(argv[++i]);
    if (strcmp(word, "-i") == 0) add_info(&info, argv[++i]);
    if (strcmp(word, "-m") == 0) second = argv[++i];
    if (strcmp(word, "--parent") == 0) parent_steps = argv[++i];
    if (strcmp(word, "--child") == 0) child_steps = argv[++i];
  }
  MPI_Comm_get_parent(&inter);
  if (inter != MPI_COMM_NULL) {
    steps(argv[0], child_steps != NULL ? child_steps : "merge,disconnect", &inter, 1);
    MPI_Finalize();
    return 0;
  }
  if (child_steps != NULL) {
    child_argv[0] = "--child";
    child_argv[1] = (char*)child_steps;
  }
  if (args == NULL) args = child_steps != NULL ? child_argv : MPI_ARGV_NULL;
  if (second != NULL) {
    char* colon = strrchr(second, ':');
    *colon = '\0';
    second_n = atoi(colon + 1);
  }
  MPI_Comm from = alone ? MPI_COMM_SELF : MPI_COMM_WORLD;
  if (alone) root = 0;
  MPI_Comm_set_errhandler(from, MPI_ERRORS_RETURN);
  for (int round = 0; round < rounds; ++round) {
    if (second == NULL) {
      code = MPI_Comm_spawn(program, args, children, info, root, from, &inter, MPI_ERRCODES_IGNORE);
    } else {
      char* programs[] = {(char*)program, second};
      char** argvs[] = {args, args};
      int counts[] = {children, second_n};
      MPI_Info infos[] = {info, info};
      code = MPI_Comm_spawn_multiple(2, programs, argvs, counts, infos, root, from, &inter,
                                     MPI_ERRCODES_IGNORE);
    }
    if (code != MPI_SUCCESS) {
      say_error(code);
      continue;
    }
    steps(argv[0], parent_steps, &inter, 0);
  }
  if (info != MPI_INFO_NULL) MPI_Info_free(&info);
  MPI_Finalize();
  return 0;
}
