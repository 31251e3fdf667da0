/* testprog: what the tests run as ranks when no MPI is needed.
 *
 *   testprog VERB [ARGS...]
 *   testprog at R VERB [ARGS...] [else VERB [ARGS...]]   rank R does one thing, the others another
 *   testprog then VERB [ARGS...] , VERB [ARGS...] , ...  one after the other, until one fails
 *
 * Everything it says of itself is `name=value` words on one line, written with one write(2). */
#include "testprog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct verb {
  const char* name;
  verb_fn run;
};

static int verb_at(int argc, char** argv);
static int verb_then(int argc, char** argv);

static const struct verb kVerbs[] = {
    {"at", verb_at},
    {"then", verb_then},
    {"print", verb_print},
    {"binary", verb_binary},
    {"pattern", verb_pattern},
    {"lines", verb_lines},
    {"both", verb_both},
    {"prompt", verb_prompt},
    {"stdin-cat", verb_stdin_cat},
    {"stdin-hash", verb_stdin_hash},
    {"stdin-first", verb_stdin_first},
    {"close-stdin", verb_close_stdin},
    {"close-stdout", verb_close_stdout},
    {"exit", verb_exit},
    {"signal", verb_signal},
    {"segv", verb_segv},
    {"sleep", verb_sleep},
    {"ignore-term", verb_ignore_term},
    {"clean-term", verb_clean_term},
    {"catch", verb_catch},
    {"grandchildren", verb_grandchildren},
    {"session", verb_session},
    {"fork-bomb", verb_fork_bomb},
    {"spin", verb_spin},
    {"args", verb_args},
    {"env", verb_env},
    {"all-env", verb_all_env},
    {"cwd", verb_cwd},
    {"rank", verb_rank},
    {"tty", verb_tty},
    {"inherited", verb_inherited},
};

static int env_number(const char* name, int missing) {
  const char* text = getenv(name);
  return text != NULL && *text != '\0' ? atoi(text) : missing;
}

int my_rank(void) { return env_number("OMPI_COMM_WORLD_RANK", env_number("PMIX_RANK", 0)); }

int my_size(void) { return env_number("OMPI_COMM_WORLD_SIZE", 1); }

long number_arg(int argc, char** argv, int index, long missing) {
  return index < argc ? strtol(argv[index], NULL, 10) : missing;
}

void sleep_ms(long ms) {
  struct timespec left = {ms / 1000, (ms % 1000) * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

void write_all(int fd, const void* bytes, size_t size) {
  const char* at = bytes;
  while (size > 0) {
    const ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) _exit(75);
    at += n;
    size -= (size_t)n;
  }
}

uint64_t fnv(uint64_t hash, const unsigned char* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3ull;
  return hash;
}

/* The index of `word` in argv from `from` on, or argc. */
static int find_word(int argc, char** argv, int from, const char* word) {
  while (from < argc && strcmp(argv[from], word) != 0) ++from;
  return from;
}

static int verb_at(int argc, char** argv) {
  const int otherwise = find_word(argc, argv, 2, "else");
  if (my_rank() == number_arg(argc, argv, 1, 0)) return run_verb(otherwise - 2, argv + 2);
  if (otherwise >= argc) return 0;
  return run_verb(argc - otherwise - 1, argv + otherwise + 1);
}

static int verb_then(int argc, char** argv) {
  int from = 1;
  int code = 0;
  while (from < argc && code == 0) {
    const int end = find_word(argc, argv, from, ",");
    code = run_verb(end - from, argv + from);
    from = end + 1;
  }
  return code;
}

int run_verb(int argc, char** argv) {
  if (argc < 1) return 0;
  for (size_t i = 0; i < sizeof kVerbs / sizeof kVerbs[0]; ++i) {
    if (strcmp(kVerbs[i].name, argv[0]) == 0) return kVerbs[i].run(argc, argv);
  }
  fprintf(stderr, "testprog: no verb '%s'\n", argv[0]);
  return 64;
}

int main(int argc, char** argv) { return run_verb(argc - 1, argv + 1); }
