/* Prints, one `name=value` line each, whatever a rank could tell its birth by. With the argument
 * "random" only the bytes of AT_RANDOM. */
#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char** environ;
extern const char* probe_library_story(void);

static __thread int tls_word = 4711;
static char order[64];
static char seen[256];
static pid_t constructor_pid;
static struct mallinfo2 first_heap;

__attribute__((constructor(101))) static void first(void) {
  first_heap = mallinfo2();
  strcat(order, "first ");
}
__attribute__((constructor(102))) static void second(void) {
  const char* rank = getenv("PMIX_RANK");
  strcat(order, "second");
  constructor_pid = getpid();
  snprintf(seen, sizeof seen, "rank=%s preload=%s fd=%s", rank != NULL ? rank : "none",
           getenv("LD_PRELOAD") != NULL ? getenv("LD_PRELOAD") : "none",
           getenv("REX_TEMPLATE_FD") != NULL ? "seen" : "none");
}

static void print_descriptors(void) {
  DIR* dir = opendir("/proc/self/fd");
  const struct dirent* entry;
  while ((entry = readdir(dir)) != NULL) {
    char target[256] = {0};
    const int fd = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == dirfd(dir)) continue;
    if (readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1) < 0) continue;
    target[strcspn(target, ":[0123456789")] = '\0';
    printf("fd%d=%s\n", fd, target);
  }
  closedir(dir);
}

static void print_status(void) {
  static const char* const names[] = {"SigBlk",     "SigIgn",  "SigCgt",
                                      "Threads",    "Seccomp", "Umask",
                                      "NoNewPrivs", "CapEff",  "Cpus_allowed_list"};
  char line[256];
  FILE* status = fopen("/proc/self/status", "r");
  while (fgets(line, sizeof line, status) != NULL) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
      const size_t length = strlen(names[i]);
      if (strncmp(line, names[i], length) == 0 && line[length] == ':') printf("status %s", line);
    }
  }
  fclose(status);
}

static void print_limits(void) {
  for (int kind = 0; kind < (int)RLIM_NLIMITS; ++kind) {
    struct rlimit limit = {0, 0};
    getrlimit((__rlimit_resource_t)kind, &limit);
    printf("limit%d=%llx %llx\n", kind, (unsigned long long)limit.rlim_cur,
           (unsigned long long)limit.rlim_max);
  }
}

static size_t read_file(const char* path, char* to, size_t room) {
  FILE* file = fopen(path, "r");
  const size_t n = file != NULL ? fread(to, 1, room - 1, file) : 0;
  if (file != NULL) fclose(file);
  to[n] = '\0';
  return n;
}

/* environ, and whether /proc/self/environ holds exactly the same bytes. */
static void print_environment(void) {
  static char shown[1 << 20];
  const size_t bytes = read_file("/proc/self/environ", shown, sizeof shown);
  size_t at = 0;
  int same = 1;
  for (char** entry = environ; *entry != NULL; ++entry) {
    printf("env %s\n", *entry);
    same = same && at < bytes && strcmp(shown + at, *entry) == 0;
    at += strlen(*entry) + 1;
  }
  printf("proc_environ_is_environ=%d\n", same && at == bytes);
}

static void print_command(int argc, char** argv) {
  static char shown[1 << 16];
  const size_t bytes = read_file("/proc/self/cmdline", shown, sizeof shown);
  size_t at = 0;
  for (int i = 0; i < argc; ++i) {
    printf("arg%d=%s\n", i, argv[i]);
    if (strcmp(shown + at, argv[i]) != 0) printf("cmdline differs at %d\n", i);
    at += strlen(argv[i]) + 1;
  }
  printf("cmdline_is_argv=%d\n", at == bytes);
}

/* As programs do that walk the stack: the auxiliary vector right behind the environment. */
static void print_aux(void) {
  char** end = environ;
  int entries = 0;
  int same = 1;
  while (*end != NULL) ++end;
  for (const ElfW(auxv_t)* a = (const ElfW(auxv_t)*)(end + 1); a->a_type != AT_NULL; ++a) {
    ++entries;
    if (a->a_type != AT_IGNORE) same = same && getauxval(a->a_type) == a->a_un.a_val;
  }
  printf("aux=%d same=%d execfn=%s\n", entries, same, (const char*)getauxval(AT_EXECFN));
}

