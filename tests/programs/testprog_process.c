/* Verbs about ends, signals and children. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "testprog.h"

/* exit CODE...: rank N takes the Nth code, the last one counts for all further ranks. */
int verb_exit(int argc, char** argv) {
  const int last = argc - 2;
  const int index = my_rank() < last ? my_rank() : last;
  return last < 0 ? 0 : (int)number_arg(argc, argv, 1 + index, 0);
}

/* signal SIGNO [MS]: ends itself by it after MS. No core file. */
int verb_signal(int argc, char** argv) {
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  sleep_ms(number_arg(argc, argv, 2, 0));
  kill(getpid(), (int)number_arg(argc, argv, 1, SIGKILL));
  pause();
  return 0;
}

/* segv: prints, without a line end, and crashes for real. */
int verb_segv(int argc, char** argv) {
  const struct rlimit none = {0, 0};
  volatile int* volatile nowhere = NULL;
  (void)argc;
  (void)argv;
  setrlimit(RLIMIT_CORE, &none);
  dprintf(1, "last line before rank %d crashes", my_rank());
  *nowhere = 1;
  return 0;
}

static void say_ready(const char* what) {
  dprintf(1, "%s rank=%d pid=%d\n", what, my_rank(), (int)getpid());
}

/* sleep MS */
int verb_sleep(int argc, char** argv) {
  say_ready("sleeping");
  sleep_ms(number_arg(argc, argv, 1, 1000));
  return 0;
}

/* ignore-term MS: ignores what a launcher asks with; only SIGKILL ends it early. */
int verb_ignore_term(int argc, char** argv) {
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  say_ready("ignoring");
  sleep_ms(number_arg(argc, argv, 1, 1000));
  return 0;
}

static volatile sig_atomic_t seen[NSIG];

static void note_signal(int signo) { seen[signo] = 1; }

/* No SA_RESTART: the sleeps below must end. */
static void catch_signal(int signo) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note_signal;
  sigaction(signo, &action, NULL);
}

/* clean-term MS CODE: on SIGTERM takes MS to clean up, says so, ends with CODE. */
int verb_clean_term(int argc, char** argv) {
  catch_signal(SIGTERM);
  say_ready("waiting");
  for (int i = 0; i < 6000 && !seen[SIGTERM]; ++i) usleep(10000);
  sleep_ms(number_arg(argc, argv, 1, 0));
  dprintf(1, "cleaned rank=%d\n", my_rank());
  return (int)number_arg(argc, argv, 2, 0);
}

/* Prints and forgets each signal seen. The last one printed, or 0. */
static int print_seen(void) {
  int last = 0;
  for (int signo = 1; signo < NSIG; ++signo) {
    if (!seen[signo]) continue;
    seen[signo] = 0;
    last = signo;
    dprintf(1, "got rank=%d signal=%s\n", my_rank(), sigabbrev_np(signo));
  }
  return last;
}

/* catch MS LAST: prints every signal that comes, for MS, or until the one numbered LAST came. */
int verb_catch(int argc, char** argv) {
  const long bound_ms = number_arg(argc, argv, 1, 10000);
  const int until = (int)number_arg(argc, argv, 2, 0);
  const int caught[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGTSTP, SIGWINCH};
  for (size_t i = 0; i < sizeof caught / sizeof caught[0]; ++i) catch_signal(caught[i]);
  say_ready("catching");
  for (long waited = 0; waited < bound_ms; waited += 10) {
    usleep(10000);
    const int last = print_seen();
    if (last != 0 && last == until) return 0;
  }
  return 3;
}

/* A daemon of the classic kind: own session, parent gone, signals ignored, holds no descriptors. */
static void become_daemon(long ms) {
  if (fork() != 0) _exit(0);
  setsid();
  if (fork() != 0) _exit(0);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  for (int fd = 0; fd < 64; ++fd) close(fd);
  sleep_ms(ms);
  _exit(0);
}

/* grandchildren MS [MS_SELF]: leaves a daemonized process and a plain child for MS, sleeps MS_SELF.
 */
int verb_grandchildren(int argc, char** argv) {
  const long ms = number_arg(argc, argv, 1, 1000);
  const pid_t middle = fork();
  if (middle == 0) become_daemon(ms);
  waitpid(middle, NULL, 0);
  if (fork() == 0) {
    signal(SIGTERM, SIG_IGN);
    sleep_ms(ms);
    _exit(0);
  }
  say_ready("parent");
  sleep_ms(number_arg(argc, argv, 2, ms));
  return 0;
}

/* session MS: leaves the process group and session of its launcher, ignoring SIGTERM. */
int verb_session(int argc, char** argv) {
  setsid();
  return verb_ignore_term(argc, argv);
}

/* fork-bomb COUNT MS: COUNT children that sleep. Says how many could be made. */
int verb_fork_bomb(int argc, char** argv) {
  const long count = number_arg(argc, argv, 1, 10);
  const long ms = number_arg(argc, argv, 2, 1000);
  long made = 0;
  for (; made < count; ++made) {
    const pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0) {
      sleep_ms(ms);
      _exit(0);
    }
  }
  dprintf(1, "forked rank=%d children=%ld\n", my_rank(), made);
  sleep_ms(ms);
  return 0;
}

/* spin MS: uses the processor. */
int verb_spin(int argc, char** argv) {
  const clock_t end = clock() + number_arg(argc, argv, 1, 100) * (CLOCKS_PER_SEC / 1000);
  while (clock() < end) {
  }
  return 0;
}
