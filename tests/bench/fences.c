/* fences COUNT [BYTES]: what a fence over all ranks costs, without MPI.
 *
 *   fences count=COUNT bytes=BYTES ranks=R us=T
 *
 * Rank 0 prints how long COUNT fences took, after a few to warm up. With BYTES every rank puts so
 * many bytes, new ones and incompressible, before each fence, which collects them. */
#include <pmix.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WARM_UP 5

static long long now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

static void check(pmix_status_t status, const char* what) {
  if (status == PMIX_SUCCESS) return;
  fprintf(stderr, "fences: %s: %s\n", what, PMIx_Error_string(status));
  exit(1);
}

static void put(char* bytes, size_t size, uint32_t seed) {
  pmix_value_t value;
  for (size_t i = 0; i < size; ++i) {
    seed = seed * 1664525u + 1013904223u;
    bytes[i] = (char)(seed >> 24);
  }
  PMIX_VALUE_CONSTRUCT(&value);
  value.type = PMIX_BYTE_OBJECT;
  value.data.bo.bytes = bytes;
  value.data.bo.size = size;
  check(PMIx_Put(PMIX_GLOBAL, "bench.bytes", &value), "put");
  check(PMIx_Commit(), "commit");
}

static void fence(int collect) {
  pmix_info_t info;
  bool yes = true;
  PMIX_INFO_LOAD(&info, PMIX_COLLECT_DATA, &yes, PMIX_BOOL);
  check(PMIx_Fence(NULL, 0, collect ? &info : NULL, collect ? 1 : 0), "fence");
}

static uint32_t job_size(const pmix_proc_t* self) {
  pmix_value_t* value = NULL;
  pmix_proc_t job;
  PMIX_LOAD_PROCID(&job, self->nspace, PMIX_RANK_WILDCARD);
  check(PMIx_Get(&job, PMIX_JOB_SIZE, NULL, 0, &value), "get the job's size");
  const uint32_t size = value->data.uint32;
  PMIX_VALUE_RELEASE(value);
  return size;
}

int main(int argc, char** argv) {
  pmix_proc_t self;
  const int count = argc > 1 ? atoi(argv[1]) : 100;
  const size_t size = argc > 2 ? (size_t)atol(argv[2]) : 0;
  char* bytes = malloc(size + 1);
  if (count < 1 || bytes == NULL) return 2;
  check(PMIx_Init(&self, NULL, 0), "init");
  long long begin = 0;
  for (int i = -WARM_UP; i < count; ++i) {
    if (i == 0) begin = now_us();
    if (size > 0) put(bytes, size, (uint32_t)i * 7919u + self.rank);
    fence(size > 0);
  }
  const long long end = now_us();
  if (self.rank == 0) {
    printf("fences count=%d bytes=%zu ranks=%u us=%lld\n", count, size, job_size(&self),
           end - begin);
    fflush(stdout);
  }
  check(PMIx_Finalize(NULL, 0), "finalize");
  free(bytes);
  return 0;
}
