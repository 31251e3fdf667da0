// Collectives of every kind, with every field, for tests and for the fuzzer's first inputs.
#pragma once

#include "launcher/exchange/exchange_messages.h"

namespace rex {

inline std::vector<CollectiveHeader> SampleCollectives() {
  using pmix::kRankWildcard;
  return {
      {CollectiveKind::kFence, {{"rex-job", kRankWildcard, 1}}, 0, {NodeId{0}}, 0},
      {CollectiveKind::kConnect,
       {{"rex-a", 0, 4}, {"rex-a", 6, 1}, {"rex-b", kRankWildcard, 1}},
       1234567,
       {NodeId{1}, NodeId{3}, NodeId{5}, NodeId{6}, NodeId{65535}},
       0},
      {CollectiveKind::kDisconnect, {{"rex-a", 1, 2}}, 2, {NodeId{7}, NodeId{9}}, -61},
  };
}

}  // namespace rex
