/* A rank that uses libpmix directly: `pmix_probe MODE [ARG]`. Prints what it saw as lines
 * NAME=VALUE on stdout; exit code 0 when every call did what its mode expects, 1 (with a line on
 * stderr) else. */
#include <pmix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pmix_proc_t self;

static void fail(const char* what, pmix_status_t status) {
  fprintf(stderr, "rank %u: %s: %s\n", self.rank, what, PMIx_Error_string(status));
  exit(1);
}

static void expect(const char* what, pmix_status_t status) {
  if (status != PMIX_SUCCESS && status != PMIX_OPERATION_SUCCEEDED) fail(what, status);
}

static void print_value(const char* name, const pmix_value_t* value) {
  switch (value->type) {
    case PMIX_STRING:
      printf("%s=%s\n", name, value->data.string);
      break;
    case PMIX_UINT32:
      printf("%s=%u\n", name, value->data.uint32);
      break;
    case PMIX_UINT16:
      printf("%s=%u\n", name, value->data.uint16);
      break;
    case PMIX_PROC_RANK:
      printf("%s=%u\n", name, value->data.rank);
      break;
    case PMIX_SIZE:
      printf("%s=%zu\n", name, value->data.size);
      break;
    case PMIX_BOOL:
      printf("%s=%d\n", name, value->data.flag ? 1 : 0);
      break;
    default:
      printf("%s=type%d\n", name, value->type);
  }
}

static void show(const char* name, const char* key, pmix_rank_t rank) {
  pmix_proc_t proc;
  pmix_value_t* value = NULL;
  PMIX_LOAD_PROCID(&proc, self.nspace, rank);
  pmix_status_t status = PMIx_Get(&proc, key, NULL, 0, &value);
  if (status != PMIX_SUCCESS) {
    printf("%s=!%s\n", name, PMIx_Error_string(status));
    return;
  }
  print_value(name, value);
  PMIX_VALUE_RELEASE(value);
}

static void fence(int collect) {
  pmix_info_t info;
  bool yes = true;
  PMIX_INFO_CONSTRUCT(&info);
  PMIX_INFO_LOAD(&info, PMIX_COLLECT_DATA, &yes, PMIX_BOOL);
  expect("fence", PMIx_Fence(NULL, 0, collect ? &info : NULL, collect ? 1 : 0));
}

static uint32_t job_size(void) {
  pmix_proc_t proc;
  pmix_value_t* value = NULL;
  PMIX_LOAD_PROCID(&proc, self.nspace, PMIX_RANK_WILDCARD);
  expect("get job size", PMIx_Get(&proc, PMIX_JOB_SIZE, NULL, 0, &value));
  uint32_t size = value->data.uint32;
  PMIX_VALUE_RELEASE(value);
  return size;
}

static void mode_keys(void) {
  const pmix_rank_t all = PMIX_RANK_WILDCARD;
  show("univ_size", PMIX_UNIV_SIZE, all);
  show("job_size", PMIX_JOB_SIZE, all);
  show("local_size", PMIX_LOCAL_SIZE, all);
  show("node_size", PMIX_NODE_SIZE, all);
  show("max_procs", PMIX_MAX_PROCS, all);
  show("num_nodes", PMIX_NUM_NODES, all);
  show("num_apps", PMIX_JOB_NUM_APPS, all);
  show("local_peers", PMIX_LOCAL_PEERS, all);
  show("localldr", PMIX_LOCALLDR, all);
  show("jobid", PMIX_JOBID, all);
  show("nsdir", PMIX_NSDIR, all);
  show("tmpdir", PMIX_TMPDIR, all);
  show("rmclean", PMIX_TDIR_RMCLEAN, all);
  show("shmem_file", PMIX_HWLOC_SHMEM_FILE, all);
  show("shmem_addr", PMIX_HWLOC_SHMEM_ADDR, all);
  show("shmem_size", PMIX_HWLOC_SHMEM_SIZE, all);
  show("procdir", PMIX_PROCDIR, self.rank);
  show("rank", PMIX_RANK, self.rank);
  show("local_rank", PMIX_LOCAL_RANK, self.rank);
  show("node_rank", PMIX_NODE_RANK, self.rank);
  show("global_rank", PMIX_GLOBAL_RANK, self.rank);
  show("appnum", PMIX_APPNUM, self.rank);
  show("app_rank", PMIX_APP_RANK, self.rank);
  show("appldr", PMIX_APPLDR, self.rank);
  show("nodeid", PMIX_NODEID, self.rank);
  show("hostname", PMIX_HOSTNAME, self.rank);
  show("locality", PMIX_LOCALITY_STRING, self.rank);
  show("cpuset", PMIX_CPUSET, self.rank);
}

