#include "pmix-server/host/rank_env.h"

#include <cinttypes>
#include <cstdio>
#include <unordered_map>

#include "launcher/base/fnv.h"

namespace rex::pmix {

namespace {

// Both halves of the key come from the name alone, so that every node of a job
// arrives at the same one; names are random, so the key is no easier to guess than they are.
uint64_t Hash(uint64_t seed, const std::string& text) { return Fnv(text, kFnvStart ^ seed); }

std::string TransportKey(const std::string& name_space) {
  char key[40];
  std::snprintf(key, sizeof key, "%016" PRIx64 "-%016" PRIx64, Hash(1, name_space),
                Hash(2, name_space));
  return key;
}

std::string Join(const std::vector<std::string>& words, size_t first) {
  std::string out;
  for (size_t i = first; i < words.size(); ++i) out += (i == first ? "" : " ") + words[i];
  return out;
}

}  // namespace

void SetEnv(Env& env, const std::string& name, const std::string& value) {
  const std::string prefix = name + "=";
  for (std::string& entry : env) {
    if (entry.starts_with(prefix)) {
      entry = prefix + value;
      return;
    }
  }
  env.push_back(prefix + value);
}

Env OpenMpiEnv(const RegisterJob& job) {
  return {
      // Without a daemon's address schizo/orte takes the process for a singleton. It is parsed
      // ("job.vpid;address") and kept, and used only by run-time calls that PMIx replaces.
      "OMPI_MCA_orte_local_daemon_uri=0.0;tcp://127.0.0.1:1",
      "OMPI_MCA_ess=^singleton",
      "OMPI_MCA_pmix=^s1,s2,cray,isolated,flux",
      // Wanted by psm and psm2.
      "OMPI_MCA_orte_precondition_transports=" + TransportKey(job.name_space),
  };
}

void CorrectAppEnv(Env& env, const RegisterJob::App& app) {
  SetEnv(env, "OMPI_COMMAND", app.argv[0]);
  SetEnv(env, "OMPI_ARGV", Join(app.argv, 1));
  if (!app.wdir.empty()) SetEnv(env, "OMPI_MCA_initial_wdir", app.wdir);
}

void SplitEnv(std::vector<JobRegistered::RankEnv>& ranks, Env& common) {
  if (ranks.empty()) return;
  std::unordered_map<std::string, size_t> seen;
  for (const auto& rank : ranks) {
    for (const auto& entry : rank.env) ++seen[entry];
  }
  const auto shared = [&](const std::string& entry) { return seen[entry] == ranks.size(); };
  for (const auto& entry : ranks.front().env) {
    if (shared(entry)) common.push_back(entry);
  }
  for (auto& rank : ranks) std::erase_if(rank.env, shared);
}

}  // namespace rex::pmix
