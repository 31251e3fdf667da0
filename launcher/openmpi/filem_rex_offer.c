/* mpirun's part: an image is made, offered to all nodes, sent to those that lack it; then ORTE's
 * own component has its turn, and the launch goes on. docs/design/launch-agent.md has the states.
 */
#include "launcher/openmpi/filem_rex.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opal/util/argv.h"
#include "opal/util/path.h"
#include "orte/mca/errmgr/errmgr.h"
#include "orte/runtime/orte_globals.h"
#include "orte/util/attr.h"
#include "orte/util/name_fns.h"
#include "orte/util/proc_info.h"
#include "orte/util/show_help.h"

#define REX_FILEM_SILENCE_S (11 * 60) /* a stager gives up after ten */

extern char** environ;

enum offer_state { OFFER_MAKING, OFFER_OFFERED, OFFER_STAGING };

struct offer_node {
  char* name; /* null: nothing heard; it has no rex */
  bool over;  /* ready, or failed */
};

struct offer {
  orte_job_t* job; /* retained */
  orte_filem_completion_cbfunc_t done;
  void* data;
  enum offer_state state;
  bool wanted; /* --preload-binary */
  size_t count;
  struct offer_node* nodes; /* by vpid */
  struct rex_filem_alarm* silence;
  struct offer* next;
};

static struct offer* offers;

static struct offer* find_offer(uint32_t job) {
  struct offer* offer = offers;
  while (offer != NULL && offer->job->jobid != job) offer = offer->next;
  return offer;
}

static void free_offer(struct offer* offer) {
  for (struct offer** at = &offers; *at != NULL; at = &(*at)->next) {
    if (*at != offer) continue;
    *at = offer->next;
    break;
  }
  rex_filem_alarm_free(offer->silence);
  for (size_t i = 0; i < offer->count; ++i) free(offer->nodes[i].name);
  free(offer->nodes);
  OBJ_RELEASE(offer->job);
  free(offer);
}

void rex_filem_offer_close(void) {
  while (offers != NULL) free_offer(offers);
}

static orte_app_context_t* app_of(const orte_job_t* job, int index) {
  return opal_pointer_array_get_item(job->apps, index);
}

static bool wants_binary(orte_app_context_t* app) {
  return orte_get_attribute(&app->attributes, ORTE_APP_PRELOAD_BIN, NULL, OPAL_BOOL);
}

static bool any_wants_binary(const orte_job_t* job) {
  for (int i = 0; i < job->apps->size; ++i) {
    orte_app_context_t* app = app_of(job, i);
    if (app != NULL && wants_binary(app)) return true;
  }
  return false;
}

/* ------------------------------ the end of an offer ------------------------------ */

/* One text for each subject; equal subjects are counted by ORTE. */
static void show(const char* subject, const char* text) {
  orte_show_help_norender("rex", subject, false, text);
}

static void end_offer(struct offer* offer, bool staged) {
  const uint32_t job = offer->job->jobid;
  rex_filem_tell_stager(REX_STAGER_END, job, 0, 0, NULL);
  if (staged || offer->state == OFFER_MAKING) return;
  const struct rex_stager_message cancel = {REX_STAGER_CANCEL, job, 0, 0, NULL};
  rex_filem_tell_all(&cancel);
}

/* The job can't be. */
static void fail_offer(struct offer* offer, const char* subject, const char* text) {
  const orte_filem_completion_cbfunc_t done = offer->done;
  void* data = offer->data;
  show(subject, text);
  end_offer(offer, false);
  free_offer(offer);
  done(ORTE_ERROR_DEFAULT_EXIT_CODE, data);
}

/* ORTE's own component does what is left: the user's files, and without us the programs. */
static void give_to_raw(struct offer* offer, bool staged) {
  const orte_filem_completion_cbfunc_t done = offer->done;
  void* data = offer->data;
  orte_job_t* job = offer->job;
  OBJ_RETAIN(job);
  end_offer(offer, staged);
  free_offer(offer);
  for (int i = 0; staged && i < job->apps->size; ++i) {
    orte_app_context_t* app = app_of(job, i);
    if (app != NULL) orte_remove_attribute(&app->attributes, ORTE_APP_PRELOAD_BIN);
  }
  const int rc = rex_filem_raw.preposition_files(job, done, data);
  OBJ_RELEASE(job);
  if (rc != ORTE_SUCCESS) done(ORTE_ERROR_DEFAULT_EXIT_CODE, data);
}

