/* The module: ORTE's hooks, and the way of messages between stager, plug-ins and stager. */
#include "launcher/openmpi/filem_rex.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opal/dss/dss.h"
#include "opal/mca/event/event.h"
#include "opal/util/output.h"
#include "orte/mca/errmgr/errmgr.h"
#include "orte/mca/grpcomm/grpcomm.h"
#include "orte/mca/rml/rml.h"
#include "orte/runtime/orte_globals.h"
#include "orte/util/name_fns.h"
#include "orte/util/proc_info.h"

/* Open MPI 4.1 uses numbers up to 64 and keeps those from 100 on for itself. A daemon without this
 * component keeps such a message unread. */
#define REX_FILEM_TAG 90
#define REX_FILEM_WINDOW (1u << 20) /* bytes that may wait in the RML: then the stager waits */

static struct {
  struct rex_stager* stager; /* null before the first image */
  bool stager_lost;
  opal_event_t ready;
  size_t waiting; /* bytes given to the RML and not sent */
} g;

void rex_filem_note(const char* format, ...) {
  char line[1024];
  va_list arguments;
  if (!rex_filem_settings.verbose) return;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  opal_output(0, "rex: %s", line);
}

struct rex_stager_word rex_filem_word(const char* text) {
  const struct rex_stager_word word = {text, strlen(text)};
  return word;
}

/* ------------------------------ time ------------------------------ */

struct rex_filem_alarm {
  void (*ring)(void* self);
  void* self;
  opal_event_t event;
};

static void on_alarm(int fd, short events, void* self) {
  const struct rex_filem_alarm* alarm = self;
  (void)fd;
  (void)events;
  alarm->ring(alarm->self);
}

struct rex_filem_alarm* rex_filem_alarm_new(void (*ring)(void* self), void* self) {
  struct rex_filem_alarm* alarm = calloc(1, sizeof *alarm);
  if (alarm == NULL) return NULL;
  alarm->ring = ring;
  alarm->self = self;
  opal_event_evtimer_set(orte_event_base, &alarm->event, on_alarm, alarm);
  return alarm;
}

void rex_filem_alarm_set(struct rex_filem_alarm* alarm, int seconds) {
  const struct timeval after = {seconds, 0};
  opal_event_evtimer_add(&alarm->event, &after);
}

void rex_filem_alarm_free(struct rex_filem_alarm* alarm) {
  if (alarm == NULL) return;
  opal_event_evtimer_del(&alarm->event);
  free(alarm);
}

/* ------------------------------ messages to others ------------------------------ */

/* Null when there is no memory. */
static opal_buffer_t* buffer_of(const struct rex_stager_message* message) {
  size_t size = 0;
  char* bytes = rex_stager_pack(message, &size);
  opal_buffer_t* buffer = OBJ_NEW(opal_buffer_t);
  int32_t count = (int32_t)size;
  if (bytes == NULL || buffer == NULL ||
      opal_dss.pack(buffer, &count, 1, OPAL_INT32) != OPAL_SUCCESS ||
      opal_dss.pack(buffer, bytes, count, OPAL_BYTE) != OPAL_SUCCESS) {
    ORTE_ERROR_LOG(ORTE_ERR_OUT_OF_RESOURCE);
    if (buffer != NULL) OBJ_RELEASE(buffer);
    buffer = NULL;
  }
  free(bytes);
  return buffer;
}

static void on_sent(int status, orte_process_name_t* peer, opal_buffer_t* buffer,
                    orte_rml_tag_t tag, void* size) {
  (void)status;
  (void)peer;
  (void)tag;
  g.waiting -= (size_t)size;
  if (g.stager != NULL && !g.stager_lost && g.waiting < REX_FILEM_WINDOW) {
    rex_stager_listen(g.stager, 1);
  }
  OBJ_RELEASE(buffer);
}

static void tell_daemon(uint32_t node, const struct rex_stager_message* message) {
  orte_process_name_t to = {ORTE_PROC_MY_NAME->jobid, node};
  opal_buffer_t* buffer = buffer_of(message);
  if (buffer == NULL) return;
  const size_t size = buffer->bytes_used;
  g.waiting += size;
  if (g.waiting >= REX_FILEM_WINDOW && g.stager != NULL) rex_stager_listen(g.stager, 0);
  const int rc =
      orte_rml.send_buffer_nb(orte_mgmt_conduit, &to, buffer, REX_FILEM_TAG, on_sent, (void*)size);
  if (rc < 0) {
    ORTE_ERROR_LOG(rc);
    g.waiting -= size;
    OBJ_RELEASE(buffer);
  }
}

void rex_filem_tell_head(const struct rex_stager_message* message) {
  tell_daemon(ORTE_PROC_MY_HNP->vpid, message);
}

