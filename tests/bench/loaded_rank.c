/* loaded_rank DIR BYTES: ranks that keep a job's connections full until they are killed, and note
 * when signals reach them.
 *
 * Rank 0 writes to stdout, 100 MB/s at most. All ranks put BYTES and fence, again and again. Each
 * appends to DIR/<rank> a line "ready", then "signal us=T" for every SIGUSR1, T in microseconds of
 * CLOCK_MONOTONIC, and "fence" after each fence. */
#include <fcntl.h>
#include <pmix.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int notes;

static void note(const char* line) {
  if (write(notes, line, strlen(line)) < 0) _exit(4);
}

/* Async-signal-safe: no stdio. */
static void on_signal(int signo) {
  char line[64] = "signal us=";
  char digits[24];
  struct timespec now;
  int n = 0, at = (int)strlen(line);
  (void)signo;
  clock_gettime(CLOCK_MONOTONIC, &now);
  for (long long us = now.tv_sec * 1000000ll + now.tv_nsec / 1000; us > 0; us /= 10) {
    digits[n++] = (char)('0' + us % 10);
  }
  while (n > 0) line[at++] = digits[--n];
  line[at++] = '\n';
  line[at] = 0;
  note(line);
}

static void* write_much(void* unused) {
  static char block[100000];
  const struct timespec millisecond = {0, 1000000};
  sigset_t usr1;
  (void)unused;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &usr1, NULL);
  for (size_t i = 0; i < sizeof block; ++i) block[i] = i % 100 == 99 ? '\n' : 'x';
  for (;;) {
    size_t done = 0;
    while (done < sizeof block) {
      const ssize_t n = write(1, block + done, sizeof block - done);
      if (n < 0) return NULL;
      done += (size_t)n;
    }
    nanosleep(&millisecond, NULL);
  }
}

static void check(pmix_status_t status, const char* what) {
  if (status == PMIX_SUCCESS) return;
  fprintf(stderr, "loaded_rank: %s: %s\n", what, PMIx_Error_string(status));
  exit(1);
}

static void exchange(char* bytes, size_t size, uint32_t seed) {
  pmix_info_t info;
  pmix_value_t value;
  bool yes = true;
  for (size_t i = 0; i < size; ++i) {
    seed = seed * 1664525u + 1013904223u;
    bytes[i] = (char)(seed >> 24);
  }
  PMIX_VALUE_CONSTRUCT(&value);
  value.type = PMIX_BYTE_OBJECT;
  value.data.bo.bytes = bytes;
  value.data.bo.size = size;
  check(PMIx_Put(PMIX_GLOBAL, "bench.bytes", &value), "put");
  check(PMIx_Commit(), "commit");
  PMIX_INFO_LOAD(&info, PMIX_COLLECT_DATA, &yes, PMIX_BOOL);
  check(PMIx_Fence(NULL, 0, &info, 1), "fence");
}

int main(int argc, char** argv) {
  pmix_proc_t self;
  char path[4096];
  pthread_t writer;
  if (argc < 3) return 2;
  const size_t size = (size_t)atol(argv[2]);
  char* bytes = malloc(size + 1);
  check(PMIx_Init(&self, NULL, 0), "init");
  snprintf(path, sizeof path, "%s/%u", argv[1], self.rank);
  notes = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (notes < 0 || bytes == NULL) return 3;
  const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  check(PMIx_Fence(NULL, 0, NULL, 0), "fence");
  note("ready\n");
  if (self.rank == 0 && pthread_create(&writer, NULL, write_much, NULL) != 0) return 3;
  for (uint32_t turn = 0;; ++turn) {
    exchange(bytes, size, turn * 7919u + self.rank);
    note("fence\n");
  }
}
