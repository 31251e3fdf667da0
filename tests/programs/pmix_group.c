/* PMIx groups over all ranks: two with a context id, one without; destructed. "die": the last rank
 * ends instead of taking part, and the others say what became of it. */
#include <pmix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pmix_proc_t me;

static pmix_status_t construct(const char* id, int want_context, size_t* context) {
  pmix_proc_t all;
  pmix_info_t info;
  pmix_info_t* results = NULL;
  size_t count = 0;
  bool yes = true;
  PMIX_LOAD_PROCID(&all, me.nspace, PMIX_RANK_WILDCARD);
  PMIX_INFO_CONSTRUCT(&info);
  PMIX_INFO_LOAD(&info, PMIX_GROUP_ASSIGN_CONTEXT_ID, &yes, PMIX_BOOL);
  const pmix_status_t status = PMIx_Group_construct(id, &all, 1, want_context ? &info : NULL,
                                                    want_context ? 1 : 0, &results, &count);
  *context = 0;
  for (size_t i = 0; i < count; ++i) {
    if (PMIX_CHECK_KEY(&results[i], PMIX_GROUP_CONTEXT_ID)) *context = results[i].value.data.size;
  }
  if (results != NULL) PMIX_INFO_FREE(results, count);
  PMIX_INFO_DESTRUCT(&info);
  return status;
}

static void one(const char* id, int want_context) {
  size_t context;
  pmix_status_t status = construct(id, want_context, &context);
  printf("rank %u group %s: %s context=%zu\n", me.rank, id, PMIx_Error_string(status), context);
  status = PMIx_Group_destruct(id, NULL, 0);
  printf("rank %u group %s destructed: %s\n", me.rank, id, PMIx_Error_string(status));
  fflush(stdout);
}

int main(int argc, char** argv) {
  const int die = argc > 1 && strcmp(argv[1], "die") == 0;
  pmix_value_t* size = NULL;
  pmix_proc_t all;
  if (PMIx_Init(&me, NULL, 0) != PMIX_SUCCESS) return 1;
  PMIX_LOAD_PROCID(&all, me.nspace, PMIX_RANK_WILDCARD);
  if (PMIx_Get(&all, PMIX_JOB_SIZE, NULL, 0, &size) != PMIX_SUCCESS) return 2;
  PMIx_Fence(NULL, 0, NULL, 0);
  if (die && me.rank + 1 == size->data.uint32) {
    PMIx_Finalize(NULL, 0);
    return 0;
  }
  if (die) {
    size_t context;
    const pmix_status_t status = construct("dying", 1, &context);
    printf("rank %u: %s\n", me.rank, status == PMIX_SUCCESS ? "constructed" : "failed");
  } else {
    one("first", 1);
    one("second", 1);
    one("third", 0);
  }
  PMIx_Finalize(NULL, 0);
  return 0;
}