/* App-level values of app ARG. */
static void mode_apps(const char* arg) {
  static const char* const keys[] = {PMIX_APP_SIZE, PMIX_APPLDR, PMIX_APP_ARGV, PMIX_WDIR};
  static const char* const names[] = {"app_size", "appldr", "app_argv", "wdir"};
  uint32_t app = (uint32_t)atoi(arg);
  for (size_t i = 0; i < 4; ++i) {
    pmix_info_t info[2];
    pmix_value_t* value = NULL;
    pmix_proc_t proc;
    bool yes = true;
    PMIX_INFO_LOAD(&info[0], PMIX_APP_INFO, &yes, PMIX_BOOL);
    PMIX_INFO_LOAD(&info[1], PMIX_APPNUM, &app, PMIX_UINT32);
    PMIX_LOAD_PROCID(&proc, self.nspace, PMIX_RANK_WILDCARD);
    expect(names[i], PMIx_Get(&proc, keys[i], info, 2, &value));
    print_value(names[i], value);
    PMIX_VALUE_RELEASE(value);
  }
}

/* Puts `bytes` times the letter of this rank, and commits. */
static void put_letters(const char* key, size_t bytes) {
  char* text = malloc(bytes + 1);
  memset(text, 'a' + (int)(self.rank % 26), bytes);
  text[bytes] = '\0';
  pmix_value_t value;
  PMIX_VALUE_LOAD(&value, text, PMIX_STRING);
  free(text);
  expect("put", PMIx_Put(PMIX_GLOBAL, key, &value));
  PMIX_VALUE_DESTRUCT(&value);
  expect("commit", PMIx_Commit());
}

/* Fails unless `got` is what `rank` put; frees it. */
static void take_letters(pmix_value_t* got, uint32_t rank, size_t bytes) {
  if (got->type != PMIX_STRING || strlen(got->data.string) != bytes ||
      (bytes > 0 && got->data.string[0] != (char)('a' + rank % 26))) {
    fail("compare", PMIX_ERROR);
  }
  PMIX_VALUE_RELEASE(got);
}

/* Each rank puts a value of ARG bytes; after a collecting fence each reads every other's. */
static void mode_modex(const char* arg) {
  size_t bytes = (size_t)atol(arg);
  put_letters("probe.value", bytes);
  fence(1);
  for (uint32_t rank = 0; rank < job_size(); ++rank) {
    pmix_proc_t proc;
    pmix_value_t* got = NULL;
    PMIX_LOAD_PROCID(&proc, self.nspace, rank);
    expect("get", PMIx_Get(&proc, "probe.value", NULL, 0, &got));
    take_letters(got, rank, bytes);
  }
  printf("modex=ok\n");
}

static void mode_publish(void) {
  char key[PMIX_MAX_KEYLEN];
  const char* text = "on port 7";
  snprintf(key, sizeof key, "probe.%s", self.nspace);
  pmix_info_t info;
  PMIX_INFO_CONSTRUCT(&info);
  PMIX_INFO_LOAD(&info, key, text, PMIX_STRING);
  if (self.rank == 0) expect("publish", PMIx_Publish(&info, 1));
  fence(0);
  pmix_pdata_t data;
  PMIX_PDATA_CONSTRUCT(&data);
  PMIX_LOAD_KEY(data.key, key);
  expect("lookup", PMIx_Lookup(&data, 1, NULL, 0));
  if (data.value.type != PMIX_STRING || strcmp(data.value.data.string, text) != 0 ||
      data.proc.rank != 0 || strcmp(data.proc.nspace, self.nspace) != 0) {
    fail("compare", PMIX_ERROR);
  }
  PMIX_PDATA_DESTRUCT(&data);
  fence(0);
  char* keys[] = {key, NULL};
  if (self.rank == 0) expect("unpublish", PMIx_Unpublish(keys, NULL, 0));
  fence(0);
  PMIX_PDATA_CONSTRUCT(&data);
  PMIX_LOAD_KEY(data.key, key);
  pmix_status_t gone = PMIx_Lookup(&data, 1, NULL, 0);
  if (gone != PMIX_ERR_NOT_FOUND) fail("lookup of what was unpublished", gone);
  printf("publish=ok\n");
}

