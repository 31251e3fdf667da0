// Messages between head and part for tests and for the fuzz corpus: one of each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "launcher/part/part_messages.h"

namespace rex {

// `per_node` ranks of one app on each of `nodes` nodes.
inline LaunchPart SampleLaunch(uint32_t nodes, uint32_t per_node) {
  JobSpec spec;
  AppSpec app;
  app.argv = {"./app", "word"};
  app.ranks = nodes * per_node;
  spec.apps.push_back(app);
  spec.env = {"A=1"};
  spec.cwd = "/tmp";
  LaunchPart launch;
  launch.name_space = "rex-0123456789abcdef";
  std::vector<MapRun> runs;
  for (uint32_t node = 0; node < nodes; ++node) {
    runs.push_back({NodeId{node}, node * per_node, per_node, 1});
    launch.node_names.push_back("n" + std::to_string(node));
  }
  launch.map = std::make_shared<const JobMap>(*JobMap::Make(runs, nodes * per_node, nodes));
  launch.spec = std::make_shared<const JobSpec>(std::move(spec));
  launch.slots = nodes;
  launch.unbuffered = true;
  launch.virtual_nodes = true;
  return launch;
}

inline std::vector<PartFrame> SampleFrames() {
  std::vector<PartFrame> frames;
  for (const PartCommand& command : std::vector<PartCommand>{
           SampleLaunch(2, 3), OpenGates{}, SignalPart{15, {1, 2}, true},
           StopPart{std::chrono::milliseconds(2000), true}, PartCredit{65536}, PartStdin{"input"},
           PartStdinEnd{}, AskNews{3}, AskReport{true}, EndPart{}}) {
    frames.push_back(EncodePart(1, command));
  }
  PartFailed failed;
  failed.failure.kind = FailureKind::kNoResources;
  failed.failure.node = "n1";
  failed.failure.detail = "no room";
  PartEnded ended;
  ended.phases.push_back({"births", std::chrono::microseconds(1), std::chrono::microseconds(2)});
  ended.leftovers = {"sleep (pid 5)"};
  for (const PartEvent& event : std::vector<PartEvent>{
           PartPlanned{1, "map", "topology"}, PartBorn{4, {10, 11}, {true, false}}, PartReady{},
           PartRunning{}, failed, RankEnds{{{1, 3, 0, false, true, true, false}}},
           PartProgress{{1}, {2}},
           PartOutput{EncodeOutput({1, OutputStream::kStdout, false}, "line\n")},
           PartStdinCredit{100}, PartStdinDone{}, PartNotice{{Notice::Level::kInfo, "text"}},
           PartNews{4}, PartReport{{"line"}}, PartDrained{}, ended, PartPlugIns{1, {"/a/b.so"}}}) {
    frames.push_back(EncodePart(1, event));
  }
  return frames;
}

}  // namespace rex
