#include "pmix-server/host/request_table.h"

namespace rex::pmix {

uint64_t RequestTable::Add(OnAnswer on_answer) {
  waiting_.emplace(++last_, std::move(on_answer));
  return last_;
}

bool RequestTable::Answer(uint64_t request, HostMessage& message) {
  const auto node = waiting_.extract(request);
  if (node.empty()) return false;
  node.mapped()(message);
  return true;
}

}  // namespace rex::pmix
