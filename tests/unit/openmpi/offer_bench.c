#include "offer_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/openmpi/filem_rex.h"

#include "opal/util/argv.h"
#include "orte/runtime/orte_globals.h"
#include "orte/util/attr.h"
#include "orte/util/proc_info.h"
#include "orte/util/show_help.h"

#define MOST_WORDS 8

struct rex_filem_settings rex_filem_settings;

static struct {
  int now; /* seconds */
  bool no_stager;
  bool no_fence;
  orte_filem_completion_cbfunc_t fence;
  void* fence_data;
} g;

/* ------------------------------ time ------------------------------ */

struct rex_filem_alarm {
  void (*ring)(void* self);
  void* self;
  int due; /* 0: not set */
  struct rex_filem_alarm* next;
};
static struct rex_filem_alarm* alarms;

struct rex_filem_alarm* rex_filem_alarm_new(void (*ring)(void* self), void* self) {
  struct rex_filem_alarm* alarm = calloc(1, sizeof *alarm);
  alarm->ring = ring;
  alarm->self = self;
  alarm->next = alarms;
  alarms = alarm;
  return alarm;
}

void rex_filem_alarm_set(struct rex_filem_alarm* alarm, int seconds) {
  alarm->due = g.now + seconds;
}

void rex_filem_alarm_free(struct rex_filem_alarm* alarm) {
  for (struct rex_filem_alarm** at = &alarms; *at != NULL; at = &(*at)->next) {
    if (*at != alarm) continue;
    *at = alarm->next;
    free(alarm);
    return;
  }
}

static struct rex_filem_alarm* first_due(void) {
  for (struct rex_filem_alarm* alarm = alarms; alarm != NULL; alarm = alarm->next) {
    if (alarm->due != 0 && alarm->due <= g.now) return alarm;
  }
  return NULL;
}

void bench_advance(int seconds) {
  g.now += seconds;
  struct rex_filem_alarm* due;
  while ((due = first_due()) != NULL) {
    due->due = 0;
    due->ring(due->self);
  }
}

int bench_alarms(void) {
  int count = 0;
  for (const struct rex_filem_alarm* alarm = alarms; alarm != NULL; alarm = alarm->next) {
    count += alarm->due != 0;
  }
  return count;
}

/* ------------------------------ everybody else ------------------------------ */

static const char* name_of(enum rex_stager_kind kind) {
  static const char* const names[] = {"?",      "MAKE",     "START",   "LOST",  "END",
                                      "MADE",   "NOT_MADE", "ACCOUNT", "BEGIN", "READY",
                                      "FAILED", "PEER",     "OFFER",   "HERE",  "CANCEL"};
  return names[kind];
}

void rex_filem_note(const char* format, ...) { (void)format; }

struct rex_stager_word rex_filem_word(const char* text) {
  const struct rex_stager_word word = {text, strlen(text)};
  return word;
}

const char* rex_stager_version(void) { return "1.0"; }

bool rex_filem_start_stager(void) { return !g.no_stager; }

void rex_filem_tell_stager(enum rex_stager_kind kind, uint32_t job, uint32_t node, size_t count,
                           const struct rex_stager_word* words) {
  char text[512] = "";
  for (size_t i = 0; kind != REX_STAGER_MAKE && i < count; ++i) {
    snprintf(text + strlen(text), sizeof text - strlen(text), " [%s]", words[i].bytes);
  }
  if (kind == REX_STAGER_MAKE) snprintf(text, sizeof text, " %zu words", count);
  bench_tell("stager: %s job %u node %u%s", name_of(kind), job, node, text);
}

void rex_filem_tell_all(const struct rex_stager_message* message) {
  bench_tell("all: %s job %u", name_of(message->kind), message->job);
}

static orte_app_context_t* app_of(const orte_job_t* job) {
  return opal_pointer_array_get_item(job->apps, 0);
}

static int raw_takes(orte_job_t* job, orte_filem_completion_cbfunc_t done, void* data) {
  orte_app_context_t* app = app_of(job);
  char* files = NULL;
  if (orte_get_attribute(&app->attributes, ORTE_APP_PRELOAD_FILES, (void**)&files, OPAL_STRING)) {
    free(files);
    if (g.no_fence) return ORTE_ERROR;
    bench_tell("raw: fence");
    g.fence = done;
    g.fence_data = data;
    return ORTE_SUCCESS;
  }
  const bool binary = orte_get_attribute(&app->attributes, ORTE_APP_PRELOAD_BIN, NULL, OPAL_BOOL);
  bench_tell("raw: job %u%s", job->jobid, binary ? " with its binary" : "");
  return ORTE_SUCCESS;
}

orte_filem_base_module_t rex_filem_raw = {.preposition_files = raw_takes};

/* In place of ORTE's, which would send it to mpirun. */
int orte_show_help_norender(const char* file, const char* topic, bool error_header,
                            const char* output) {
  (void)file;
  (void)error_header;
  bench_tell("shown: %s: %s", topic, output);
  return ORTE_SUCCESS;
}

static void on_done(int status, void* data) {
  bench_tell("done: job %u status %d", *(const unsigned*)data, status != ORTE_SUCCESS);
}

/* ------------------------------ the test's hand ------------------------------ */

void bench_open(unsigned nodes, const char* tmp) {
  memset(&g, 0, sizeof g);
  bench_log_clear();
  g.now = 1000;
  rex_filem_settings.stage = "auto";
  rex_filem_settings.store = "memory";
  rex_filem_settings.transport = "auto";
  orte_process_info.num_procs = nodes + 1;
  orte_process_info.nodename = "head";
  orte_process_info.jobfam_session_dir = (char*)tmp;
}

void bench_close(void) { rex_filem_offer_close(); }
void bench_no_stager(bool none) { g.no_stager = none; }
void bench_no_fence(bool none) { g.no_fence = none; }
void bench_stage(const char* mode) { rex_filem_settings.stage = (char*)mode; }

void bench_offer(unsigned number, const char* program, bool preload_binary) {
  static unsigned numbers[64];
  orte_job_t* job = OBJ_NEW(orte_job_t);
  orte_app_context_t* app = OBJ_NEW(orte_app_context_t);
  job->jobid = number;
  app->app = strdup(program == NULL ? "/no/such/program" : program);
  app->cwd = strdup("/");
  opal_argv_append_nosize(&app->env, "NAME=value");
  if (preload_binary) {
    bool yes = true;
    orte_set_attribute(&app->attributes, ORTE_APP_PRELOAD_BIN, ORTE_ATTR_LOCAL, &yes, OPAL_BOOL);
  }
  opal_pointer_array_add(job->apps, app);
  numbers[number % 64] = number;
  if (rex_filem_offer(job, on_done, &numbers[number % 64]) != ORTE_SUCCESS) bench_tell("refused");
  OBJ_RELEASE(job); /* the offer keeps it */
}

void bench_say(enum rex_stager_kind kind, unsigned job, unsigned node, ...) {
  struct rex_stager_word words[MOST_WORDS];
  size_t count = 0;
  va_list arguments;
  va_start(arguments, node);
  for (const char* text; (text = va_arg(arguments, const char*)) != NULL;) {
    words[count++] = rex_filem_word(text);
  }
  va_end(arguments);
  const struct rex_stager_message message = {kind, job, node, count, words};
  rex_filem_offer_take(&message);
}

void bench_fence_over(void) {
  if (g.fence != NULL) g.fence(ORTE_SUCCESS, g.fence_data);
}

void bench_lose_stager(void) { rex_filem_offer_lose("it has ended"); }