/* Rank 0 waits for a key that the last rank publishes half a second later. */
static void mode_wait(void) {
  pmix_info_t info;
  PMIX_INFO_CONSTRUCT(&info);
  if (self.rank == 0) {
    int all = 0;
    pmix_pdata_t data;
    PMIX_PDATA_CONSTRUCT(&data);
    PMIX_LOAD_KEY(data.key, "probe.later");
    PMIX_INFO_LOAD(&info, PMIX_WAIT, &all, PMIX_INT);
    expect("lookup", PMIx_Lookup(&data, 1, &info, 1));
    print_value("later", &data.value);
  } else if (self.rank == job_size() - 1) {
    usleep(500 * 1000);
    PMIX_INFO_LOAD(&info, "probe.later", "came", PMIX_STRING);
    expect("publish", PMIx_Publish(&info, 1));
  }
  fence(0);
}

/* What this rank is told of rank ARG, and of the nodes. */
static void mode_peer(const char* arg) {
  const pmix_rank_t peer = (pmix_rank_t)atoi(arg);
  show("hostname", PMIX_HOSTNAME, peer);
  /* libpmix 4.2.2 does not find PMIX_NODEID of a rank on another node, whatever it was told. */
  show("local_rank", PMIX_LOCAL_RANK, peer);
  show("node_rank", PMIX_NODE_RANK, peer);
  show("appnum", PMIX_APPNUM, peer);
  show("own_hostname", PMIX_HOSTNAME, self.rank);
  show("own_nodeid", PMIX_NODEID, self.rank);
  show("local_peers", PMIX_LOCAL_PEERS, PMIX_RANK_WILDCARD);
  show("local_size", PMIX_LOCAL_SIZE, PMIX_RANK_WILDCARD);
  show("num_nodes", PMIX_NUM_NODES, PMIX_RANK_WILDCARD);
  show("univ_size", PMIX_UNIV_SIZE, PMIX_RANK_WILDCARD);
  char* nodes = NULL;
  expect("resolve nodes", PMIx_Resolve_nodes(self.nspace, &nodes));
  printf("nodes=%s\n", nodes);
  pmix_value_t* host = NULL;
  pmix_proc_t proc;
  pmix_proc_t* peers = NULL;
  size_t npeers = 0;
  PMIX_LOAD_PROCID(&proc, self.nspace, peer);
  expect("get hostname", PMIx_Get(&proc, PMIX_HOSTNAME, NULL, 0, &host));
  expect("resolve peers", PMIx_Resolve_peers(host->data.string, self.nspace, &peers, &npeers));
  printf("peers=");
  for (size_t i = 0; i < npeers; ++i) printf("%s%u", i == 0 ? "" : ",", peers[i].rank);
  printf("\n");
  free(nodes);
  PMIX_VALUE_RELEASE(host);
  PMIX_PROC_FREE(peers, npeers);
}

static pmix_status_t get_bounded(pmix_rank_t rank, const char* key, int seconds,
                                 pmix_value_t** value) {
  pmix_proc_t proc;
  pmix_info_t info;
  PMIX_INFO_LOAD(&info, PMIX_TIMEOUT, &seconds, PMIX_INT);
  PMIX_LOAD_PROCID(&proc, self.nspace, rank);
  return PMIx_Get(&proc, key, &info, 1, value);
}

