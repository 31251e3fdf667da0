// The agent's writer of a batch blob (template_proto.h). Pure but for the memfd.
#pragma once

#include <string>
#include <vector>

#include "launcher/base/fd.h"
#include "launcher/template/rank_maker.h"

namespace rex {

// The descriptors of a batch in the order of their indices, after the fixed ones. Borrowed from
// `batch.ranks`.
std::vector<int> RankDescriptors(const BirthBatch& batch);

// The blob's bytes. `agent_pid`: the process the ranks will be children of.
std::string EncodeBatch(const BirthBatch& batch, pid_t agent_pid);

// `bytes` in a sealed memfd. Errors: kResource.
Result<UniqueFd> SealedMemory(const std::string& bytes);

}  // namespace rex