void rex_filem_tell_all(const struct rex_stager_message* message) {
  opal_buffer_t* buffer = buffer_of(message);
  if (buffer == NULL) return;
  orte_grpcomm_signature_t* to = OBJ_NEW(orte_grpcomm_signature_t);
  to->signature = malloc(sizeof *to->signature);
  to->sz = 1;
  if (to->signature != NULL) {
    to->signature[0].jobid = ORTE_PROC_MY_NAME->jobid;
    to->signature[0].vpid = ORTE_VPID_WILDCARD;
    const int rc = orte_grpcomm.xcast(to, REX_FILEM_TAG, buffer);
    if (rc != ORTE_SUCCESS) ORTE_ERROR_LOG(rc);
  }
  OBJ_RELEASE(to);
  OBJ_RELEASE(buffer);
}

/* ------------------------------ messages of others ------------------------------ */

static void take_of_daemon(void* sender, const struct rex_stager_message* message) {
  struct rex_stager_message theirs = *message;
  theirs.node = *(const uint32_t*)sender;
  if (ORTE_PROC_IS_HNP) {
    rex_filem_offer_take(&theirs);
  } else {
    rex_filem_node_take(&theirs);
  }
}

static void on_message(int status, orte_process_name_t* sender, opal_buffer_t* buffer,
                       orte_rml_tag_t tag, void* self) {
  int32_t count = 1;
  int32_t size = 0;
  (void)status;
  (void)tag;
  (void)self;
  if (opal_dss.unpack(buffer, &size, &count, OPAL_INT32) != OPAL_SUCCESS || size <= 0) return;
  char* bytes = malloc((size_t)size);
  uint32_t node = sender->vpid;
  if (bytes == NULL || opal_dss.unpack(buffer, bytes, &size, OPAL_BYTE) != OPAL_SUCCESS ||
      !rex_stager_unpack(bytes, (size_t)size, &node, take_of_daemon)) {
    rex_filem_note("a message of another rex is not understood");
  }
  free(bytes);
}

/* ------------------------------ our stager ------------------------------ */

/* A stager's word for another stager goes by its plug-in. */
static void take_of_stager(void* self, const struct rex_stager_message* message) {
  (void)self;
  if (message->kind == REX_STAGER_PEER) {
    tell_daemon(message->node, message);
  } else if (ORTE_PROC_IS_HNP) {
    rex_filem_offer_take(message);
  } else {
    rex_filem_node_take(message);
  }
}

static void on_lost(void* self, const char* why) {
  (void)self;
  g.stager_lost = true;
  opal_event_del(&g.ready);
  rex_filem_note("rexd-stager: %s", why);
  if (ORTE_PROC_IS_HNP) {
    rex_filem_offer_lose(why);
  } else {
    rex_filem_node_lose(why);
  }
}

static void on_ready(int fd, short events, void* self) {
  (void)fd;
  (void)events;
  (void)self;
  rex_stager_run(g.stager);
}

static void stop_stager(void) {
  if (g.stager == NULL) return;
  if (!g.stager_lost) opal_event_del(&g.ready);
  rex_stager_free(g.stager);
  g.stager = NULL;
  g.stager_lost = false;
}

bool rex_filem_start_stager(void) {
  const struct rex_stager_host host = {.on_message = take_of_stager, .on_lost = on_lost};
  if (g.stager_lost) stop_stager();
  if (g.stager != NULL) return true;
  g.stager = rex_stager_start(rex_filem_settings.stager, &host);
  if (g.stager == NULL) {
    rex_filem_note("%s can't be started: %s", rex_filem_settings.stager, strerror(errno));
    return false;
  }
  opal_event_set(orte_event_base, &g.ready, rex_stager_fd(g.stager), OPAL_EV_READ | OPAL_EV_PERSIST,
                 on_ready, NULL);
  opal_event_set_priority(&g.ready, ORTE_MSG_PRI);
  opal_event_add(&g.ready, NULL);
  return true;
}

void rex_filem_tell_stager(enum rex_stager_kind kind, uint32_t job, uint32_t node, size_t count,
                           const struct rex_stager_word* words) {
  const struct rex_stager_message message = {kind, job, node, count, words};
  if (g.stager != NULL && !g.stager_lost) rex_stager_send(g.stager, &message);
}

/* ------------------------------ hooks ------------------------------ */

static int init(void) {
  orte_rml.recv_buffer_nb(ORTE_NAME_WILDCARD, REX_FILEM_TAG, ORTE_RML_PERSISTENT, on_message, NULL);
  return rex_filem_raw.filem_init == NULL ? ORTE_SUCCESS : rex_filem_raw.filem_init();
}

static int finalize(void) {
  orte_rml.recv_cancel(ORTE_NAME_WILDCARD, REX_FILEM_TAG);
  rex_filem_offer_close();
  rex_filem_node_close();
  stop_stager();
  return rex_filem_raw.filem_finalize == NULL ? ORTE_SUCCESS : rex_filem_raw.filem_finalize();
}

static int link_local_files(orte_job_t* job, orte_app_context_t* app) {
  rex_filem_node_use(job, app);
  return rex_filem_raw.link_local_files(job, app);
}

orte_filem_base_module_t rex_filem_module = {
    .filem_init = init,
    .filem_finalize = finalize,
    REX_FILEM_UNUSED,
    .preposition_files = rex_filem_offer,
    .link_local_files = link_local_files,
};