/* Each rank puts a value of ARG bytes; after a fence without data each asks for every other's. */
static void mode_async(const char* arg) {
  size_t bytes = (size_t)atol(arg);
  put_letters("probe.async", bytes);
  fence(0);
  for (uint32_t rank = 0; rank < job_size(); ++rank) {
    pmix_value_t* got = NULL;
    expect("get", get_bounded(rank, "probe.async", 30, &got));
    take_letters(got, rank, bytes);
  }
  fence(0);
  printf("async=ok\n");
}

/* Rank 0 asks at once for what the last rank commits half a second later, without any fence; then
 * for a key that never comes, and for a rank that is none. */
static void mode_late(void) {
  const pmix_rank_t last = job_size() - 1;
  pmix_value_t* got = NULL;
  if (self.rank == last) {
    usleep(500 * 1000);
    pmix_value_t value;
    PMIX_VALUE_LOAD(&value, "it came", PMIX_STRING);
    expect("put", PMIx_Put(PMIX_GLOBAL, "probe.late", &value));
    PMIX_VALUE_DESTRUCT(&value);
    expect("commit", PMIx_Commit());
  } else if (self.rank == 0) {
    expect("get", get_bounded(last, "probe.late", 30, &got));
    print_value("late", got);
    PMIX_VALUE_RELEASE(got);
    printf("never=%s\n", PMIx_Error_string(get_bounded(last, "probe.never", 2, &got)));
    printf("nobody=%s\n", PMIx_Error_string(get_bounded(last + 7, "probe.late", 2, &got)));
  }
  fence(0);
}

/* Rank 0 asks, for at most two seconds, a rank that has committed nothing. */
static void mode_uncommitted(void) {
  pmix_value_t* got = NULL;
  if (self.rank == 0) {
    printf("uncommitted=%s\n",
           PMIx_Error_string(get_bounded(job_size() - 1, "probe.none", 2, &got)));
  }
  fence(0);
}

static void mode_fences(const char* arg) {
  for (int i = 0; i < atoi(arg); ++i) fence(i % 2);
  printf("fences=%s\n", arg);
}

/* All fence for at most a second, but for the last rank, which comes later. Then all do. */
static void mode_fence_timeout(void) {
  int seconds = 1;
  pmix_info_t info;
  PMIX_INFO_LOAD(&info, PMIX_TIMEOUT, &seconds, PMIX_INT);
  if (self.rank == job_size() - 1) usleep(2500 * 1000);
  pmix_status_t status = PMIx_Fence(NULL, 0, &info, 1);
  printf("timed=%s\n", PMIx_Error_string(status));
  fence(0);
}

/* The last rank never gets to the fence in which the others are. */
static void mode_stuck(void) {
  fence(0);
  printf("first=done\n");
  fflush(stdout);
  if (self.rank == job_size() - 1) {
    usleep(20 * 1000 * 1000);
    exit(9);
  }
  printf("second=%s\n", PMIx_Error_string(PMIx_Fence(NULL, 0, NULL, 0)));
  fflush(stdout);
  _exit(0);
}

/* All connect and disconnect, then the first and the last do. */
static void mode_connect(void) {
  pmix_proc_t all;
  pmix_proc_t some[2];
  const pmix_rank_t last = job_size() - 1;
  PMIX_LOAD_PROCID(&all, self.nspace, PMIX_RANK_WILDCARD);
  expect("connect", PMIx_Connect(&all, 1, NULL, 0));
  expect("disconnect", PMIx_Disconnect(&all, 1, NULL, 0));
  PMIX_LOAD_PROCID(&some[0], self.nspace, 0);
  PMIX_LOAD_PROCID(&some[1], self.nspace, last);
  if (self.rank == 0 || self.rank == last) {
    expect("connect two", PMIx_Connect(some, 2, NULL, 0));
    expect("fence two", PMIx_Fence(some, 2, NULL, 0));
    expect("disconnect two", PMIx_Disconnect(some, 2, NULL, 0));
  }
  fence(0);
  printf("connect=ok\n");
}

