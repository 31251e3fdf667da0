#include "pmix-server/host/server.h"

#include <pmix.h>
#include <pmix_server.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "launcher/base/fd.h"
#include "pmix-server/host/pmix_values.h"

extern char** environ;

namespace rex::pmix {

namespace {

struct Setting {
  const char* name;
  const char* value;
};

// Settings of libpmix for this process only: setup_fork does not hand PMIX_MCA_* on to ranks.
// Components are named so that libpmix neither searches directories nor opens shared objects it
// has no use for here (about 2 ms of a start).
constexpr std::array kSettings = {
    // 1, the default, completes a fence of one server inside libpmix: phases would go unseen.
    Setting{"PMIX_MCA_pmix_server_fence_localonly_opt", "0"},
    Setting{"PMIX_MCA_psec", "native"},
    // The stdfd component would print ranks' log texts on our own descriptors.
    Setting{"PMIX_MCA_plog", "default"},
    Setting{"PMIX_MCA_prm", "default"},
    // Maps of our nodes are short, and what ranks compressed passes through unopened.
    Setting{"PMIX_MCA_pcompress", "^zlib"},
    Setting{"PMIX_MCA_pcompress_base_silence_warning", "1"},
    Setting{"PMIX_MCA_pnet", "^opa,nvd,sshot,simptest"},
    Setting{"PMIX_MCA_pmdl", "ompi"},
    // The topology comes ready made: hwloc has no use for its plug-ins here.
    Setting{"HWLOC_PLUGINS_PATH", "/nonexistent"},
};

// We may have been started inside another PMIx job: its variables are for its processes. Debug
// verbosity stays possible.
void CleanEnvironment() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (name.starts_with("PMIX_") && name.find("verbose") == std::string::npos) {
      names.push_back(name);
    }
  }
  for (const auto& name : names) ::unsetenv(name.c_str());
  for (const Setting& setting : kSettings) ::setenv(setting.name, setting.value, 1);
  // Where rex was sent to this node: libpmix's own components came along,
  // docs/design/ship-agent.md.
  const char* sent = std::getenv("REX_SENT");
  if (sent == nullptr) return;
  ::setenv("PMIX_MCA_mca_base_component_path", (std::string(sent) + "/lib/pmix").c_str(), 1);
}

// Where ranks find each other's data. hash: every rank asks the server for each peer. ds21: a
// shared segment, which spares them that and most hand-overs between their threads: with 128 ranks
// on 2 cores MPI_Init takes a fifth less, with 8 there is nothing in it, and making the segment
// costs 10 ms. But ds21's segment is guarded by mutexes that a rank killed or stopped inside
// PMIx_Get leaves locked, and the server's thread takes them: so only for a host that serves one
// job, which ends with such a rank anyway. And only with plenty of room (it takes 8 MiB with up to
// 128 ranks, more in steps of 4 MiB): when a segment can't grow, libpmix 4.2.2 leaves the ranks
// waiting in their fence for ever.
const char* DataStore(uint32_t one_job_ranks, const std::string& dir) {
  constexpr uint32_t kWorthASegment = 24;
  constexpr uint64_t kRoomBytes = 64 << 20;
  constexpr uint64_t kRoomBytesPerRank = 64 << 10;
  if (one_job_ranks < kWorthASegment) return "hash";
  struct statvfs disk {};
  const bool known = ::statvfs(dir.c_str(), &disk) == 0;
  const uint64_t room = known ? uint64_t{disk.f_bavail} * disk.f_frsize : 0;
  return room >= kRoomBytes + one_job_ranks * kRoomBytesPerRank ? "ds21,hash" : "hash";
}

// libpmix starts two and has no words for it when it can't.
rex::Status CheckThreads() {
  try {
    std::mutex both_are_there;
    std::vector<std::jthread> threads;
    const std::unique_lock lock(both_are_there);  // opened before the threads are joined
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&both_are_there] { const std::lock_guard wait(both_are_there); });
    }
  } catch (const std::system_error& error) {
    return Error{Errc::kResource,
                 std::string("a thread can't be made (") + error.code().message() +
                     "): raise the limit of processes (`ulimit -u`, the cgroup's pids.max)"};
  }
  return Ok{};
}

Result<std::string> MakeTempDir(const std::string& session_dir) {
  const std::string path = session_dir + "/pmix";
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error::FromErrno(errno, "make the directory '" + path + "'");
  }
  return path;
}

// libpmix has written its file as it likes, with a name that it likes.
Result<std::string> ReadRendezvous(const std::string& dir) {
  const std::string end = ".tool." + std::to_string(::getpid());
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
    if (!entry.path().string().ends_with(end)) continue;
    return ReadFile(entry.path().string());
  }
  return Error{Errc::kInternal, "libpmix has not said where tools connect"};
}

}  // namespace

std::string PmixServer::Version() { return PMIx_Get_version(); }

Result<PmixServer> PmixServer::Start(const std::string& session_dir, const std::string& node_name,
                                     uint32_t one_job_ranks, bool takes_tools, UpcallSink& sink,
                                     const Clock& clock) {
  PmixServer server;
  server.init_begin_ = clock.Now();
  if (const rex::Status threads = CheckThreads(); !threads) return threads.error();
  server.node_name_ = node_name;
  CleanEnvironment();
  ::setenv("PMIX_MCA_gds", DataStore(one_job_ranks, session_dir), 1);
  auto temp_dir = MakeTempDir(session_dir);
  if (!temp_dir) return temp_dir.error();
  auto topology = Topology::OfThisNode();
  if (!topology) return topology.error();
  server.topology_ = std::make_unique<Topology>(std::move(*topology));
  server.image_ = WriteTopologyImage(
      server.topology_->get(), session_dir + "/topology." + std::to_string(::getpid()) + ".shm");

  static char source[] = "hwloc:" HWLOC_VERSION;
  server.topology_handle_ = std::make_unique<pmix_topology_t>();
  server.topology_handle_->source = source;
  server.topology_handle_->topology = server.topology_->get();

  InfoList infos;
  infos.AddString(PMIX_SERVER_TMPDIR, *temp_dir);
  infos.AddString(PMIX_SYSTEM_TMPDIR, *temp_dir);
  infos.AddString(PMIX_SERVER_NSPACE, kHostNameSpace);
  infos.AddRank(PMIX_SERVER_RANK, 0);
  infos.AddString(PMIX_HOSTNAME, node_name);
  infos.AddTopology(PMIX_TOPOLOGY2, server.topology_handle_.get());
  if (takes_tools) infos.AddBool(PMIX_SERVER_TOOL_SUPPORT, true);
  pmix_server_module_t module = MakeServerModule(sink, takes_tools);
  const pmix_status_t status = PMIx_server_init(&module, infos.data(), infos.size());
  if (status != PMIX_SUCCESS) {
    return Error{Errc::kInternal,
                 std::string("libpmix does not start: ") + PMIx_Error_string(status)};
  }
  if (takes_tools) {
    WatchTools();
    auto rendezvous = ReadRendezvous(*temp_dir);
    if (!rendezvous) return rendezvous.error();
    server.rendezvous_ = *std::move(rendezvous);
  }
  server.init_end_ = clock.Now();
  return server;
}

}  // namespace rex::pmix
