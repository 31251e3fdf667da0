/* Births of ranks inside another launcher's daemon: Open MPI's orted. C, and nothing of that
 * daemon's types: the plug-in translates. docs/design/launch-agent.md has the states.
 *
 * Who reaps: the daemon. It gets each rank's pid while the rank is held at the gate, and it alone
 * waits for children; ours (template, spawner) end up there too and mean nothing to it.
 * Threads: all calls from one thread, the daemon's main one, which must live as long as the daemon;
 * the template dies with the thread that started it (prctl(2), PR_SET_PDEATHSIG).
 */
#ifndef REX_LAUNCHER_OPENMPI_BIRTHS_H_
#define REX_LAUNCHER_OPENMPI_BIRTHS_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rex_births; /* opaque */

/* Why a rank did not come to be. */
enum rex_birth_failure {
  REX_BIRTH_OK = 0,
  REX_BIRTH_NO_DIRECTORY = 1, /* error: errno */
  REX_BIRTH_NO_EXEC = 2,      /* error: errno */
  REX_BIRTH_NO_SETUP = 3,     /* error: errno; process group, limits, descriptors */
  REX_BIRTH_NO_PROCESS = 4,   /* error: errno of the fork, or 0; text */
  REX_BIRTH_REFUSED = 5       /* rex_births_host.on_pid said no */
};

/* What the daemon does with births. Callbacks come from inside rex_births_run and
 * rex_births_flush; they must not call back into the births. */
struct rex_births_host {
  void* self;
  /* `rank` exists as `pid`, held. Record it now. Whoever binds it, does it here; its stderr is
   * `stderr_fd` (borrowed; -1: none). 0: it may run. Else it is killed at the gate. */
  int (*on_pid)(void* self, void* rank, pid_t pid, int stderr_fd);
  /* It runs its program, or why not. `text` is one line or empty. Once for each rank; or twice,
   * REX_BIRTH_OK and later a failure, when its exec takes very long. */
  void (*on_end)(void* self, void* rank, enum rex_birth_failure failure, int error,
                 const char* text);
  /* The rank will not be named again. */
  void (*on_gone)(void* self, void* rank);
  /* What was decided, a line each, for those who want to see it. May be null. */
  void (*on_note)(void* self, const char* line);
};

struct rex_births_files {
  const char* template_library; /* librex_template.so; null: no templates */
  const char* spawner;          /* rexd-spawner */
};

/* One rank. Strings and vectors are copied. Descriptors: taken over and closed here, or -1 for
 * /dev/null. */
struct rex_birth_order {
  void* rank;       /* handed back */
  const char* path; /* absolute, or relative to wdir */
  char* const* argv;
  char* const* env;
  const char* wdir; /* absolute */
  int stdin_fd;
  int stdout_fd;
  int stderr_fd;
  const uint64_t* mem_nodes; /* bit i of word j is NUMA node 64*j+i */
  size_t mem_words;          /* 0: memory policy as it is */
  /* Of a staged program; null: it is not. Directories that ld.so, and it alone, searches first; and
   * the directory below which files are links that rex made itself. */
  const char* library_path;
  const char* image_dir;
};

/* Null when the kernel has no more descriptors. `host` and `files` are copied, the files' names
 * too. */
struct rex_births* rex_births_new(const struct rex_births_host* host,
                                  const struct rex_births_files* files);
/* Ends makers and closes gates; ranks that are held leave by themselves. No callbacks. */
void rex_births_free(struct rex_births* births);

/* Readable when rex_births_run has something to do. Borrowed; poll it, do not read it. */
int rex_births_fd(const struct rex_births* births);
void rex_births_run(struct rex_births* births);

/* Starts the template for ranks like this one, which are to be added; without effect when there
 * is one already, or none can be. Does not wait for it. */
void rex_births_expect(struct rex_births* births, const struct rex_birth_order* order);
/* Takes the order; nothing happens to it before the flush. */
void rex_births_add(struct rex_births* births, const struct rex_birth_order* order);
/* Makes what was added since the last flush. */
void rex_births_flush(struct rex_births* births);
/* Whether anything is still to be told by on_end. */
int rex_births_busy(const struct rex_births* births);

/* 1 when the program can be read and executed by us: for rex's own files. */
int rex_births_usable(const char* path);

#ifdef __cplusplus
}
#endif
#endif