/* All connect for at most two seconds, but for the last rank, which does not. */
static void mode_connect_timeout(void) {
  int seconds = 2;
  pmix_info_t info;
  pmix_proc_t all;
  PMIX_INFO_LOAD(&info, PMIX_TIMEOUT, &seconds, PMIX_INT);
  PMIX_LOAD_PROCID(&all, self.nspace, PMIX_RANK_WILDCARD);
  if (self.rank != job_size() - 1) {
    printf("connect=%s\n", PMIx_Error_string(PMIx_Connect(&all, 1, &info, 1)));
  }
  fence(0);
}

static void mode_lookup_timeout(void) {
  int seconds = 1, wanted = 1;
  pmix_info_t info[2];
  pmix_pdata_t data;
  PMIX_PDATA_CONSTRUCT(&data);
  PMIX_LOAD_KEY(data.key, "probe.absent");
  PMIX_INFO_LOAD(&info[0], PMIX_TIMEOUT, &seconds, PMIX_INT);
  PMIX_INFO_LOAD(&info[1], PMIX_WAIT, &wanted, PMIX_INT);
  printf("lookup=%s\n", PMIx_Error_string(PMIx_Lookup(&data, 1, info, 2)));
  fence(0);
}

/* Every rank publishes the same key for its own node, and finds its node's. */
static void mode_publish_local(void) {
  pmix_data_range_t range = PMIX_RANGE_LOCAL;
  pmix_info_t info[2];
  uint16_t local_rank = 0;
  pmix_value_t* value = NULL;
  expect("local rank", PMIx_Get(&self, PMIX_LOCAL_RANK, NULL, 0, &value));
  local_rank = value->data.uint16;
  PMIX_VALUE_RELEASE(value);
  PMIX_INFO_LOAD(&info[0], "probe.local", &self.rank, PMIX_PROC_RANK);
  PMIX_INFO_LOAD(&info[1], PMIX_RANGE, &range, PMIX_DATA_RANGE);
  if (local_rank == 0) expect("publish", PMIx_Publish(info, 2));
  fence(0);
  pmix_pdata_t data;
  PMIX_PDATA_CONSTRUCT(&data);
  PMIX_LOAD_KEY(data.key, "probe.local");
  expect("lookup", PMIx_Lookup(&data, 1, NULL, 0));
  printf("found=%u\n", data.value.data.rank);
  fence(0);
}

static void mode_log(void) {
  pmix_info_t info[2];
  PMIX_INFO_LOAD(&info[0], PMIX_LOG_STDERR, "to stderr\n", PMIX_STRING);
  PMIX_INFO_LOAD(&info[1], PMIX_LOG_STDOUT, "to stdout\n", PMIX_STRING);
  expect("log", PMIx_Log(info, 2, NULL, 0));
}

static void mode_query(void) {
  pmix_query_t query[2];
  pmix_info_t* results = NULL;
  size_t count = 0;
  pmix_status_t ignored;
  PMIX_QUERY_CONSTRUCT(&query[0]);
  PMIX_QUERY_CONSTRUCT(&query[1]);
  PMIX_ARGV_APPEND(ignored, query[0].keys, PMIX_QUERY_NAMESPACES);
  PMIX_ARGV_APPEND(ignored, query[0].keys, PMIX_QUERY_SPAWN_SUPPORT);
  PMIX_ARGV_APPEND(ignored, query[1].keys, PMIX_QUERY_PROC_TABLE);
  PMIX_QUERY_QUALIFIERS_CREATE(&query[1], 1);
  PMIX_INFO_LOAD(&query[1].qualifiers[0], PMIX_NSPACE, self.nspace, PMIX_STRING);
  expect("query", PMIx_Query_info(query, 2, &results, &count));
  for (size_t i = 0; i < count; ++i) {
    if (PMIX_CHECK_KEY(&results[i], PMIX_QUERY_PROC_TABLE)) {
      pmix_data_array_t* table = results[i].value.data.darray;
      pmix_proc_info_t* procs = table->array;
      printf("procs=%zu\nprogram=%s\nnode=%s\npid=%d\n", table->size, procs[0].executable_name,
             procs[0].hostname, procs[0].pid);
    } else {
      print_value(results[i].key, &results[i].value);
    }
  }
  (void)ignored;
}

