/* A small dynamic program, and a bare loop of forks of the same process: the least that so many
 * births can cost.
 *
 *   births            a rank: does nothing
 *   births loop N     forks itself N times; each child does what a rank does. Prints "births_us=N":
 *                     from the first fork until all children are on their way, as rexlaunch's own
 *                     phase "births" */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int loop(int count) {
  int report[2];
  char byte;
  if (pipe(report) != 0) return 1;
  const long begin = now_us();
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child < 0) return 1;
    if (child > 0) continue;
    close(report[0]);
    close(report[1]);
    return 0; /* as a rank */
  }
  close(report[1]);
  if (read(report[0], &byte, 1) != 0) return 1;
  const long end = now_us();
  while (wait(NULL) > 0) {
  }
  printf("births_us=%ld\n", end - begin);
  return 0;
}

int main(int argc, char** argv) {
  if (argc > 2 && strcmp(argv[1], "loop") == 0) return loop(atoi(argv[2]));
  return 0;
}
