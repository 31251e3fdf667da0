/* librexspawn from a program without MPI. A script of words, run one after the other:
 *   start:COPIES:WORDS   COPIES of `sh -c WORDS`          detached:COPIES:WORDS
 *   on:HOSTS             only there, from here on         program:PATH   started once, with no
 * words wait                 the next end, shown              wait-all       all, sorted by job and
 * copy nothing              a wait that must time out        none           a wait with nothing
 * left signal:JOB:COPY:SIGNO  COPY -1: all                   running        how many run sleep:MS
 * say:TEXT  exit:CODE  quit (exit without closing)  pid  reopen  fork:MS (a child that sleeps).
 * Errors are shown and do not end it.
 */
#include <rexspawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static rexspawn_t* rex;
static const char* hosts;

static void complain(const char* what) { printf("%s: %s\n", what, rexspawn_error()); }

static void start(const char* text, int detached) {
  const char* words = strchr(text, ':');
  const char* argv[] = {"sh", "-c", words == NULL ? "" : words + 1, NULL};
  const char* env[] = {"GIVEN=yes", NULL};
  rexspawn_request_t request = {argv, env, NULL, hosts, (uint32_t)atoi(text), detached};
  rexspawn_job_t job = 0;
  if (rexspawn_start(rex, &request, &job) != 0) return complain("start");
  printf("started %u\n", job);
}

static void start_program(const char* path) {
  const char* argv[] = {path, NULL};
  rexspawn_request_t request = {argv, NULL, NULL, hosts, 1, 0};
  rexspawn_job_t job = 0;
  if (rexspawn_start(rex, &request, &job) != 0) return complain("start");
  printf("started %u\n", job);
}

static int show(const rexspawn_end_t* end) {
  return printf("end job=%u copy=%u code=%d signal=%d\n", end->job, end->copy, end->exit_code,
                end->signal);
}

static int earlier(const void* a, const void* b) {
  const rexspawn_end_t* x = a;
  const rexspawn_end_t* y = b;
  if (x->job != y->job) return x->job < y->job ? -1 : 1;
  return x->copy < y->copy ? -1 : x->copy > y->copy;
}

static void wait_all(void) {
  static rexspawn_end_t ends[1024];
  size_t count = 0;
  while (count < 1024 && rexspawn_wait(rex, REXSPAWN_ANY, 60000, &ends[count]) == 1) ++count;
  qsort(ends, count, sizeof ends[0], earlier);
  for (size_t i = 0; i < count; ++i) show(&ends[i]);
}

static void send_signal(const char* text) {
  int job = 0, copy = 0, signo = 0;
  sscanf(text, "%d:%d:%d", &job, &copy, &signo);
  if (rexspawn_signal(rex, (rexspawn_job_t)job, copy, signo) != 0) complain("signal");
}

static void run(const char* word) {
  rexspawn_end_t end;
  const char* value = strchr(word, ':');
  value = value == NULL ? "" : value + 1;
  if (strncmp(word, "start:", 6) == 0) return start(value, 0);
  if (strncmp(word, "detached:", 9) == 0) return start(value, 1);
  if (strncmp(word, "program:", 8) == 0) return start_program(value);
  if (strncmp(word, "signal:", 7) == 0) return send_signal(value);
  if (strncmp(word, "on:", 3) == 0) hosts = value;
  if (strcmp(word, "wait-all") == 0) wait_all();
  if (strcmp(word, "wait") == 0) {
    if (rexspawn_wait(rex, REXSPAWN_ANY, 60000, &end) == 1) {
      show(&end);
    } else {
      complain("wait");
    }
  }
  if (strcmp(word, "nothing") == 0)
    printf("nothing %d\n", rexspawn_wait(rex, REXSPAWN_ANY, 50, &end));
  if (strcmp(word, "none") == 0) {
    printf("none %d: ", rexspawn_wait(rex, REXSPAWN_ANY, -1, &end));
    printf("%s\n", rexspawn_error());
  }
  if (strcmp(word, "running") == 0) printf("running %u\n", rexspawn_running(rex, REXSPAWN_ANY));
  if (strncmp(word, "say:", 4) == 0) printf("%s\n", value);
  if (strcmp(word, "pid") == 0) printf("pid %d\n", (int)getpid());
  if (strncmp(word, "sleep:", 6) == 0) usleep((useconds_t)atoi(value) * 1000);
  if (strncmp(word, "fork:", 5) == 0 && fork() == 0) {
    usleep((useconds_t)atoi(value) * 1000);
    _exit(0);
  }
  if (strcmp(word, "quit") == 0) _exit(0);
  if (strncmp(word, "exit:", 5) == 0) {
    rexspawn_close(rex);
    exit(atoi(value));
  }
}

/* PROBE_DVM: the DVM's name. */
static int open_it(void) {
  const char* dvm = getenv("PROBE_DVM");
  rex = dvm != NULL ? rexspawn_open_dvm(dvm) : rexspawn_open();
  if (rex == NULL) complain("open");
  return rex != NULL;
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (!open_it()) return 1;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "reopen") != 0) {
      run(argv[i]);
      continue;
    }
    rexspawn_close(rex);
    if (!open_it()) return 1;
  }
  rexspawn_close(rex);
  return 0;
}
