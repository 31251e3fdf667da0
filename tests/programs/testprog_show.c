/* Verbs that print what the launcher gave to this rank. */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "testprog.h"

/* args ...: each word in brackets, on one line. */
int verb_args(int argc, char** argv) {
  char line[8192];
  int size = snprintf(line, sizeof line, "args rank=%d", my_rank());
  for (int i = 1; i < argc && size < (int)sizeof line - 2; ++i) {
    size += snprintf(line + size, sizeof line - (size_t)size, " [%s]", argv[i]);
  }
  dprintf(1, "%s\n", line);
  return 0;
}

/* env NAME...: "env rank=R NAME=VALUE", or "NAME unset". */
int verb_env(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const char* value = getenv(argv[i]);
    if (value != NULL) {
      dprintf(1, "env rank=%d %s=%s\n", my_rank(), argv[i], value);
    } else {
      dprintf(1, "env rank=%d %s unset\n", my_rank(), argv[i]);
    }
  }
  return 0;
}

extern char** environ;

/* all-env: every entry, one a line. */
int verb_all_env(int argc, char** argv) {
  (void)argc;
  (void)argv;
  for (char** entry = environ; *entry != NULL; ++entry) dprintf(1, "%s\n", *entry);
  return 0;
}

int verb_cwd(int argc, char** argv) {
  char here[4096];
  (void)argc;
  (void)argv;
  if (getcwd(here, sizeof here) == NULL) return 1;
  dprintf(1, "cwd rank=%d dir=%s\n", my_rank(), here);
  return 0;
}

/* rank: what the environment says this process is. */
int verb_rank(int argc, char** argv) {
  (void)argc;
  (void)argv;
  dprintf(1, "rank=%d size=%d pid=%d ppid=%d\n", my_rank(), my_size(), (int)getpid(),
          (int)getppid());
  return 0;
}

int verb_tty(int argc, char** argv) {
  (void)argc;
  (void)argv;
  dprintf(1, "tty rank=%d in=%d out=%d err=%d\n", my_rank(), isatty(0), isatty(1), isatty(2));
  return 0;
}

static void print_open_files(void) {
  DIR* dir = opendir("/proc/self/fd");
  const struct dirent* entry;
  char line[1024];
  int size = snprintf(line, sizeof line, "fds rank=%d", my_rank());
  while (dir != NULL && (entry = readdir(dir)) != NULL) {
    const int fd = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == dirfd(dir)) continue;
    if (size < (int)sizeof line - 16) {
      size += snprintf(line + size, sizeof line - (size_t)size, " %d", fd);
    }
  }
  if (dir != NULL) closedir(dir);
  dprintf(1, "%s\n", line);
}

static void print_signal_sets(void) {
  FILE* status = fopen("/proc/self/status", "r");
  char line[256];
  while (status != NULL && fgets(line, sizeof line, status) != NULL) {
    if (strncmp(line, "SigBlk:", 7) == 0)
      dprintf(1, "blocked=%llx\n", strtoull(line + 8, NULL, 16));
    if (strncmp(line, "SigIgn:", 7) == 0)
      dprintf(1, "ignored=%llx\n", strtoull(line + 8, NULL, 16));
  }
  if (status != NULL) fclose(status);
}

/* inherited: descriptors, signals, limits, masks: everything exec passes on. */
int verb_inherited(int argc, char** argv) {
  struct rlimit files;
  struct rlimit core;
  const mode_t mask = umask(0);
  cpu_set_t cpus;
  (void)argc;
  (void)argv;
  print_open_files();
  print_signal_sets();
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_CORE, &core);
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  dprintf(
      1,
      "inherited rank=%d nofile=%llu core=%llu umask=%o cpus=%d slack=%d pgid=%d sid=%d nice=%d\n",
      my_rank(), (unsigned long long)files.rlim_cur, (unsigned long long)core.rlim_cur,
      (unsigned)mask, CPU_COUNT(&cpus), prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), (int)getpgrp(),
      (int)getsid(0), getpriority(PRIO_PROCESS, 0));
  return 0;
}
