/* A library whose constructor runs before the program's, and sees the rank's environment. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char story[128];

__attribute__((constructor)) static void begin(void) {
  const char* rank = getenv("PMIX_RANK");
  snprintf(story, sizeof story, "began rank=%s own_pid=%d", rank != NULL ? rank : "none",
           getpid() == gettid());
}
const char* probe_library_story(void) { return story; }
