// Preloaded into mpirun and its daemons while ask_mpirun runs: what they bind ranks to is written
// down instead of done, so that they can plan for processors that this machine does not have.
// Each process's last affinity goes to $FAKE_AFFINITY_DIR/PID, as cpu numbers.
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static cpu_set_t stored;
static pid_t stored_for;

static size_t Smaller(size_t a, size_t b) { return a < b ? a : b; }

int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t* set) {
  (void)pid;
  CPU_ZERO(&stored);
  memcpy(&stored, set, Smaller(size, sizeof stored));
  stored_for = getpid();
  char path[4096];
  snprintf(path, sizeof path, "%s/%d", getenv("FAKE_AFFINITY_DIR"), (int)stored_for);
  FILE* file = fopen(path, "w");
  if (file == NULL) return 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &stored)) fprintf(file, "%d ", cpu);
  }
  fclose(file);
  return 0;
}

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t* set) {
  memset(set, 0, size);
  if (stored_for == getpid()) {
    memcpy(set, &stored, Smaller(size, sizeof stored));
    return 0;
  }
  return syscall(SYS_sched_getaffinity, pid, size, set) < 0 ? -1 : 0;
}
