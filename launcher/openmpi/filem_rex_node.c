/* A node's part: takes offers, and has placed programs run where they lie. */
#include "launcher/openmpi/filem_rex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/openmpi/component.h"

#include "opal/util/opal_environ.h"
#include "opal/util/path.h"
#include "orte/mca/odls/base/base.h"
#include "orte/runtime/orte_globals.h"
#include "orte/util/proc_info.h"

struct staged_app {
  char* path; /* null: as ever */
  bool in_place;
  char* library_path;
  char* image_dir;
};

/* A job that was offered: its apps once they are placed. */
struct staged_job {
  uint32_t job;
  bool ready;
  size_t count;
  struct staged_app* apps;
  struct staged_job* next;
};

static struct staged_job* jobs;

static struct staged_job* find_job(uint32_t number) {
  struct staged_job* job = jobs;
  while (job != NULL && job->job != number) job = job->next;
  return job;
}

static void free_job(struct staged_job* job) {
  for (size_t i = 0; i < job->count; ++i) {
    free(job->apps[i].path);
    free(job->apps[i].library_path);
    free(job->apps[i].image_dir);
  }
  free(job->apps);
  free(job);
}

static void drop_job(uint32_t number) {
  for (struct staged_job** at = &jobs; *at != NULL; at = &(*at)->next) {
    if ((*at)->job != number) continue;
    struct staged_job* gone = *at;
    *at = gone->next;
    free_job(gone);
    return;
  }
}

void rex_filem_node_close(void) {
  while (jobs != NULL) drop_job(jobs->job);
}

static void tell_failure(uint32_t job, const char* detail, const char* remedy) {
  const struct rex_stager_word words[] = {rex_filem_word(detail), rex_filem_word(remedy)};
  const struct rex_stager_message message = {REX_STAGER_FAILED, job, ORTE_PROC_MY_NAME->vpid, 2,
                                             words};
  rex_filem_tell_head(&message);
}

void rex_filem_node_lose(const char* why) {
  char detail[256];
  snprintf(detail, sizeof detail, "rexd-stager, which receives programs, is lost: %s", why);
  for (struct staged_job* job = jobs; job != NULL; job = job->next) {
    if (!job->ready) tell_failure(job->job, detail, "see that nobody kills it");
  }
}

/* Of another rex: nothing is said, as by a daemon without this component. */
static void take_offer(const struct rex_stager_message* offer) {
  if (strcmp(offer->words[0].bytes, rex_stager_version()) != 0) {
    rex_filem_note("mpirun's rex is %s, this one %s: programs are not sent by rex",
                   offer->words[0].bytes, rex_stager_version());
    return;
  }
  struct staged_job* job = calloc(1, sizeof *job);
  if (job == NULL || !rex_filem_start_stager()) {
    free(job);
    return;
  }
  drop_job(offer->job);
  job->job = offer->job;
  job->next = jobs;
  jobs = job;
  const struct rex_stager_word name = rex_filem_word(orte_process_info.nodename);
  const struct rex_stager_message here = {REX_STAGER_HERE, offer->job, ORTE_PROC_MY_NAME->vpid, 1,
                                          &name};
  rex_filem_tell_head(&here);
  const struct rex_stager_word words[] = {name, offer->words[1], offer->words[2], offer->words[3]};
  rex_filem_tell_stager(REX_STAGER_BEGIN, offer->job, ORTE_PROC_MY_NAME->vpid, 4, words);
}

/* The next part of a word, malloc'ed; `*at` goes behind it. */
static char* next_part(const struct rex_stager_word* word, size_t* at) {
  if (*at >= word->size) return NULL;
  char* part = strdup(word->bytes + *at);
  if (part != NULL) *at += strlen(part) + 1;
  return part;
}