/* Registers file ARG for removal at the end of this rank. */
static void mode_cleanup(const char* arg) {
  pmix_info_t info;
  PMIX_INFO_CONSTRUCT(&info);
  PMIX_INFO_LOAD(&info, PMIX_REGISTER_CLEANUP, arg, PMIX_STRING);
  pmix_proc_t me = self;
  pmix_info_t* results = NULL;
  size_t count = 0;
  expect("job control", PMIx_Job_control(&me, 1, &info, 1, &results, &count));
  FILE* file = fopen(arg, "w");
  if (file == NULL || fclose(file) != 0) fail("create the file", PMIX_ERROR);
}

static void mode_control(void) {
  if (self.rank == 0) {
    int signo = 10;
    bool yes = true;
    pmix_info_t info[2];
    pmix_proc_t target;
    pmix_info_t* results = NULL;
    size_t count = 0;
    PMIX_INFO_LOAD(&info[0], PMIX_JOB_CTRL_SIGNAL, &signo, PMIX_INT);
    PMIX_INFO_LOAD(&info[1], PMIX_JOB_CTRL_PAUSE, &yes, PMIX_BOOL);
    PMIX_LOAD_PROCID(&target, self.nspace, 1);
    expect("signal one", PMIx_Job_control(&target, 1, info, 1, &results, &count));
    expect("pause all", PMIx_Job_control(NULL, 0, &info[1], 1, &results, &count));
    PMIX_INFO_LOAD(&info[0], PMIX_JOB_CTRL_CHECKPOINT, "x", PMIX_STRING);
    PMIX_INFO_REQUIRED(&info[0]);
    pmix_status_t status = PMIx_Job_control(NULL, 0, info, 1, &results, &count);
    if (status != PMIX_ERR_NOT_SUPPORTED) fail("checkpoint is not supported", status);
  }
  fence(0);
}

static volatile int events;
static void on_event(size_t id, pmix_status_t status, const pmix_proc_t* source, pmix_info_t info[],
                     size_t ninfo, pmix_info_t results[], size_t nresults,
                     pmix_event_notification_cbfunc_fn_t done, void* cbdata) {
  (void)id, (void)info, (void)ninfo, (void)results, (void)nresults;
  printf("event=%d from %s:%u\n", status, source->nspace, source->rank);
  fflush(stdout);
  ++events;
  if (done != NULL) done(PMIX_EVENT_ACTION_COMPLETE, NULL, 0, NULL, NULL, cbdata);
}

static void wait_for_events(int wanted) {
  for (int i = 0; i < 2000 && events < wanted; ++i) usleep(10 * 1000);
  if (events < wanted) fail("events did not come", PMIX_ERR_TIMEOUT);
}

/* Rank 0 raises an event for the namespace; all others receive it. Then all wait for one that the
 * test raises through the host. */
static void mode_notify(void) {
  pmix_status_t code = PMIX_EXTERNAL_ERR_BASE - 5;
  pmix_status_t outer = PMIX_EXTERNAL_ERR_BASE - 6;
  pmix_status_t codes[] = {code, outer};
  PMIx_Register_event_handler(codes, 2, NULL, 0, on_event, NULL, NULL);
  fence(0);
  if (self.rank == 0) {
    expect("notify", PMIx_Notify_event(code, &self, PMIX_RANGE_NAMESPACE, NULL, 0, NULL, NULL));
  }
  wait_for_events(1);
  fence(0);
  wait_for_events(2);
}

