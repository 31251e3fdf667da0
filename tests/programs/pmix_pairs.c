/* pmix_pairs N: each rank asks for N names of the next rank, all at once and before it publishes
 * its own, also all at once, and says how many came wrong: "pairs=N wrong=0". */
#include <pmix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kMost = 512, kSeconds = 60 };

static volatile int answered[kMost];  /* lookups: 1 right, 2 wrong */
static volatile int published[kMost]; /* 1: without an error, 2: with one */

static void on_found(pmix_status_t status, pmix_pdata_t data[], size_t count, void* tag) {
  const int i = (int)(size_t)tag;
  const int right = status == PMIX_SUCCESS && count == 1 && data[0].value.type == PMIX_UINT32 &&
                    data[0].value.data.uint32 == (uint32_t)(7 * i);
  answered[i] = right ? 1 : 2;
}

static void on_published(pmix_status_t status, void* tag) {
  published[(size_t)tag] = status == PMIX_SUCCESS ? 1 : 2;
}

static void ask(uint32_t rank, int i) {
  char key[64];
  char* keys[] = {key, NULL};
  const int wait = 1, bound = kSeconds;
  pmix_info_t* directives;
  snprintf(key, sizeof key, "pair.%u.%d", rank, i);
  PMIX_INFO_CREATE(directives, 2); /* libpmix reads it later: not freed */
  PMIX_INFO_LOAD(&directives[0], PMIX_WAIT, &wait, PMIX_INT);
  PMIX_INFO_LOAD(&directives[1], PMIX_TIMEOUT, &bound, PMIX_INT);
  if (PMIx_Lookup_nb(keys, directives, 2, on_found, (void*)(size_t)i) != PMIX_SUCCESS)
    answered[i] = 2;
}

static void tell(uint32_t rank, int i) {
  char key[64];
  const uint32_t value = (uint32_t)(7 * i);
  pmix_info_t* info;
  snprintf(key, sizeof key, "pair.%u.%d", rank, i);
  PMIX_INFO_CREATE(info, 1);
  PMIX_INFO_LOAD(&info[0], key, &value, PMIX_UINT32);
  if (PMIx_Publish_nb(info, 1, on_published, (void*)(size_t)i) != PMIX_SUCCESS) published[i] = 2;
}

static int count_of(volatile const int* states, int n, int state) {
  int count = 0;
  for (int i = 0; i < n; ++i) count += states[i] == state;
  return count;
}

int main(int argc, char** argv) {
  const int n = argc > 1 ? atoi(argv[1]) : 1;
  pmix_proc_t me, job;
  pmix_value_t* size;
  if (n < 1 || n > kMost || PMIx_Init(&me, NULL, 0) != PMIX_SUCCESS) return 2;
  PMIX_LOAD_PROCID(&job, me.nspace, PMIX_RANK_WILDCARD);
  if (PMIx_Get(&job, PMIX_JOB_SIZE, NULL, 0, &size) != PMIX_SUCCESS) return 3;
  const uint32_t next = (me.rank + 1) % size->data.uint32;
  for (int i = 0; i < n; ++i) ask(next, i);
  for (int i = 0; i < n; ++i) tell(me.rank, i);
  const struct timespec tick = {0, 5000000};
  for (int t = 0; t < kSeconds * 200; ++t) {
    if (count_of(answered, n, 0) + count_of(published, n, 0) == 0) break;
    nanosleep(&tick, NULL);
  }
  printf("pairs=%d wrong=%d\n", count_of(answered, n, 1),
         2 * n - count_of(answered, n, 1) - count_of(published, n, 1));
  fflush(stdout);
  PMIx_Fence(NULL, 0, NULL, 0);
  PMIx_Finalize(NULL, 0);
  return 0;
}
