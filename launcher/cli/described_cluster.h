// --nodes-json: a cluster that is only described, to see where a job would run. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/cli/file_reader.h"
#include "launcher/wire/messages.h"

namespace rex {

struct DescribedCluster {
  std::vector<DescribedNode> nodes;     // empty: not asked for
  std::vector<std::string> topologies;  // each once
  bool has_loads = false;
};

// {"nodes": [{"hostname": "n[1-8]", "slots": 4, "topology": "package:2 core:8 pu:2"}, ...]}, or the
// list alone. `hostname` may be a list as Slurm writes it; without `slots` a node has its
// cores; `load`, runnable threads per core, may be missing and is then 0;
// `topology` is hwloc's synthetic syntax, XML, or the name of an XML file (ending in .xml, relative
// to `file`'s directory, read by `read_file`). Errors: kInvalid, with `file` and the node's number.
Result<DescribedCluster> ParseDescribedCluster(std::string_view text, const std::string& file,
                                               const FileReader& read_file);

}  // namespace rex
