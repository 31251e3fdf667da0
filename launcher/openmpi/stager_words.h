/* What a plug-in in mpirun or orted and rexd-stager say to each other, and one plug-in to another:
 * one form for both ways. C, for the plug-in; stager_message.h is the same in C++.
 * docs/design/launch-agent.md has the order. */
#ifndef REX_LAUNCHER_OPENMPI_STAGER_WORDS_H_
#define REX_LAUNCHER_OPENMPI_STAGER_WORDS_H_

#include <stddef.h>
#include <stdint.h>

enum rex_stager_kind {
  /* mpirun's plug-in to its stager */
  REX_STAGER_MAKE = 1,  /* store (memory, disk, DIR), mode (auto, always), transport (auto, tree,
                           multicast), then apps: the program's
                           path (empty: not found) and NAME=VALUE, each ended by a zero byte */
  REX_STAGER_START = 2, /* nodes: number in decimal, blank, name */
  REX_STAGER_LOST = 3,  /* node: it will not have the image */
  REX_STAGER_END = 4,   /* the job needs no image any more; to a node's stager, too */
  /* its answers */
  REX_STAGER_MADE = 5,     /* key, image (empty: nothing is to be sent), a note, and for each app
                              '1' when its program belongs to the image */
  REX_STAGER_NOT_MADE = 6, /* detail, remedy */
  REX_STAGER_ACCOUNT = 7,  /* a note; after END */
  /* a node's plug-in to its stager */
  REX_STAGER_BEGIN = 8, /* node: its own; its name, mpirun's node's name, key, image */
  /* its answers; they go on to mpirun's plug-in */
  REX_STAGER_READY = 9,   /* a note, then apps: path (empty: as ever), '1' when that is the node's
                             own file, directories of libraries, directory of the image, each ended
                             by a zero byte */
  REX_STAGER_FAILED = 10, /* detail, remedy. Of mpirun's stager: node says whose failure */
  /* stager to stager, carried by both plug-ins; node: the other end */
  REX_STAGER_PEER = 11, /* kind (a byte), payload */
  /* plug-in to plug-in only */
  REX_STAGER_OFFER = 12, /* rex's version, mpirun's node's name, key, image */
  REX_STAGER_HERE = 13,  /* the node's name */
  REX_STAGER_CANCEL = 14
};
#define REX_STAGER_LAST_KIND REX_STAGER_CANCEL

struct rex_stager_word {
  const char* bytes; /* with a zero byte behind the last */
  size_t size;
};

struct rex_stager_message {
  enum rex_stager_kind kind;
  uint32_t job;
  uint32_t node;
  size_t count;
  const struct rex_stager_word* words;
};

#endif
