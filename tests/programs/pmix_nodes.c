/* A rank on libpmix alone, for jobs over several nodes: `pmix_nodes MODE [ARG]`. Each rank prints
 * `MODE=ok rank=R`, and what else it saw as NAME=VALUE; exit code 1 and a line on stderr when a
 * call does not do what its mode expects. */
#include <pmix.h>
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

static pmix_status_t try_fence(const pmix_proc_t procs[], size_t count, bool collect) {
  pmix_info_t info;
  PMIX_INFO_CONSTRUCT(&info);
  PMIX_INFO_LOAD(&info, PMIX_COLLECT_DATA, &collect, PMIX_BOOL);
  return PMIx_Fence(procs, count, collect ? &info : NULL, collect ? 1 : 0);
}

static void fence(bool collect) { expect("fence", try_fence(NULL, 0, collect)); }

static uint32_t job_size(void) {
  pmix_proc_t proc;
  pmix_value_t* value = NULL;
  PMIX_LOAD_PROCID(&proc, self.nspace, PMIX_RANK_WILDCARD);
  expect("get job size", PMIx_Get(&proc, PMIX_JOB_SIZE, NULL, 0, &value));
  uint32_t number = value->data.uint32;
  PMIX_VALUE_RELEASE(value);
  return number;
}

static void put(size_t bytes) {
  char* text = malloc(bytes + 1);
  memset(text, 'a' + (int)(self.rank % 26), bytes);
  text[bytes] = '\0';
  pmix_value_t value;
  PMIX_VALUE_LOAD(&value, text, PMIX_STRING);
  expect("put", PMIx_Put(PMIX_GLOBAL, "nodes.value", &value));
  PMIX_VALUE_DESTRUCT(&value);
  expect("commit", PMIx_Commit());
  free(text);
}

static void get(uint32_t rank, size_t bytes) {
  pmix_proc_t proc;
  pmix_value_t* got = NULL;
  PMIX_LOAD_PROCID(&proc, self.nspace, rank);
  expect("get", PMIx_Get(&proc, "nodes.value", NULL, 0, &got));
  const char letter = (char)('a' + rank % 26);
  if (got->type != PMIX_STRING || strlen(got->data.string) != bytes) fail("length", PMIX_ERROR);
  if (strspn(got->data.string, (char[]){letter, '\0'}) != bytes) fail("compare", PMIX_ERROR);
  PMIX_VALUE_RELEASE(got);
}

/* Every rank's value of ARG bytes to every other: with the fence, or asked for one by one. */
static void exchange(size_t bytes, bool collect) {
  put(bytes);
  fence(collect);
  for (uint32_t rank = 0; rank < size; ++rank) get(rank, bytes);
  fence(false);
}

/* The fence must fail, for everybody, and a later one must work. */
static void too_big(size_t bytes) {
  put(bytes);
  const pmix_status_t status = try_fence(NULL, 0, true);
  if (status == PMIX_SUCCESS) fail("a fence with too much data", status);
  printf("refused=%s\n", PMIx_Error_string(status));
  fence(false);
}

enum { MOST = 64 };

/* The even or the odd ranks, whichever this one belongs to. */
static size_t load_half(pmix_proc_t half[MOST]) {
  size_t members = 0;
  for (uint32_t rank = self.rank % 2; rank < size && members < MOST; rank += 2) {
    PMIX_LOAD_PROCID(&half[members], self.nspace, rank);
    ++members;
  }
  return members;
}

/* ARG fences of all, every third with data, and in between some of the even or odd ranks alone. */
static void fences(int count) {
  pmix_proc_t half[MOST];
  const size_t members = load_half(half);
  for (int i = 0; i < count; ++i) {
    if (i % 10 == 5) expect("fence of half", try_fence(half, members, false));
    fence(i % 3 == 0);
  }
}

/* Rank 0 waits for what the last rank publishes later; then for what nobody will. */
static void lookup(void) {
  pmix_info_t info[2];
  int all = 0, patience = 1;
  pmix_pdata_t data;
  PMIX_PDATA_CONSTRUCT(&data);
  if (self.rank == 0) {
    PMIX_LOAD_KEY(data.key, "nodes.later");
    PMIX_INFO_LOAD(&info[0], PMIX_WAIT, &all, PMIX_INT);
    expect("lookup", PMIx_Lookup(&data, 1, info, 1));
    if (strcmp(data.value.data.string, "came") != 0) fail("compare", PMIX_ERROR);
    PMIX_LOAD_KEY(data.key, "nodes.never");
    PMIX_INFO_LOAD(&info[1], PMIX_TIMEOUT, &patience, PMIX_INT);
    const pmix_status_t status = PMIx_Lookup(&data, 1, info, 2);
    if (status != PMIX_ERR_TIMEOUT) fail("lookup of what never comes", status);
  } else if (self.rank == size - 1) {
    usleep(300 * 1000);
    PMIX_INFO_LOAD(&info[0], "nodes.later", "came", PMIX_STRING);
    expect("publish", PMIx_Publish(info, 1));
  }
  fence(false);
}

