// One message of each kind with every field set, for the tests of its encoding.
#pragma once

#include <vector>

#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

inline RegisterJob SampleJob() {
  RegisterJob job;
  job.name_space = "rex-job";
  job.nodes = {{"node-a", {{0, 2}, {4, 1}}}, {"node-b", {{2, 2}}}};
  job.local_node = 0;
  job.apps = {{0, 3, {"prog", "x y"}, "/tmp"}, {3, 2, {"other"}, ""}};
  job.job_dir = "/tmp/rex-1/job";
  job.slots = 8;
  job.cpusets = {"0-1", "", "7"};
  return job;
}

// Ranks dealt out over the nodes.
inline RegisterJob SampleDealtJob() {
  RegisterJob job = SampleJob();
  job.nodes = {{"node-a", {{0, 3, 2}}}, {"node-b", {{1, 2, 2}}}};
  return job;
}

inline RegisterJob SampleSpawnedJob() {
  RegisterJob job = SampleJob();
  job.parent = ProcId{"rex-parent", 2};
  return job;
}

inline Spawn SampleSpawn() {
  SpawnInfo envar{"pmix.envar.set", SpawnInfo::Type::kEnvar, "NAME"};
  envar.value = "value";
  envar.separator = ":";
  envar.optional = true;
  SpawnInfo number{"pmix.dispmap", SpawnInfo::Type::kNumber};
  number.number = -1;
  number.required = true;
  Spawn spawn;
  spawn.request = 14;
  spawn.proc = {"rex-job", 3};
  spawn.infos = {number, envar};
  spawn.apps = {{"prog", {"prog", "x"}, {"A=1"}, "/tmp", 2, {envar}}, {"other", {"o"}, {}, "", 1}};
  return spawn;
}

inline ProcState SampleState() {
  ProcState state;
  state.proc = {"rex-job", 3};
  state.node = "node-a";
  state.program = "prog";
  state.pid = 123;
  state.exit_code = 1;
  state.state = 4;
  state.app = 1;
  return state;
}

inline std::vector<HostMessage> SampleMessages() {
  using std::chrono::microseconds;
  using std::chrono::seconds;
  const ProcId proc{"rex-job", 3};
  const std::vector<ProcId> procs = {{"rex-job", 0}, {"other", kRankWildcard}};
  const std::string bytes("\0\x01\xff raw", 7);
  return {
      SampleJob(),
      JobRegistered{"rex-job", 0, "", {"A=1", "B=x=y"}, {{0, {"R=0"}}, {4, {"R=4"}}}},
      JobRegistered{"rex-job", -27, "why", {}, {}},
      DeregisterJob{"rex-job"},
      JobDeregistered{"rex-job"},
      HostReady{"4.2.2", microseconds(100), microseconds(5000), "rex-host.0;tcp4://127.0.0.1:1\n"},
      ClientEvent{proc, ClientEvent::What::kFinalized, microseconds(77)},
      Abort{1, proc, -3, "text", procs},
      Fence{2, procs, true, bytes, microseconds(9)},
      FenceDone{2, kErrTimeout, bytes},
      FenceReleased{procs, microseconds(10)},
      DirectModex{3, proc, seconds(60)},
      ModexRequest{4, proc},
      ModexDone{4, kErrNotFound, bytes},
      Publish{5, proc, {{"key", bytes, proc}}, 4, 3, seconds(5)},
      Lookup{6, proc, {"key", "two"}, true, 2, seconds(600), 4},
      LookupDone{6, kErrPartialSuccess, {{"key", bytes, proc}}},
      Unpublish{7, proc, {"key"}, 4},
      EventRaised{8, -3005, proc, 3, bytes, 2, procs},
      JobControl{9, proc, procs, 15},
      LogText{10, proc, true, "line\n"},
      Query{11, proc, {"pmix.qry.ns"}, "rex-job"},
      QueryDone{11, 0, {"rex-job"}, {SampleState()}},
      OpDone{12, kErrNoPermissions},
      Ping{13},
      Pong{13},
      SampleDealtJob(),
      Fence{2, procs, false, "", microseconds(9), Fence::Kind::kDisconnect, seconds(30)},
      SampleSpawnedJob(),
      SampleSpawn(),
      SpawnDone{14, 0, "rex-child"},
      SpawnDone{14, kErrNotFound, ""},
      Group{15, Group::Operation::kDestruct, "group", procs, true, bytes, seconds(7)},
      GroupDone{15, 0, 42, bytes},
      ToolConnected{16, proc, 4711, "0.1.0", "./manager 3", 022, 1024, 4096},
      ToolGone{proc},
      ToolRead{proc, 4096},
      ToolDrain{17, proc},
      UseUplink{7, 2, "node n2", {1, 2, 3}, {4, 5, 6}, seconds(120), 1 << 20},
      SeriesGiven{7, 2, 1 << 20, bytes},
      FromAbove{bytes},
      UplinkLost{"node n2 closed the connection"},
      EventRaised{0, kEventOutput, proc, 3, "", 0, procs, {}, EventText{bytes, true}},
  };
}

}  // namespace rex::pmix
