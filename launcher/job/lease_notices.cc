#include "launcher/job/lease_notices.h"

#include <map>

namespace rex {

namespace {

// "node n1", "nodes n1, n2", "nodes n1, n2, n3 and 97 others".
std::string NamesOf(const std::vector<const LeaseNews*>& nodes) {
  constexpr size_t kNamed = 3;
  std::string text = nodes.size() == 1 ? "node " : "nodes ";
  for (size_t i = 0; i < nodes.size() && i < kNamed; ++i) {
    text += (i == 0 ? "" : ", ") + nodes[i]->node;
  }
  if (nodes.size() <= kNamed) return text;
  const size_t others = nodes.size() - kNamed;
  return text + " and " + std::to_string(others) + (others == 1 ? " other" : " others");
}

Notice FullNotice(const std::vector<const LeaseNews*>& full) {
  std::string held = "too many of their cores";
  if (full.size() == 1) {
    const LeaseNews& node = *full.front();
    const bool all = node.cores_held == node.cores;
    held =
        all ? "all its cores"
            : std::to_string(node.cores_held) + " of its " + std::to_string(node.cores) + " cores";
  }
  return {Notice::Level::kInfo, "ranks are not bound on " + NamesOf(full) + ": other jobs hold " +
                                    held + " (--bind-to or --leases none: bind all the same)"};
}

}  // namespace

std::vector<Notice> LeaseNotices(const std::vector<LeaseNews>& nodes) {
  std::vector<const LeaseNews*> full;
  std::map<std::string, std::vector<const LeaseNews*>> troubled;
  for (const LeaseNews& node : nodes) {
    if (node.cores_held > 0) full.push_back(&node);
    if (!node.trouble.empty()) troubled[node.trouble].push_back(&node);
  }
  std::vector<Notice> notices;
  if (!full.empty()) notices.push_back(FullNotice(full));
  for (const auto& [trouble, on] : troubled) {
    bool is_new = false;
    for (const LeaseNews* node : on) is_new = is_new || node->trouble_is_new;
    notices.push_back({is_new ? Notice::Level::kInfo : Notice::Level::kDetail,
                       trouble + (nodes.size() == 1 ? "" : " (" + NamesOf(on) + ")")});
  }
  return notices;
}

}  // namespace rex
