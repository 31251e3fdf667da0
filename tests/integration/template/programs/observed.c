/* What debuggers and profilers look at: named frames with values in them.
 *
 *   observed wait    prints "pid=N" and sleeps
 *   observed tick    prints "pid=N" and calls tick() a hundred times a second
 *   observed burn    prints "pid=N" and computes, for at most a minute
 *   observed crash   writes through a null pointer
 *   observed abort   abort(3), from a second thread
 *   observed maps    prints the named mappings without their addresses, comm and exe */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int answer = 42;
static __thread int own_word = 17;

__attribute__((noinline)) void tick(int count) {
  answer += count;
  usleep(10000);
}

__attribute__((noinline)) static void burn(time_t end) {
  volatile unsigned long word = 1;
  while (time(NULL) < end) {
    for (int i = 0; i < 1000000; ++i) word = word * 3 + 1;
  }
}

__attribute__((noinline)) static void crash(int* where) { *where = own_word; }

/* Whether the main thread waits in futex(2). */
static int main_waits(void) {
  long call = -1;
  FILE* file = fopen("/proc/self/syscall", "r");
  if (file == NULL) return 1;
  if (fscanf(file, "%ld", &call) != 1) call = -1;
  fclose(file);
  return call == SYS_futex;
}

static void* thread_main(void* argument) {
  (void)argument;
  while (!main_waits()) usleep(1000);
  abort();
}

/* "perms offset name" of each mapping that has a name, but for the template's own. */
static void print_maps(void) {
  char line[4200];
  FILE* maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps) != NULL) {
    char perms[8];
    char offset[32];
    int name = 0;
    if (sscanf(line, "%*s %7s %31s %*s %*s %n", perms, offset, &name) < 2) continue;
    if (line[name] == '\0' || strstr(line, "librex_template.so") != NULL) continue;
    printf("%s %s %s", perms, offset, line + name);
  }
  fclose(maps);
}

static void print_file(const char* path) {
  char text[4200] = {0};
  FILE* file = fopen(path, "r");
  if (file != NULL) printf("%s=%s", path, fgets(text, sizeof text, file));
  if (file != NULL) fclose(file);
}

static void print_process(void) {
  char exe[4200] = {0};
  print_maps();
  print_file("/proc/self/comm");
  if (readlink("/proc/self/exe", exe, sizeof exe - 1) > 0) printf("exe=%s\n", exe);
}

__attribute__((noinline)) static int act(const char* verb, int depth) {
  if (depth > 0) return act(verb, depth - 1) + 1;
  pthread_t thread;
  if (strcmp(verb, "crash") == 0) crash(NULL);
  if (strcmp(verb, "abort") == 0 && pthread_create(&thread, NULL, thread_main, NULL) == 0) {
    pthread_join(thread, NULL);
  }
  if (strcmp(verb, "maps") == 0) print_process();
  printf("pid=%d\n", (int)getpid());
  fflush(stdout);
  if (strcmp(verb, "wait") == 0) sleep(60);
  if (strcmp(verb, "burn") == 0) burn(time(NULL) + 60);
  for (int i = 0; strcmp(verb, "tick") == 0 && i < 6000; ++i) tick(1);
  return 0;
}

int main(int argc, char** argv) { return argc > 1 && act(argv[1], 3) == 3 ? 0 : 1; }
