/* Works its allocator with several threads and says whose it is. The result is the same with each
 * allocator that is right. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kThreads = 3, kBlocks = 200, kRounds = 50 };

static uint64_t work(uint64_t seed) {
  unsigned char* blocks[kBlocks] = {NULL};
  uint64_t sum = 0;
  for (int i = 0; i < kRounds * kBlocks; ++i) {
    unsigned char** block = &blocks[i % kBlocks];
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const size_t bytes = 1 + (seed >> 40) % 20000;
    *block = realloc(*block, bytes);
    if (*block == NULL) abort();
    (*block)[0] = (unsigned char)seed;
    memset(*block + bytes / 2, (int)(seed >> 8), bytes - bytes / 2);
    sum = sum * 31 + (*block)[bytes - 1];
  }
  for (int i = 0; i < kBlocks; ++i) free(blocks[i]);
  return sum;
}

static void* thread_main(void* seed) { return (void*)(uintptr_t)work((uintptr_t)seed); }

static const char* allocator(void) {
  if (dlsym(RTLD_DEFAULT, "mallctl") != NULL) return "jemalloc";
  if (dlsym(RTLD_DEFAULT, "tc_version") != NULL) return "tcmalloc";
  return "libc";
}

int main(void) {
  pthread_t threads[kThreads];
  uint64_t sum = work(7);
  for (uintptr_t i = 0; i < kThreads; ++i) {
    if (pthread_create(&threads[i], NULL, thread_main, (void*)(i + 1)) != 0) return 1;
  }
  for (int i = 0; i < kThreads; ++i) {
    void* more = NULL;
    pthread_join(threads[i], &more);
    sum = sum * 31 + (uintptr_t)more;
  }
  printf("allocator=%s sum=%016llx\n", allocator(), (unsigned long long)sum);
  return 0;
}
