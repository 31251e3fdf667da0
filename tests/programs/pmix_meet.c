/* Ranks that meet often: `pmix_meet VERB COUNT [ARG]`. All fence COUNT times, with nothing else to
 * do; rank 0 says "met" then; what follows is the verb's:
 *
 *   data      in each of ARG rounds every rank puts a value, all fence, and every rank reads all
 *   naps      ARG more fences, 10 ms apart
 *   stuck     a fence to which the last rank does not come
 *   timeout   the same, for a second at most; then the last one comes to the next
 *   abort     the last rank aborts while the others are in a fence
 *   too-big   the last rank has ARG bytes, which is too much; then a fence without them
 *   connect   ARG times all connect and disconnect, and so do the even and the odd ranks
 *
 * Each rank prints "VERB=ok", or how its last fence ended. */
#include <pmix.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pmix_proc_t self;
static uint32_t size;

static void fail(const char* what, pmix_status_t status) {
  fprintf(stderr, "rank %u: %s: %s\n", self.rank, what, PMIx_Error_string(status));
  exit(1);
}

static void expect(const char* what, pmix_status_t status) {
  if (status != PMIX_SUCCESS && status != PMIX_OPERATION_SUCCEEDED) fail(what, status);
}

static void say(const char* name, const char* value) {
  printf("%s=%s rank=%u\n", name, value, self.rank);
  fflush(stdout);
}

static pmix_status_t try_fence(bool collect, int seconds) {
  pmix_info_t info[2];
  size_t count = 0;
  if (collect) {
    PMIX_INFO_LOAD(&info[count], PMIX_COLLECT_DATA, &collect, PMIX_BOOL);
    ++count;
  }
  if (seconds > 0) {
    PMIX_INFO_LOAD(&info[count], PMIX_TIMEOUT, &seconds, PMIX_INT);
    ++count;
  }
  return PMIx_Fence(NULL, 0, count > 0 ? info : NULL, count);
}

static void fences(long count, unsigned between_us) {
  for (long i = 0; i < count; ++i) {
    expect("fence", try_fence(false, 0));
    if (between_us > 0) usleep(between_us);
  }
}

static bool is_last(void) { return self.rank == size - 1; }

/* The round's number and the rank's, and some more bytes in some rounds. */
static char* text_of(uint32_t rank, long round) {
  static char text[5000];
  memset(text, 'a' + (int)(rank % 26), sizeof text);
  const int length = snprintf(text, 64, "%u of %ld:", rank, round);
  text[length] = 'x';
  text[round % 4 == 3 ? 4000 : 64] = '\0';
  return text;
}

static void put(const char* key, const char* text) {
  pmix_value_t value;
  PMIX_VALUE_LOAD(&value, text, PMIX_STRING);
  expect("put", PMIx_Put(PMIX_GLOBAL, key, &value));
  PMIX_VALUE_DESTRUCT(&value);
  expect("commit", PMIx_Commit());
}

static void check(uint32_t rank, const char* key, const char* text) {
  pmix_proc_t proc;
  pmix_value_t* got = NULL;
  PMIX_LOAD_PROCID(&proc, self.nspace, rank);
  expect("get", PMIx_Get(&proc, key, NULL, 0, &got));
  if (got->type != PMIX_STRING || strcmp(got->data.string, text) != 0) fail("compare", PMIX_ERROR);
  PMIX_VALUE_RELEASE(got);
}

static void data(long rounds) {
  for (long round = 0; round < rounds; ++round) {
    char key[32];
    snprintf(key, sizeof key, "meet.%ld", round);
    put(key, text_of(self.rank, round));
    expect("fence", try_fence(true, 0));
    for (uint32_t rank = 0; rank < size; ++rank) check(rank, key, text_of(rank, round));
  }
  say("data", "ok");
}

static void stuck(void) {
  if (is_last()) {
    sleep(120);
    exit(9);
  }
  say("stuck", PMIx_Error_string(try_fence(false, 0)));
}

static void timed(void) {
  if (is_last()) usleep(2500 * 1000);
  say("timeout", PMIx_Error_string(try_fence(false, 1)));
  data(3);
}

static void give_up(void) {
  if (is_last()) {
    usleep(100 * 1000);
    PMIx_Abort(7, "the last rank gives up", NULL, 0);
    sleep(120);
  }
  say("abort", PMIx_Error_string(try_fence(false, 0)));
  sleep(120);
}

static void too_big(size_t bytes) {
  if (is_last()) {
    char* text = calloc(bytes + 1, 1);
    memset(text, 'x', bytes);
    put("meet.big", text);
    free(text);
  }
  say("too-big", PMIx_Error_string(try_fence(true, 0)));
  fences(3, 0);
}

static void connect_all(long rounds) {
  pmix_proc_t all, half[64];
  size_t members = 0;
  PMIX_LOAD_PROCID(&all, self.nspace, PMIX_RANK_WILDCARD);
  for (uint32_t rank = self.rank % 2; rank < size && members < 64; rank += 2) {
    PMIX_LOAD_PROCID(&half[members], self.nspace, rank); /* a macro: takes it more than once */
    ++members;
  }
  for (long i = 0; i < rounds; ++i) {
    expect("connect half", PMIx_Connect(half, members, NULL, 0));
    expect("connect", PMIx_Connect(&all, 1, NULL, 0));
    expect("fence half", PMIx_Fence(half, members, NULL, 0));
    expect("disconnect", PMIx_Disconnect(&all, 1, NULL, 0));
    expect("disconnect half", PMIx_Disconnect(half, members, NULL, 0));
  }
  say("connect", "ok");
}

int main(int argc, char** argv) {
  const char* verb = argc > 1 ? argv[1] : "";
  const long count = argc > 2 ? atol(argv[2]) : 0;
  const long arg = argc > 3 ? atol(argv[3]) : 0;
  pmix_value_t* value = NULL;
  pmix_proc_t job;
  expect("init", PMIx_Init(&self, NULL, 0));
  PMIX_LOAD_PROCID(&job, self.nspace, PMIX_RANK_WILDCARD);
  expect("get job size", PMIx_Get(&job, PMIX_JOB_SIZE, NULL, 0, &value));
  size = value->data.uint32;
  PMIX_VALUE_RELEASE(value);
  fences(count, 1000);
  if (self.rank == 0) say("met", verb);
  if (strcmp(verb, "data") == 0) data(arg);
  if (strcmp(verb, "naps") == 0) fences(arg, 10 * 1000);
  if (strcmp(verb, "stuck") == 0) stuck();
  if (strcmp(verb, "timeout") == 0) timed();
  if (strcmp(verb, "abort") == 0) give_up();
  if (strcmp(verb, "too-big") == 0) too_big((size_t)arg);
  if (strcmp(verb, "connect") == 0) connect_all(arg);
  if (strcmp(verb, "naps") == 0) say("naps", "ok");
  expect("finalize", PMIx_Finalize(NULL, 0));
  return 0;
}
