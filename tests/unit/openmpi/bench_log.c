#include "bench_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct {
  char text[1 << 16];
  size_t length;
} g_log;

void bench_tell(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_log.length += (size_t)vsnprintf(g_log.text + g_log.length, sizeof g_log.text - g_log.length,
                                    format, arguments);
  va_end(arguments);
  g_log.length +=
      (size_t)snprintf(g_log.text + g_log.length, sizeof g_log.text - g_log.length, "\n");
}

const char* bench_log(void) {
  static char last[sizeof g_log.text];
  memcpy(last, g_log.text, sizeof last);
  bench_log_clear();
  return last;
}

void bench_log_clear(void) { memset(&g_log, 0, sizeof g_log); }
