/* A plug-in's rexd-stager: starts it, and carries messages. C, and nothing of Open MPI's types.
 * All calls from one thread. The plug-in's process reaps its children as it always does; the
 * stager is none that it knows. */
#ifndef REX_LAUNCHER_OPENMPI_STAGER_LINK_H_
#define REX_LAUNCHER_OPENMPI_STAGER_LINK_H_

#include "launcher/openmpi/stager_words.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rex_stager; /* opaque */

/* Called from inside rex_stager_run. */
struct rex_stager_host {
  void* self;
  void (*on_message)(void* self, const struct rex_stager_message* message);
  /* It is gone, or speaks nonsense: why, one line. Nothing follows; only free it, later. */
  void (*on_lost)(void* self, const char* why);
};

/* Null when it can't be started; errno is set. `host` is copied. */
struct rex_stager* rex_stager_start(const char* program, const struct rex_stager_host* host);
/* Closes its socket: it removes what it made on this node and ends. */
void rex_stager_free(struct rex_stager* stager);

/* Readable when rex_stager_run has something to do. Borrowed; poll it, do not read it. */
int rex_stager_fd(const struct rex_stager* stager);
void rex_stager_run(struct rex_stager* stager);
/* Never blocks; what the stager does not take yet is kept. No effect once it is lost. */
void rex_stager_send(struct rex_stager* stager, const struct rex_stager_message* message);
/* Whether its messages are taken; at first they are. */
void rex_stager_listen(struct rex_stager* stager, int on);

/* A message as bytes, for another plug-in; malloc'ed, or null. */
char* rex_stager_pack(const struct rex_stager_message* message, size_t* size);
/* Calls `take` once and returns 1; 0: that is no message. */
int rex_stager_unpack(const char* bytes, size_t size, void* self,
                      void (*take)(void* self, const struct rex_stager_message* message));

/* rex's own version: messages of another are not understood. */
const char* rex_stager_version(void);

#ifdef __cplusplus
}
#endif
#endif
