#include "pmix-server/host/job_info.h"

#include <pmix.h>
#include <pmix_server.h>

#include <cstdlib>
#include <memory>

#include "pmix-server/proto/job_checks.h"
#include "pmix-server/proto/openmpi_jobid.h"

namespace rex::pmix {

namespace {

struct Free {
  void operator()(char* p) const { std::free(p); }
};
using CString = std::unique_ptr<char, Free>;

struct BitmapFree {
  void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, BitmapFree>;

// Where each rank is, computed once for all the loops below.
struct Placement {
  std::vector<std::vector<uint32_t>> ranks_of_node;
  struct Rank {
    uint32_t node = 0;
    uint16_t local_rank = 0;
    uint32_t app = 0;
  };
  std::vector<Rank> ranks;
};

Placement Place(const RegisterJob& job) {
  Placement place;
  place.ranks.resize(JobRanks(job));
  for (uint32_t n = 0; n < job.nodes.size(); ++n) {
    place.ranks_of_node.push_back(RanksOfNode(job.nodes[n]));
    uint16_t local = 0;
    for (const uint32_t rank : place.ranks_of_node.back()) {
      place.ranks[rank].node = n;
      place.ranks[rank].local_rank = local++;
    }
  }
  for (uint32_t a = 0; a < job.apps.size(); ++a) {
    for (uint32_t i = 0; i < job.apps[a].ranks; ++i) {
      place.ranks[job.apps[a].first_rank + i].app = a;
    }
  }
  return place;
}

std::string RankList(const std::vector<uint32_t>& ranks) {
  std::string list;
  for (const uint32_t rank : ranks) list += (list.empty() ? "" : ",") + std::to_string(rank);
  return list;
}

std::string Words(const std::vector<std::string>& argv) {
  std::string line;
  for (const auto& word : argv) line += (line.empty() ? "" : " ") + word;
  // libpmix splits this at blanks and takes the first word without looking whether there is one.
  return line.find_first_not_of(' ') == std::string::npos ? "?" : line;
}

Error Refused(const char* what, pmix_status_t status) {
  return Error{Errc::kInternal,
               std::string("libpmix refuses ") + what + ": " + PMIx_Error_string(status)};
}

rex::Status AddMaps(const RegisterJob& job, const Placement& place, InfoList& infos) {
  std::string names;
  std::string ranks;
  for (size_t n = 0; n < job.nodes.size(); ++n) {
    // A node without a rank of this job is not on its map: an empty field would shift the others.
    if (place.ranks_of_node[n].empty()) continue;
    names += (names.empty() ? "" : ",") + job.nodes[n].name;
    ranks += (ranks.empty() ? "" : ";") + RankList(place.ranks_of_node[n]);
  }
  char* regex = nullptr;
  pmix_status_t status = PMIx_generate_regex(names.c_str(), &regex);
  const CString node_map(regex);
  if (status != PMIX_SUCCESS) return Refused("the list of nodes", status);
  regex = nullptr;
  status = PMIx_generate_ppn(ranks.c_str(), &regex);
  const CString proc_map(regex);
  if (status != PMIX_SUCCESS) return Refused("the list of ranks", status);
  infos.AddRegex(PMIX_NODE_MAP, node_map.get());
  infos.AddRegex(PMIX_PROC_MAP, proc_map.get());
  return Ok{};
}

void AddTopology(const PmixServer& server, InfoList& infos) {
  infos.AddString(PMIX_HWLOC_XML_V2, server.topology().xml());
  if (const auto& image = server.topology_image()) {
    infos.AddString(PMIX_HWLOC_SHMEM_FILE, image->file);
    infos.AddSize(PMIX_HWLOC_SHMEM_ADDR, image->address);
    infos.AddSize(PMIX_HWLOC_SHMEM_SIZE, image->bytes);
  }
}

void AddJobLevel(const RegisterJob& job, uint32_t ranks, InfoList& infos) {
  // First: UNIV_SIZE belongs to a session, and jobs without an id would share one.
  infos.AddUint32(PMIX_SESSION_ID, OpenMpiJobid(job.name_space));
  infos.AddUint32(PMIX_UNIV_SIZE, job.slots);
  infos.AddString(PMIX_JOBID, job.name_space);
  infos.AddUint32(PMIX_JOB_SIZE, ranks);
  infos.AddUint32(PMIX_MAX_PROCS, std::max(job.slots, ranks));
  infos.AddUint32(PMIX_NUM_SLOTS, job.slots);
  infos.AddUint32(PMIX_JOB_NUM_APPS, static_cast<uint32_t>(job.apps.size()));
  if (job.parent) {
    infos.AddBool(PMIX_SPAWNED, true);
    infos.AddProc(PMIX_PARENT_ID, *job.parent);
  }
  infos.AddString(PMIX_PERSONALITY, "ompi");  // libpmix sets OMPI_COMM_WORLD_* for it
  infos.AddString(PMIX_TMPDIR, job.job_dir);
  infos.AddString(PMIX_NSDIR, job.job_dir);
  infos.AddBool(PMIX_TDIR_RMCLEAN, true);
}

void AddNodes(const RegisterJob& job, const PmixServer& server, const Placement& place,
              InfoList& infos) {
  uint32_t used = 0;
  for (uint32_t n = 0; n < job.nodes.size(); ++n) {
    const auto& ranks = place.ranks_of_node[n];
    if (ranks.empty()) continue;
    ++used;
    InfoList node;
    node.AddString(PMIX_HOSTNAME, job.nodes[n].name);
    node.AddUint32(PMIX_NODEID, n);
    // By its own name libpmix looks up what it does not find a node for otherwise: LOCAL_SIZE.
    if (n == job.local_node && server.node_name() != job.nodes[n].name) {
      node.AddString(PMIX_HOSTNAME_ALIASES, server.node_name());
    }
    node.AddUint32(PMIX_LOCAL_SIZE, static_cast<uint32_t>(ranks.size()));
    node.AddUint32(PMIX_NODE_SIZE, static_cast<uint32_t>(ranks.size()));
    node.AddString(PMIX_LOCAL_PEERS, RankList(ranks));
    node.AddRank(PMIX_LOCALLDR, ranks.front());
    infos.AddInfos(PMIX_NODE_INFO_ARRAY, std::move(node));
  }
  infos.AddUint32(PMIX_NUM_NODES, used);
}

void AddApps(const RegisterJob& job, InfoList& infos) {
  for (uint32_t a = 0; a < job.apps.size(); ++a) {
    const auto& app = job.apps[a];
    InfoList info;
    info.AddUint32(PMIX_APPNUM, a);
    info.AddUint32(PMIX_APP_SIZE, app.ranks);
    info.AddRank(PMIX_APPLDR, app.first_rank);
    info.AddString(PMIX_APP_ARGV, Words(app.argv));
    info.AddString(PMIX_WDIR, app.wdir);
    infos.AddInfos(PMIX_APP_INFO_ARRAY, std::move(info));
  }
}

// PMIX_CPUSET and PMIX_LOCALITY_STRING of a bound rank.
rex::Status AddBinding(const std::string& cpus, InfoList& info) {
  const Bitmap bitmap(hwloc_bitmap_alloc());
  if (bitmap == nullptr || hwloc_bitmap_list_sscanf(bitmap.get(), cpus.c_str()) != 0) {
    return Error{Errc::kProtocol, "'" + cpus + "' is no list of processing units"};
  }
  char source[] = "hwloc";
  const pmix_cpuset_t cpuset{source, bitmap.get()};
  char* text = nullptr;
  pmix_status_t status = PMIx_server_generate_cpuset_string(&cpuset, &text);
  const CString cpuset_text(text);
  if (status != PMIX_SUCCESS) return Refused("a cpuset", status);
  text = nullptr;
  status = PMIx_server_generate_locality_string(&cpuset, &text);
  const CString locality(text);
  if (status != PMIX_SUCCESS) return Refused("a cpuset's locality", status);
  if (cpuset_text != nullptr) info.AddString(PMIX_CPUSET, cpuset_text.get());
  if (locality != nullptr) info.AddString(PMIX_LOCALITY_STRING, locality.get());
  return Ok{};
}

Result<InfoList> RankInfo(const RegisterJob& job, const Placement& place, uint32_t rank) {
  const Placement::Rank& at = place.ranks[rank];
  const auto& app = job.apps[at.app];
  InfoList info;
  info.AddRank(PMIX_RANK, rank);  // must come first: libpmix reads it by position,
  info.AddRank(PMIX_RANK, rank);  // and stores what follows for PMIx_Get
  info.AddUint32(PMIX_APPNUM, at.app);
  info.AddRank(PMIX_APP_RANK, rank - app.first_rank);
  info.AddRank(PMIX_GLOBAL_RANK, rank);
  info.AddRank(PMIX_APPLDR, app.first_rank);
  info.AddUint16(PMIX_LOCAL_RANK, at.local_rank);
  info.AddUint16(PMIX_NODE_RANK, at.local_rank);
  info.AddUint32(PMIX_NODEID, at.node);
  info.AddString(PMIX_HOSTNAME, job.nodes[at.node].name);
  info.AddUint32(PMIX_REINCARNATION, 0);  // setup_fork fails without it when there are several apps
  if (at.node != job.local_node) return info;
  info.AddString(PMIX_PROCDIR, ProcDir(job, rank));
  if (!job.cpusets.empty() && !job.cpusets[at.local_rank].empty()) {
    if (auto s = AddBinding(job.cpusets[at.local_rank], info); !s) return s.error();
  }
  return info;
}

}  // namespace

std::string ProcDir(const RegisterJob& job, uint32_t rank) {
  return job.job_dir + "/" + std::to_string(rank);
}

Result<InfoList> MakeJobInfo(const RegisterJob& job, const PmixServer& server) {
  const Placement place = Place(job);
  InfoList infos;
  AddJobLevel(job, static_cast<uint32_t>(place.ranks.size()), infos);
  if (auto s = AddMaps(job, place, infos); !s) return s.error();
  AddTopology(server, infos);
  AddNodes(job, server, place, infos);
  AddApps(job, infos);
  for (uint32_t rank = 0; rank < place.ranks.size(); ++rank) {
    auto info = RankInfo(job, place, rank);
    if (!info) return info.error();
    infos.AddInfos(PMIX_PROC_INFO_ARRAY, std::move(*info));
  }
  return infos;
}

}  // namespace rex::pmix
