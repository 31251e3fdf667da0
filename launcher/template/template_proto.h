/* The protocol between an agent and what makes its ranks: the spawner (fork and exec) and, with the
 * same messages, a template (fork alone). C, and freestanding headers only.
 *
 * Transport: one SOCK_SEQPACKET pair; one datagram is one message. The maker does not multiplex: it
 * reads a request, makes the batch, answers, reads the next. End of file means: end.
 *
 * Request (agent -> maker): struct rex_batch_request with descriptors by SCM_RIGHTS:
 *   fd 0  blob: a sealed memfd (F_SEAL_WRITE|SHRINK|GROW), mapped read-only
 *   fd 1  gate: a pipe's read end. A rank reads one byte from it before it goes on. End of file
 *         there means "never": the rank leaves with _exit(REX_GATE_CLOSED).
 *   fd 2  report: a pipe's write end, close-on-exec. A rank that cannot go on writes one
 *         struct rex_birth_report (smaller than PIPE_BUF, so whole) and leaves with the blob's
 * failed_exit. When every rank has exec'ed or ended, the agent reads end of file: the births are
 * over. fd 3..  the ranks' own descriptors, named by index. Answer (maker -> agent): struct
 * rex_batch_answer followed by `started` int32_t pids, in the order of the ranks in the batch.
 * started < count: `error` says why the next one could not be made; the agent closes the gate, and
 * those that were made end by themselves. EPROTO with started == 0: the request was malformed (or
 * came from another process than the maker's parent). REX_BATCH_UNFIT with started == 0 (templates
 * only): this maker can't make this batch, another one can. Greeting (template -> agent, once,
 * before all else): struct rex_template_hello.
 *
 * Ranks are children of the agent (CLONE_PARENT), which reaps them. All numbers are native-endian:
 * both ends are on one machine and from one build (`version`).
 */
#ifndef REX_LAUNCHER_TEMPLATE_TEMPLATE_PROTO_H_
#define REX_LAUNCHER_TEMPLATE_TEMPLATE_PROTO_H_

#include <stdint.h>

#define REX_BATCH_MAGIC 0x52455842u /* "REXB" */
#define REX_BATCH_VERSION 3u
#define REX_BATCH_MAX_FDS 240 /* SCM_MAX_FD is 253: unix(7) */
#define REX_BATCH_FIXED_FDS 3
#define REX_BATCH_MAX_RANKS 237
#define REX_BATCH_MAX_BLOB_BYTES (256u << 20)
#define REX_GATE_CLOSED 125
#define REX_NO_FD (-1)       /* /dev/null */
#define REX_BLOB_OUTLIVES 1u /* ranks get no death signal: they outlive their parent */
#define REX_BLOB_BECOME 2u   /* one rank, no batch after it: a template becomes it, uncloned */
#define REX_BATCH_UNFIT 4096 /* beyond every errno */

/* The template's socket, in the environment of the template alone: REX_TEMPLATE_FD=N. It replaces
 * all of its environment in each rank. Spare entries are named REX_TEMPLATE_PAD=. */
#define REX_TEMPLATE_FD_NAME "REX_TEMPLATE_FD="
#define REX_TEMPLATE_PAD_NAME "REX_TEMPLATE_PAD="

/* For an exec whose ld.so searches directories that the program is not to know: entries
 * REX_KEEP_NAME=VALUE and REX_DROP_NAME= in its environment make the preloaded library give NAME
 * that value, or take it out, and take these entries out, before anything else of the program runs.
 */
#define REX_KEEP_NAME "REX_KEEP_"
#define REX_DROP_NAME "REX_DROP_"

struct rex_batch_request {
  uint32_t magic;
  uint32_t version;
  uint32_t count; /* ranks in this batch, 1..REX_BATCH_MAX_RANKS */
  uint32_t fds;   /* descriptors that come with the datagram */
  uint64_t blob_bytes;
};

/* The blob starts with this. All offsets are from the blob's start; those of structures, lists and
 * cpusets are multiples of 8. A string list is `n` uint64_t offsets. All strings end with NUL, and
 * so does the blob itself: whatever offset a string has, it ends inside. */
struct rex_blob_header {
  uint32_t count; /* as in the request */
  uint32_t argc;
  uint64_t path; /* of the program; absolute, or relative to wdir */
  uint64_t argv; /* list of argc strings */
  uint64_t wdir; /* absolute */
  uint32_t common_env_count;
  uint32_t umask;
  uint64_t common_env;      /* list: shared by all ranks */
  uint64_t ranks;           /* count * struct rex_blob_rank */
  uint64_t open_files_soft; /* RLIMIT_NOFILE, at most the maker's own */
  uint64_t open_files_hard;
  uint64_t timer_slack_ns; /* 0: as it is */
  int32_t agent_pid;       /* a rank whose parent is another process ends at once */
  uint32_t flags;          /* REX_BLOB_* */
  uint32_t failed_exit;    /* exit code of a rank that cannot go on, 1..255 */
  uint32_t reserved;
};

struct rex_blob_rank {
  uint64_t env; /* list: this rank's own, after the common ones */
  uint32_t env_count;
  uint32_t cpuset_words; /* 0: affinity as it is */
  uint64_t cpuset;       /* cpuset_words uint64_t, bit i of word j is cpu 64*j+i */
  uint64_t mem_nodes;    /* mem_words uint64_t, bit i of word j is NUMA node 64*j+i */
  uint32_t mem_words;    /* 0: memory policy as it is */
  int32_t fd_index[3];   /* of stdin, stdout, stderr among the datagram's fds: 3.., or REX_NO_FD */
};

enum rex_birth_phase {
  REX_PHASE_SETUP = 1, /* signals, process group, limits, descriptors */
  REX_PHASE_AFFINITY = 2,
  REX_PHASE_WDIR = 3,
  REX_PHASE_EXEC = 4
};

struct rex_birth_report {
  uint32_t index; /* of the rank in the batch */
  uint32_t phase; /* enum rex_birth_phase */
  int32_t error;  /* errno(3) */
  uint32_t reserved;
};

struct rex_batch_answer {
  uint32_t magic;
  uint32_t started;
  int32_t error; /* errno(3) of the first failure, 0 for none */
  uint32_t reserved;
  /* int32_t pids[started] */
};

/* Why a template can't make ranks that are like exec'ed ones. */
enum rex_template_fitness {
  REX_TEMPLATE_FIT = 0,
  REX_TEMPLATE_NO_KERNEL_SUPPORT = 1, /* PR_GET_TID_ADDRESS, close_range */
  REX_TEMPLATE_INITFIRST = 2,         /* another object wants the first constructor call */
  REX_TEMPLATE_SANITIZER = 3,         /* a sanitizer's runtime is mapped */
  REX_TEMPLATE_NOISE = 4,             /* ld.so wrote something that each rank should have written */
  REX_TEMPLATE_THREADS = 5,           /* more than one */
  REX_TEMPLATE_LAYOUT = 6             /* stack or link map not as expected */
};
#define REX_TEMPLATE_LAST_FITNESS REX_TEMPLATE_LAYOUT

struct rex_template_hello {
  uint32_t magic;   /* REX_BATCH_MAGIC */
  uint32_t version; /* REX_BATCH_VERSION */
  uint32_t fitness; /* enum rex_template_fitness; the template ends unless 0 */
  uint32_t reserved;
};

#endif