static void* thread_main(void* unused) {
  (void)unused;
  return (void*)(long)(tls_word == 4711);
}

static void print_threads(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_mutexattr_t robust;
  pthread_mutex_t mutex;
  size_t stack = 0;
  void* fresh = NULL;
  void* head = NULL;
  size_t head_bytes = 0;
  pthread_attr_init(&attributes);
  pthread_attr_getstacksize(&attributes, &stack);
  tls_word = 1;
  pthread_create(&thread, NULL, thread_main, NULL);
  pthread_join(thread, &fresh);
  pthread_mutexattr_init(&robust);
  pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_settype(&robust, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&mutex, &robust);
  syscall(SYS_get_robust_list, 0, &head, &head_bytes);
  printf("stack=%zu fresh_tls=%ld tid_is_pid=%d robust=%d %zu\n", stack, (long)fresh,
         gettid() == getpid(), head != NULL, head_bytes);
  /* Both use the cached tid: a wrong one makes the second lock hang or succeed. */
  printf("lock=%d ", pthread_mutex_lock(&mutex));
  printf("relock=%d ", pthread_mutex_lock(&mutex));
  printf("unlock=%d\n", pthread_mutex_unlock(&mutex));
}

static void print_process(void) {
  char comm[32] = {0};
  char exe[4096] = {0};
  char parent[64] = {0};
  char path[64];
  char cwd[4096];
  int death = 0;
  cpu_set_t cpus;
  prctl(PR_GET_NAME, comm);
  prctl(PR_GET_PDEATHSIG, &death);
  if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0) exe[0] = '\0';
  snprintf(path, sizeof path, "/proc/%d/comm", (int)getppid());
  read_file(path, parent, sizeof parent);
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  printf("comm=%s\nexe=%s\nparent=%s", comm, exe, parent);
  printf("leads_group=%d leads_session=%d constructor_pid=%d\n", getpgrp() == getpid(),
         getsid(0) == getpid(), constructor_pid == getpid());
  printf("death=%d slack=%d dumpable=%d cpus=%d policy=%d nice=%d personality=%x\n", death,
         prctl(PR_GET_TIMERSLACK), prctl(PR_GET_DUMPABLE), CPU_COUNT(&cpus), sched_getscheduler(0),
         getpriority(PRIO_PROCESS, 0), (unsigned)personality(0xffffffff));
  printf("cwd=%s PWD=%s\n", getcwd(cwd, sizeof cwd), getenv("PWD"));
  printf("oom=");
  read_file("/proc/self/oom_score_adj", parent, sizeof parent);
  printf("%s", parent);
}

static void print_loading(const char* lazy) {
  void* late = dlopen(lazy, RTLD_LAZY);
  printf("lazy=%d", late != NULL);
  if (late != NULL) dlclose(late);
  late = dlopen(lazy, RTLD_NOW);
  printf(" now=%d\n", late != NULL);
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "random") == 0) {
    const unsigned char* bytes = (const unsigned char*)getauxval(AT_RANDOM);
    char text[64];
    for (int i = 0; i < 16; ++i) sprintf(text + 2 * i, "%02x", bytes[i]);
    printf("random=%s\n", text);
    return 0;
  }
  const char* rank = getenv("OMPI_COMM_WORLD_RANK");
  if (rank != NULL && strcmp(rank, "0") != 0) return 0; /* one is enough */
  printf("buffer=%zu lines=%d err=%d\n", __fbufsize(stdout), __flbf(stdout), __flbf(stderr));
  printf("order=%s seen=%s tls=%d library=%s\n", order, seen, tls_word, probe_library_story());
  printf("heap=%zu blocks=%zu mapped=%zu\n", (size_t)first_heap.arena, (size_t)first_heap.ordblks,
         (size_t)first_heap.hblks);
  print_command(argc, argv);
  print_descriptors();
  print_status();
  print_limits();
  print_aux();
  print_process();
  print_threads();
  if (argc > 2) print_loading(argv[2]);
  print_environment();
  return 0;
}