static void on_silence(void* self) {
  show("silence",
       "rex: no node said anything for 11 minutes about the program that it was to get; "
       "nodes look for it themselves");
  give_to_raw(self, false);
}

static void set_silence(struct offer* offer) {
  rex_filem_alarm_set(offer->silence, REX_FILEM_SILENCE_S);
}

void rex_filem_offer_lose(const char* why) {
  (void)why;
  while (offers != NULL) give_to_raw(offers, false);
}

/* ------------------------------ making ------------------------------ */

/* Where a node would find it, if it had mpirun's files; malloc'ed, or null. */
static char* find_program(const orte_app_context_t* app) {
  char* path = NULL;
  if (strchr(app->app, '/') == NULL) {
    char** env = app->env;
    const char* own = getenv("PATH");
    for (char** entry = env; entry != NULL && *entry != NULL; ++entry) {
      if (strncmp(*entry, "PATH=", 5) == 0) own = NULL; /* -x PATH */
    }
    return opal_path_findv(app->app, X_OK, own == NULL ? env : environ, app->cwd);
  }
  if (app->app[0] == '/') {
    path = strdup(app->app);
  } else if (asprintf(&path, "%s/%s", app->cwd == NULL ? "" : app->cwd, app->app) < 0) {
    return NULL;
  }
  if (path != NULL && access(path, X_OK) == 0) return path;
  free(path);
  return NULL;
}

/* What ld.so goes by: the app's own where the user gave it one, else mpirun's. */
static const char* setting(const orte_app_context_t* app, const char* name) {
  const size_t length = strlen(name);
  for (char** entry = app->env; entry != NULL && *entry != NULL; ++entry) {
    if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') return *entry + length + 1;
  }
  return getenv(name);
}

/* A word of REX_STAGER_MAKE; bytes malloc'ed. Empty, with null, for an app without a program. */
static struct rex_stager_word describe_app(const orte_app_context_t* app) {
  static const char* const names[] = {"LD_LIBRARY_PATH", "LD_PRELOAD"};
  struct rex_stager_word word = {NULL, 0};
  char* program = app == NULL ? NULL : find_program(app);
  if (program == NULL) return word;
  char* bytes = NULL;
  FILE* out = open_memstream(&bytes, &word.size);
  if (out != NULL) {
    fwrite(program, 1, strlen(program) + 1, out);
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
      const char* value = setting(app, names[i]);
      if (value != NULL) fprintf(out, "%s=%s%c", names[i], value, '\0');
    }
    fclose(out);
    word.bytes = bytes;
  }
  free(program);
  return word;
}

/* False: no app has a program here. */
static bool order_image(const orte_job_t* job) {
  const size_t apps = (size_t)job->apps->size;
  struct rex_stager_word* words = calloc(apps + 3, sizeof *words);
  bool any = false;
  if (words == NULL) return false;
  words[0] = rex_filem_word(rex_filem_settings.store);
  words[1] = rex_filem_word(rex_filem_settings.stage);
  words[2] = rex_filem_word(rex_filem_settings.transport);
  /* The array may be longer than the list of apps. */
  size_t last = 0;
  for (size_t i = 0; i < apps; ++i) {
    const orte_app_context_t* app = app_of(job, (int)i);
    if (app != NULL) last = i + 1;
    words[i + 3] = describe_app(app);
    any |= words[i + 3].size > 0;
  }
  if (any) rex_filem_tell_stager(REX_STAGER_MAKE, job->jobid, 0, last + 3, words);
  for (size_t i = 0; i < apps; ++i) free((void*)words[i + 3].bytes);
  free(words);
  return any;
}

static struct offer* new_offer(orte_job_t* job, orte_filem_completion_cbfunc_t done, void* data) {
  struct offer* offer = calloc(1, sizeof *offer);
  if (offer == NULL) return NULL;
  offer->count = orte_process_info.num_procs;
  offer->nodes = calloc(offer->count, sizeof *offer->nodes);
  offer->silence = rex_filem_alarm_new(on_silence, offer);
  if (offer->nodes == NULL || offer->silence == NULL) {
    rex_filem_alarm_free(offer->silence);
    free(offer->nodes);
    free(offer);
    return NULL;
  }
  OBJ_RETAIN(job);
  offer->job = job;
  offer->done = done;
  offer->data = data;
  offer->wanted = any_wants_binary(job);
  offer->next = offers;
  offers = offer;
  set_silence(offer);
  return offer;
}