static struct staged_app read_app(const struct rex_stager_word* word) {
  struct staged_app app = {0};
  size_t at = 0;
  app.path = next_part(word, &at);
  char* in_place = next_part(word, &at);
  app.in_place = in_place != NULL && in_place[0] != '\0';
  free(in_place);
  app.library_path = next_part(word, &at);
  app.image_dir = next_part(word, &at);
  if (app.path != NULL && app.path[0] == '\0') {
    free(app.path);
    app.path = NULL;
  }
  return app;
}

static void take_ready(const struct rex_stager_message* ready) {
  struct staged_job* job = find_job(ready->job);
  if (job == NULL || job->ready) return;
  job->ready = true;
  job->apps = calloc(ready->count, sizeof *job->apps);
  if (job->apps == NULL) return;
  for (size_t i = 1; i < ready->count; ++i) job->apps[job->count++] = read_app(&ready->words[i]);
  rex_filem_tell_head(ready);
}

void rex_filem_node_take(const struct rex_stager_message* message) {
  switch (message->kind) {
    case REX_STAGER_OFFER:
      take_offer(message);
      return;
    case REX_STAGER_CANCEL:
      drop_job(message->job);
      rex_filem_tell_stager(REX_STAGER_END, message->job, 0, 0, NULL);
      return;
    case REX_STAGER_PEER:
      rex_filem_tell_stager(message->kind, message->job, message->node, message->count,
                            message->words);
      return;
    case REX_STAGER_READY:
      take_ready(message);
      return;
    case REX_STAGER_FAILED:
      rex_filem_tell_head(message);
      return;
    default:
      rex_filem_note("a message about an image is out of place: kind %d", (int)message->kind);
  }
}

/* ------------------------------ a launch ------------------------------ */

static bool same_file(const char* one, const char* other) {
  struct stat a;
  struct stat b;
  return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Would ORTE, in the app's directory as it is now, run the file that was found in place? */
static bool finds_it(const orte_app_context_t* app, const char* path) {
  if (strchr(app->app, '/') != NULL) return same_file(app->app, path);
  char* found = opal_path_findv(app->app, X_OK, app->env, app->cwd);
  const bool same = found != NULL && same_file(found, path);
  free(found);
  return same;
}

/* Ours is the odls component that was chosen; the others are closed. */
static bool odls_is_ours(void) {
  mca_base_component_list_item_t* item;
  OPAL_LIST_FOREACH(item, &orte_odls_base_framework.framework_components,
                    mca_base_component_list_item_t) {
    if (strcmp(item->cli_component->mca_component_name, "rex") == 0) return true;
  }
  return false;
}

static void put_libraries(const struct staged_app* staged, orte_app_context_t* app) {
  const bool ours = odls_is_ours();
  char* value = NULL;
  int length;
  if (ours) {
    length = asprintf(&value, "%s %s", staged->library_path, staged->image_dir);
  } else {
    const char* before = NULL;
    static const char name[] = "LD_LIBRARY_PATH=";
    for (char** entry = app->env; entry != NULL && *entry != NULL; ++entry) {
      if (strncmp(*entry, name, sizeof name - 1) == 0) before = *entry + sizeof name - 1;
    }
    length = asprintf(&value, "%s%s%s", staged->library_path, before == NULL ? "" : ":",
                      before == NULL ? "" : before);
  }
  if (length < 0) return;
  opal_setenv(ours ? REX_COMPONENT_STAGED : "LD_LIBRARY_PATH", value, true, &app->env);
  free(value);
}

void rex_filem_node_use(orte_job_t* job, orte_app_context_t* app) {
  const struct staged_job* placed = find_job(job->jobid);
  if (placed == NULL || app->idx >= placed->count) return;
  const struct staged_app* staged = &placed->apps[app->idx];
  if (staged->path == NULL) return;
  if (!staged->in_place || !finds_it(app, staged->path)) {
    free(app->app);
    app->app = strdup(staged->path);
  }
  const bool any = staged->image_dir != NULL && staged->image_dir[0] != '\0';
  if (any && staged->library_path != NULL) put_libraries(staged, app);
}
