/* Verbs that write and read. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "testprog.h"

/* print TEXT...: the words, `\n` in them as a newline, nothing added. One write(2). */
int verb_print(int argc, char** argv) {
  char text[4096];
  size_t size = 0;
  for (int i = 1; i < argc; ++i) {
    if (i > 1 && size < sizeof text) text[size++] = ' ';
    for (const char* at = argv[i]; *at != '\0' && size < sizeof text; ++at) {
      const int newline = at[0] == '\\' && at[1] == 'n';
      text[size++] = newline ? '\n' : *at;
      at += newline;
    }
  }
  write_all(1, text, size);
  return 0;
}

static void report_bytes(const char* what, unsigned long long bytes, uint64_t hash) {
  dprintf(2, "%s rank=%d bytes=%llu fnv=%016llx\n", what, my_rank(), bytes,
          (unsigned long long)hash);
}

/* binary BYTES: all 256 byte values in an order that depends on rank and place; the hash on stderr.
 */
int verb_binary(int argc, char** argv) {
  unsigned long long left = (unsigned long long)number_arg(argc, argv, 1, 1000);
  const unsigned long long total = left;
  uint64_t hash = FNV_START;
  uint32_t state = 2463534242u + (uint32_t)my_rank() * 7919u;
  unsigned char block[65536];
  while (left > 0) {
    const size_t size = left < sizeof block ? (size_t)left : sizeof block;
    for (size_t i = 0; i < size; ++i) {
      state ^= state << 13;
      state ^= state >> 17;
      state ^= state << 5;
      block[i] = (unsigned char)(state >> 11);
    }
    hash = fnv(hash, block, size);
    write_all(1, block, size);
    left -= size;
  }
  report_bytes("binary", total, hash);
  return 0;
}

/* pattern MB: lines of 64 bytes, "R<rank> <number> ....", together MB million bytes, in big writes.
 * Any cut or mixed line shows, and each line can be computed by the test. */
int verb_pattern(int argc, char** argv) {
  const long long lines = number_arg(argc, argv, 1, 1) * 1000000ll / 64;
  static char block[64 * 1024];
  size_t size = 0;
  for (long long number = 0; number < lines; ++number) {
    char line[80];
    const int head = snprintf(line, sizeof line, "R%d %lld ", my_rank(), number);
    memset(line + head, 'a' + (char)(number % 26), (size_t)(63 - head));
    line[63] = '\n';
    memcpy(block + size, line, 64);
    size += 64;
    if (size == sizeof block) {
      write_all(1, block, size);
      size = 0;
    }
  }
  write_all(1, block, size);
  return 0;
}

/* lines COUNT [PIECES] [PAUSE_US]: "rank=R line=N abc...z", each written in PIECES writes, a pause
 * of PAUSE_US after every 100th piece. */
int verb_lines(int argc, char** argv) {
  const long count = number_arg(argc, argv, 1, 10);
  const long pieces = number_arg(argc, argv, 2, 1);
  const long pause_us = number_arg(argc, argv, 3, 0);
  long written = 0;
  for (long number = 0; number < count; ++number) {
    char line[128];
    const int size = snprintf(line, sizeof line, "rank=%d line=%ld abcdefghijklmnopqrstuvwxyz\n",
                              my_rank(), number);
    for (long piece = 0; piece < pieces; ++piece) {
      const long begin = size * piece / pieces;
      const long end = size * (piece + 1) / pieces;
      write_all(1, line + begin, (size_t)(end - begin));
      if (pause_us > 0 && ++written % 100 == 0) usleep((useconds_t)pause_us);
    }
  }
  return 0;
}

/* both: one line to each of stdout and stderr. */
int verb_both(int argc, char** argv) {
  (void)argc;
  (void)argv;
  dprintf(1, "out rank=%d\n", my_rank());
  dprintf(2, "err rank=%d\n", my_rank());
  return 0;
}

/* prompt: a question without a line end, then the answer echoed; as an interactive program does. */
int verb_prompt(int argc, char** argv) {
  char answer[256];
  (void)argc;
  (void)argv;
  write_all(1, "name? ", 6);
  if (fgets(answer, sizeof answer, stdin) == NULL) strcpy(answer, "(end)\n");
  printf("hello %s", answer);
  return 0;
}

static int copy_stdin(int out, const char* what) {
  static unsigned char block[65536];
  unsigned long long total = 0;
  uint64_t hash = FNV_START;
  for (;;) {
    const ssize_t n = read(0, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return 74;
    if (n == 0) break;
    total += (unsigned long long)n;
    hash = fnv(hash, block, (size_t)n);
    if (out >= 0) write_all(out, block, (size_t)n);
  }
  report_bytes(what, total, hash);
  return 0;
}

/* stdin-cat: stdin to stdout; count and hash on stderr. */
int verb_stdin_cat(int argc, char** argv) {
  (void)argc;
  (void)argv;
  return copy_stdin(1, "stdin");
}

/* stdin-hash [MS]: waits MS, then reads to the end; count and hash on stderr. */
int verb_stdin_hash(int argc, char** argv) {
  sleep_ms(number_arg(argc, argv, 1, 0));
  return copy_stdin(-1, "stdin");
}

/* stdin-first BYTES: reads that many and ends, leaving the rest. */
int verb_stdin_first(int argc, char** argv) {
  long left = number_arg(argc, argv, 1, 1);
  char byte;
  while (left > 0 && read(0, &byte, 1) == 1) --left;
  dprintf(1, "stdin rank=%d left=%ld\n", my_rank(), left);
  return 0;
}

/* close-stdin MS: as a daemon-like program; sleeps, then says so. */
int verb_close_stdin(int argc, char** argv) {
  close(0);
  sleep_ms(number_arg(argc, argv, 1, 0));
  dprintf(1, "closed rank=%d\n", my_rank());
  return 0;
}

/* close-stdout MS: writes, closes stdout and stderr, works on. */
int verb_close_stdout(int argc, char** argv) {
  dprintf(1, "before rank=%d\n", my_rank());
  close(1);
  close(2);
  sleep_ms(number_arg(argc, argv, 1, 0));
  return 0;
}
