// PMIx_Query_info. Namespaces and process tables are the agent's knowledge; which attributes spawn
// and debugger calls take is the host's. Frees: nothing of libpmix's (it keeps the queries until
// the callback); the results are ours until their release function is called.
//
// libpmix 4.2.2 asks under the host's own name, not the client's.
#include <cstring>
#include <memory>

#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/progress_thread.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

namespace {

// One upcall: several queries, each with its own qualifiers, answered together.
struct State {
  pmix_info_cbfunc_t callback = nullptr;
  void* cbdata = nullptr;
  size_t left = 0;     // queries the agent has not answered
  size_t missing = 0;  // keys without an answer
  int32_t failure = kSuccess;
  InfoList results;
};

void ReleaseState(void* state) noexcept { delete static_cast<std::shared_ptr<State>*>(state); }

// libpmix 4.2.2 clients drop what comes with PMIX_ERR_PARTIAL_SUCCESS, so an answer that has
// something is a success; a key that is not in it had none.
void Finish(const std::shared_ptr<State>& state) {
  OnProgressThread([state] {
    const size_t found = state->results.size();
    int32_t status = kSuccess;
    if (found == 0) status = state->failure != kSuccess ? state->failure : kErrNotFound;
    auto keep = std::make_unique<std::shared_ptr<State>>(state);
    state->callback(status, found == 0 ? nullptr : state->results.data(), found, state->cbdata,
                    &ReleaseState, keep.release());
  });
}

bool Is(const std::string& key, const char* name) { return key == name; }

// Keys answered here. False: not one of them.
bool AnswerHere(const std::string& key, InfoList& results) {
  // Both are lists of attributes. None so far: the spawn upcall and debugger stops are not offered.
  if (Is(key, PMIX_QUERY_SPAWN_SUPPORT) || Is(key, PMIX_QUERY_DEBUG_SUPPORT)) {
    results.AddString(key.c_str(), "");
    return true;
  }
  return false;
}

std::string Joined(const std::vector<std::string>& names) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ",") + name;
  return list;
}

void TakeAnswer(const HostMessage& answer, const std::vector<std::string>& keys, State& state) {
  const auto* done = std::get_if<QueryDone>(&answer);
  if (done == nullptr || (done->status != kSuccess && done->status != kErrPartialSuccess)) {
    state.failure = StatusOf(answer);
    state.missing += keys.size();
    return;
  }
  for (const auto& key : keys) {
    if (Is(key, PMIX_QUERY_NAMESPACES)) {
      state.results.AddString(PMIX_QUERY_NAMESPACES, Joined(done->name_spaces));
    } else {
      state.results.AddProcStates(key.c_str(), done->procs);
    }
  }
}

bool AgentKnows(const std::string& key) {
  return Is(key, PMIX_QUERY_NAMESPACES) || Is(key, PMIX_QUERY_PROC_TABLE) ||
         Is(key, PMIX_QUERY_LOCAL_PROC_TABLE);
}

// The messages for one pmix_query_t: a process table is of one kind, so each key is asked alone.
std::vector<Query> QueriesOf(const pmix_proc_t& asker, const pmix_query_t& query, State& state) {
  std::vector<Query> out;
  Query base;
  base.proc = FromPmix(asker);
  if (const auto* name = FindInfo(query.qualifiers, query.nqual, PMIX_NSPACE)) {
    if (name->value.type == PMIX_STRING && name->value.data.string != nullptr) {
      base.name_space = name->value.data.string;
    }
  }
  for (char** key = query.keys; key != nullptr && *key != nullptr; ++key) {
    if (AnswerHere(*key, state.results)) continue;
    if (!AgentKnows(*key)) {
      ++state.missing;
      continue;
    }
    base.keys = {*key};
    out.push_back(base);
  }
  return out;
}

pmix_status_t OnQuery(pmix_proc_t* asker, pmix_query_t* queries, size_t nqueries,
                      pmix_info_cbfunc_t callback, void* cbdata) {
  return Guarded([&] {
    const auto state = std::make_shared<State>();
    state->callback = callback;
    state->cbdata = cbdata;
    std::vector<Query> asked;
    for (size_t i = 0; i < nqueries; ++i) {
      for (Query& query : QueriesOf(*asker, queries[i], *state)) asked.push_back(std::move(query));
    }
    state->left = asked.size();
    if (asked.empty()) Finish(state);
    for (Query& query : asked) {
      const auto keys = query.keys;
      Sink().Request(std::move(query), [state, keys](const HostMessage& answer) {
        TakeAnswer(answer, keys, *state);
        if (--state->left == 0) Finish(state);
      });
    }
    return PMIX_SUCCESS;
  });
}

}  // namespace

void InstallQueryUpcall(pmix_server_module_t& module) { module.query = &OnQuery; }

}  // namespace rex::pmix