int rex_filem_offer(orte_job_t* job, orte_filem_completion_cbfunc_t done, void* data) {
  const bool none = strcmp(rex_filem_settings.stage, "never") == 0 || done == NULL ||
                    orte_process_info.num_procs < 2 ||
                    ORTE_FLAG_TEST(job, ORTE_JOB_FLAG_DEBUGGER_DAEMON);
  if (none || !rex_filem_start_stager() || !order_image(job) ||
      new_offer(job, done, data) == NULL) {
    return rex_filem_raw.preposition_files(job, done, data);
  }
  return ORTE_SUCCESS;
}

/* ------------------------------ who is here ------------------------------ */

static size_t count_nodes(const struct offer* offer, bool over) {
  size_t count = 0;
  for (size_t i = 1; i < offer->count; ++i) {
    count += offer->nodes[i].name != NULL && (!over || offer->nodes[i].over);
  }
  return count;
}

static void start_sending(struct offer* offer) {
  struct rex_stager_word* words = calloc(offer->count, sizeof *words);
  size_t count = 0;
  if (words == NULL) {
    give_to_raw(offer, false);
    return;
  }
  for (size_t i = 1; i < offer->count; ++i) {
    char* line = NULL;
    if (offer->nodes[i].name == NULL) continue;
    if (asprintf(&line, "%zu %s", i, offer->nodes[i].name) < 0) continue;
    words[count++] = rex_filem_word(line);
  }
  offer->state = OFFER_STAGING;
  rex_filem_tell_stager(REX_STAGER_START, offer->job->jobid, 0, count, words);
  for (size_t i = 0; i < count; ++i) free((void*)words[i].bytes);
  free(words);
}

static void settle_when_over(struct offer* offer) {
  if (offer->state != OFFER_STAGING || count_nodes(offer, true) < count_nodes(offer, false)) return;
  give_to_raw(offer, true);
}

/* Every daemon has had its turn with the offer. */
static void on_fence(int status, void* data) {
  struct offer* offer = find_offer((uint32_t)(uintptr_t)data);
  (void)status;
  if (offer == NULL || offer->state != OFFER_OFFERED) return;
  const size_t here = count_nodes(offer, false);
  const size_t nodes = offer->count - 1;
  rex_filem_note("%zu of %zu nodes take programs by rex", here, nodes);
  if (here == 0 || (offer->wanted && here < nodes)) {
    give_to_raw(offer, false);
    return;
  }
  start_sending(offer);
  offer = find_offer((uint32_t)(uintptr_t)data);
  if (offer != NULL) settle_when_over(offer);
}

/* A file of one byte, by ORTE's own component, to all daemons: it comes behind the offer, and each
 * daemon acknowledges it, whatever it has of rex. */
static bool fence(const struct offer* offer) {
  char* path = NULL;
  const char* top = orte_process_info.jobfam_session_dir;
  if (top == NULL || asprintf(&path, "%s/rex-fence-%u", top, (unsigned)offer->job->jobid) < 0) {
    return false;
  }
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool sent = fd >= 0 && write(fd, "\n", 1) == 1;
  if (fd >= 0) close(fd);
  orte_job_t* carrier = OBJ_NEW(orte_job_t);
  orte_app_context_t* app = OBJ_NEW(orte_app_context_t);
  if (sent) {
    orte_set_attribute(&app->attributes, ORTE_APP_PRELOAD_FILES, ORTE_ATTR_LOCAL, path,
                       OPAL_STRING);
    opal_pointer_array_add(carrier->apps, app);
    sent = rex_filem_raw.preposition_files(carrier, on_fence,
                                           (void*)(uintptr_t)offer->job->jobid) == ORTE_SUCCESS;
  } else {
    OBJ_RELEASE(app);
  }
  OBJ_RELEASE(carrier);
  unlink(path);
  free(path);
  return sent;
}