/* Rank 0 raises one event for the namespace and one for the last rank alone; each is counted. */
static void mode_events(void) {
  pmix_status_t code = PMIX_EXTERNAL_ERR_BASE - 5;
  pmix_status_t custom = PMIX_EXTERNAL_ERR_BASE - 7;
  pmix_status_t codes[] = {code, custom};
  const pmix_rank_t last = job_size() - 1;
  PMIx_Register_event_handler(codes, 2, NULL, 0, on_event, NULL, NULL);
  fence(0);
  if (self.rank == 0) {
    pmix_proc_t target;
    pmix_info_t info;
    PMIX_LOAD_PROCID(&target, self.nspace, last);
    PMIX_INFO_LOAD(&info, PMIX_EVENT_CUSTOM_RANGE, &target, PMIX_PROC);
    expect("notify", PMIx_Notify_event(code, &self, PMIX_RANGE_NAMESPACE, NULL, 0, NULL, NULL));
    expect("notify", PMIx_Notify_event(custom, &self, PMIX_RANGE_CUSTOM, &info, 1, NULL, NULL));
  }
  wait_for_events(self.rank == last ? 2 : 1);
  fence(0);
  usleep(200 * 1000); /* what comes twice comes soon */
  fence(0);
  printf("events=%d\n", events);
}

static void mode_sysevent(void) {
  pmix_status_t code = PMIX_EVENT_NODE_DOWN;
  pmix_status_t status = PMIx_Register_event_handler(&code, 1, NULL, 0, on_event, NULL, NULL);
  if (status < 0) fail("register for a system event", status);
}

static void mode_nonsense(void) {
  pmix_proc_t other;
  pmix_info_t info;
  pmix_info_t* results = NULL;
  size_t count = 0;
  bool yes = true;
  PMIX_INFO_CONSTRUCT(&info);
  PMIX_INFO_LOAD(&info, PMIX_JOB_CTRL_TERMINATE, &yes, PMIX_BOOL);
  PMIX_LOAD_PROCID(&other, "", PMIX_RANK_UNDEF);
  pmix_status_t status = PMIx_Job_control(&other, 1, &info, 1, &results, &count);
  if (status != PMIX_ERR_BAD_PARAM) fail("targets without a name", status);
}

int main(int argc, char** argv) {
  const char* mode = argc > 1 ? argv[1] : "";
  const char* arg = argc > 2 ? argv[2] : "";
  pmix_status_t status = PMIx_Init(&self, NULL, 0);
  if (status != PMIX_SUCCESS) fail("init", status);
  if (strcmp(mode, "keys") == 0) mode_keys();
  if (strcmp(mode, "apps") == 0) mode_apps(arg);
  if (strcmp(mode, "modex") == 0) mode_modex(arg);
  if (strcmp(mode, "publish") == 0) mode_publish();
  if (strcmp(mode, "wait") == 0) mode_wait();
  if (strcmp(mode, "peer") == 0) mode_peer(arg);
  if (strcmp(mode, "async") == 0) mode_async(arg);
  if (strcmp(mode, "late") == 0) mode_late();
  if (strcmp(mode, "uncommitted") == 0) mode_uncommitted();
  if (strcmp(mode, "fences") == 0) mode_fences(arg);
  if (strcmp(mode, "fence_timeout") == 0) mode_fence_timeout();
  if (strcmp(mode, "stuck") == 0) mode_stuck();
  if (strcmp(mode, "connect") == 0) mode_connect();
  if (strcmp(mode, "connect_timeout") == 0) mode_connect_timeout();
  if (strcmp(mode, "lookup_timeout") == 0) mode_lookup_timeout();
  if (strcmp(mode, "publish_local") == 0) mode_publish_local();
  if (strcmp(mode, "events") == 0) mode_events();
  if (strcmp(mode, "log") == 0) mode_log();
  if (strcmp(mode, "query") == 0) mode_query();
  if (strcmp(mode, "cleanup") == 0) mode_cleanup(arg);
  if (strcmp(mode, "control") == 0) mode_control();
  if (strcmp(mode, "notify") == 0) mode_notify();
  if (strcmp(mode, "sysevent") == 0) mode_sysevent();
  if (strcmp(mode, "nonsense") == 0) mode_nonsense();
  if (strcmp(mode, "remote") == 0) show("remote", "probe.remote", (pmix_rank_t)atoi(arg));
  if (strcmp(mode, "abort") == 0) {
    if (self.rank == 1) expect("abort", PMIx_Abort(7, "the probe gives up", NULL, 0));
    if (self.rank == 1) return 7;
  }
  if (strcmp(mode, "vanish") == 0) return 3;
  expect("finalize", PMIx_Finalize(NULL, 0));
  return 0;
}