/* All connect and disconnect, and halves at the same time, several times. */
static void connect_all(void) {
  pmix_proc_t half[MOST], all;
  const size_t members = load_half(half);
  PMIX_LOAD_PROCID(&all, self.nspace, PMIX_RANK_WILDCARD);
  for (int i = 0; i < 5; ++i) {
    expect("connect half", PMIx_Connect(half, members, NULL, 0));
    expect("connect", PMIx_Connect(&all, 1, NULL, 0));
    expect("disconnect", PMIx_Disconnect(&all, 1, NULL, 0));
    expect("disconnect half", PMIx_Disconnect(half, members, NULL, 0));
  }
}

static volatile int events;
static void on_event(size_t id, pmix_status_t status, const pmix_proc_t* source, pmix_info_t info[],
                     size_t ninfo, pmix_info_t results[], size_t nresults,
                     pmix_event_notification_cbfunc_fn_t done, void* cbdata) {
  (void)id, (void)status, (void)info, (void)ninfo, (void)results, (void)nresults;
  if (source->rank == 0) ++events;
  if (done != NULL) done(PMIX_EVENT_ACTION_COMPLETE, NULL, 0, NULL, NULL, cbdata);
}

/* Rank 0 raises an event, all others get it. */
static void event(void) {
  pmix_status_t code = PMIX_EXTERNAL_ERR_BASE - 5;
  PMIx_Register_event_handler(&code, 1, NULL, 0, on_event, NULL, NULL);
  fence(false);
  if (self.rank == 0) {
    expect("notify", PMIx_Notify_event(code, &self, PMIX_RANGE_NAMESPACE, NULL, 0, NULL, NULL));
  }
  for (int i = 0; self.rank != 0 && i < 2000 && events == 0; ++i) usleep(10 * 1000);
  if (self.rank != 0 && events == 0) fail("the event did not come", PMIX_ERR_TIMEOUT);
  fence(false);
}

/* Rank 0 has the last rank, on another node, ended by a signal that it names. */
static void control(int signo) {
  pmix_info_t info, *results = NULL;
  pmix_proc_t target;
  size_t count = 0;
  fence(false);
  if (self.rank == 0) {
    PMIX_INFO_CONSTRUCT(&info);
    PMIX_INFO_LOAD(&info, PMIX_JOB_CTRL_SIGNAL, &signo, PMIX_INT);
    PMIX_LOAD_PROCID(&target, self.nspace, size - 1);
    expect("job control", PMIx_Job_control(&target, 1, &info, 1, &results, &count));
  }
  sleep(60);
  fail("the job was not ended", PMIX_ERR_TIMEOUT);
}

/* The table of processes, as every rank sees it. */
static void query(void) {
  pmix_query_t query;
  pmix_info_t* results = NULL;
  size_t count = 0;
  pmix_status_t ignored;
  PMIX_QUERY_CONSTRUCT(&query);
  PMIX_ARGV_APPEND(ignored, query.keys, PMIX_QUERY_PROC_TABLE);
  PMIX_QUERY_QUALIFIERS_CREATE(&query, 1);
  PMIX_INFO_LOAD(&query.qualifiers[0], PMIX_NSPACE, self.nspace, PMIX_STRING);
  expect("query", PMIx_Query_info(&query, 1, &results, &count));
  const pmix_data_array_t* table = results[0].value.data.darray;
  const pmix_proc_info_t* procs = table->array;
  for (size_t i = 0; i < table->size; ++i) {
    printf("entry seen_by=%u of=%u node=%s\n", self.rank, procs[i].proc.rank, procs[i].hostname);
  }
  fence(false);
  (void)ignored;
}

static void give_up(void) {
  fence(false);
  if (self.rank == size - 1) {
    expect("abort", PMIx_Abort(7, "the last rank gives up", NULL, 0));
    exit(7);
  }
  sleep(60);
}

int main(int argc, char** argv) {
  const char* mode = argc > 1 ? argv[1] : "";
  const long arg = argc > 2 ? atol(argv[2]) : 0;
  expect("init", PMIx_Init(&self, NULL, 0));
  size = job_size();
  if (strcmp(mode, "modex") == 0) exchange((size_t)arg, true);
  if (strcmp(mode, "direct") == 0) exchange((size_t)arg, false);
  if (strcmp(mode, "too-big") == 0) too_big((size_t)arg);
  if (strcmp(mode, "fences") == 0) fences((int)arg);
  if (strcmp(mode, "lookup") == 0) lookup();
  if (strcmp(mode, "connect") == 0) connect_all();
  if (strcmp(mode, "event") == 0) event();
  if (strcmp(mode, "control") == 0) control((int)arg);
  if (strcmp(mode, "query") == 0) query();
  if (strcmp(mode, "abort") == 0) give_up();
  printf("%s=ok rank=%u\n", mode, self.rank);
  fflush(stdout);
  expect("finalize", PMIx_Finalize(NULL, 0));
  return 0;
}
