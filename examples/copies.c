/* Runs commands, three copies at a time, without MPI: each copy works on one number, and whoever is
 * done makes room for the next.
 *
 *   cc copies.c -lrexspawn -o copies
 *   rexlaunch -n 1 ./copies COPIES PROGRAM [ARGUMENT]...
 *   rexctl start && ./copies COPIES PROGRAM [ARGUMENT]...      (in a DVM that stays)
 *
 * PROGRAM finds its number in the variable NUMBER.
 */
#include <rexspawn.h>
#include <stdio.h>
#include <stdlib.h>

enum { AT_ONCE = 3 };

static int start(rexspawn_t* rex, char** argv, int number) {
  char entry[32];
  rexspawn_job_t job;
  snprintf(entry, sizeof entry, "NUMBER=%d", number);
  const char* env[] = {entry, NULL};
  rexspawn_request_t request = {0};
  request.argv = (const char* const*)argv;
  request.env = env;
  request.copies = 1;
  return rexspawn_start(rex, &request, &job);
}

int main(int argc, char** argv) {
  const int copies = argc > 2 ? atoi(argv[1]) : 0;
  if (copies < 1) {
    fprintf(stderr, "usage: [rexlaunch -n 1] %s COPIES PROGRAM [ARGUMENT]...\n", argv[0]);
    return 2;
  }
  rexspawn_t* rex = rexspawn_open();
  if (rex == NULL) {
    fprintf(stderr, "copies: %s\n", rexspawn_error());
    return 1;
  }
  int started = 0;
  int failed = 0;
  for (;;) { /* until there is no end left to hear of */
    if (started < copies && rexspawn_running(rex, REXSPAWN_ANY) < AT_ONCE) {
      if (start(rex, argv + 2, started + 1) == 0) {
        ++started;
        continue;
      }
      fprintf(stderr, "copies: %s\n", rexspawn_error());
      failed = copies;
      break;
    }
    rexspawn_end_t end;
    if (rexspawn_wait(rex, REXSPAWN_ANY, -1, &end) != 1) break;
    if (end.exit_code != 0 || end.signal != 0) {
      ++failed;
      printf("job %u ended with %d, signal %d\n", end.job, end.exit_code, end.signal);
    }
  }
  rexspawn_close(rex);
  printf("%d copies, %d failed\n", started, failed);
  return failed > 0;
}