/* An app whose program is not in the image is a node's own: not what --preload-binary asks for. */
static bool has_all_that_are_wanted(const struct offer* offer, const char* flags) {
  const size_t known = strlen(flags);
  for (int i = 0; i < offer->job->apps->size; ++i) {
    orte_app_context_t* app = app_of(offer->job, i);
    if (app == NULL || !wants_binary(app)) continue;
    if ((size_t)i >= known || flags[i] != '1') return false;
  }
  return true;
}

static void take_made(struct offer* offer, const struct rex_stager_message* made) {
  rex_filem_note("the program: %s", made->words[2].bytes);
  if (made->words[1].size == 0 || !has_all_that_are_wanted(offer, made->words[3].bytes)) {
    give_to_raw(offer, false);
    return;
  }
  const struct rex_stager_word words[] = {rex_filem_word(rex_stager_version()),
                                          rex_filem_word(orte_process_info.nodename),
                                          made->words[0], made->words[1]};
  const struct rex_stager_message message = {REX_STAGER_OFFER, made->job, 0, 4, words};
  offer->state = OFFER_OFFERED;
  rex_filem_tell_all(&message);
  if (!fence(offer)) give_to_raw(offer, false);
}

static void take_not_made(struct offer* offer, const struct rex_stager_message* message) {
  char text[4096];
  snprintf(text, sizeof text, "rex: --preload-binary: %s\n%s", message->words[0].bytes,
           message->words[1].bytes);
  if (offer->wanted) {
    fail_offer(offer, "not made", text);
    return;
  }
  rex_filem_note("programs are not sent: %s", message->words[0].bytes);
  give_to_raw(offer, false);
}

/* ------------------------------ what nodes say ------------------------------ */

static void take_failed(struct offer* offer, const struct rex_stager_message* failed) {
  char text[4096];
  const bool at_node = failed->node > 0 && failed->node < offer->count;
  const char* name = at_node ? offer->nodes[failed->node].name : orte_process_info.nodename;
  if (at_node && offer->nodes[failed->node].over) return;
  const char* then = offer->wanted ? "" : "\nThe program is looked for as without rex.";
  snprintf(text, sizeof text, "rex: node %s can't be given the program: %s\n%s%s",
           name == NULL ? "?" : name, failed->words[0].bytes, failed->words[1].bytes, then);
  if (offer->wanted) {
    fail_offer(offer, "image", text);
    return;
  }
  show(name == NULL ? "image" : name, text);
  if (!at_node) {
    give_to_raw(offer, false);
    return;
  }
  offer->nodes[failed->node].over = true;
  rex_filem_tell_stager(REX_STAGER_LOST, failed->job, failed->node, 0, NULL);
  settle_when_over(offer);
}

static void take_ready(struct offer* offer, const struct rex_stager_message* ready) {
  if (ready->node == 0 || ready->node >= offer->count) return;
  struct offer_node* node = &offer->nodes[ready->node];
  if (node->name == NULL) return;
  rex_filem_note("%s: %s", node->name, ready->words[0].bytes);
  node->over = true;
  settle_when_over(offer);
}

static void take_here(struct offer* offer, const struct rex_stager_message* here) {
  if (here->node == 0 || here->node >= offer->count) return;
  free(offer->nodes[here->node].name);
  offer->nodes[here->node].name = strdup(here->words[0].bytes);
}

void rex_filem_offer_take(const struct rex_stager_message* message) {
  struct offer* offer = find_offer(message->job);
  if (message->kind == REX_STAGER_ACCOUNT && message->words[0].size > 0) {
    rex_filem_note("image: %s", message->words[0].bytes);
  }
  if (offer == NULL) return;
  set_silence(offer);
  switch (message->kind) {
    case REX_STAGER_MADE:
      take_made(offer, message);
      return;
    case REX_STAGER_NOT_MADE:
      take_not_made(offer, message);
      return;
    case REX_STAGER_HERE:
      take_here(offer, message);
      return;
    case REX_STAGER_READY:
      take_ready(offer, message);
      return;
    case REX_STAGER_FAILED:
      take_failed(offer, message);
      return;
    case REX_STAGER_PEER:
      rex_filem_tell_stager(message->kind, message->job, message->node, message->count,
                            message->words);
      return;
    default: /* our own offer, cast to us, too */
      return;
  }
}
