#include "launcher/cli/host_choice.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <unordered_map>

namespace rex {

namespace {

Error Bad(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

std::string Quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

bool IsAddress(std::string_view name) {
  return name.find(':') != name.npos || name.find_first_not_of("0123456789.") == name.npos;
}

std::string_view FirstLabel(std::string_view name) {
  return IsAddress(name) ? name : name.substr(0, name.find('.'));
}

bool HasDomain(std::string_view name) { return FirstLabel(name).size() < name.size(); }

bool SameName(std::string_view a, std::string_view b) {
  return a == b || (FirstLabel(a) == FirstLabel(b) && !(HasDomain(a) && HasDomain(b)));
}

// Finds hosts of a list by name. A name without its domain is the same host, and so is every name
// of this machine.
class NameIndex {
 public:
  NameIndex(const std::vector<HostEntry>& hosts, const ChoiceParams& params)
      : hosts_(hosts), params_(params) {
    for (size_t i = 0; i < hosts.size(); ++i) {
      by_label_[std::string(FirstLabel(hosts[i].name))].push_back(i);
    }
  }

  std::optional<size_t> Find(const HostEntry& wanted) {
    const auto found = by_label_.find(std::string(FirstLabel(wanted.name)));
    if (found != by_label_.end()) {
      for (const size_t i : found->second) {
        if (SameName(hosts_[i].name, wanted.name)) return i;
      }
    }
    return !hosts_.empty() && params_.is_here(wanted) ? FindHere() : std::nullopt;
  }

 private:
  std::optional<size_t> FindHere() {
    if (!looked_for_here_) {
      looked_for_here_ = true;
      const auto found = std::find_if(hosts_.begin(), hosts_.end(), params_.is_here);
      if (found != hosts_.end()) here_ = static_cast<size_t>(found - hosts_.begin());
    }
    return here_;
  }

  const std::vector<HostEntry>& hosts_;
  const ChoiceParams& params_;
  std::unordered_map<std::string, std::vector<size_t>> by_label_;
  std::optional<size_t> here_;
  bool looked_for_here_ = false;
};

bool NamesAny(const std::vector<HostEntry>& hosts) {
  return std::any_of(hosts.begin(), hosts.end(),
                     [](const HostEntry& host) { return host.kind != HostKind::kExcluded; });
}

std::vector<HostEntry> ExcludedBy(const std::vector<HostEntry>& list) {
  std::vector<HostEntry> excluded;
  std::copy_if(list.begin(), list.end(), std::back_inserter(excluded),
               [](const HostEntry& host) { return host.kind == HostKind::kExcluded; });
  return excluded;
}

// `hosts` without the exclusions, and without the names that `list` excludes.
std::vector<HostEntry> WithoutExcluded(const std::vector<HostEntry>& hosts,
                                       const std::vector<HostEntry>& list,
                                       const ChoiceParams& params) {
  const std::vector<HostEntry> excluded = ExcludedBy(list);
  NameIndex index(excluded, params);
  std::vector<HostEntry> rest;
  for (const HostEntry& host : hosts) {
    if (host.kind == HostKind::kExcluded) continue;
    if (host.kind != HostKind::kName || !index.Find(host)) rest.push_back(host);
  }
  return rest;
}

// One program's choice.
class Chooser {
 public:
  Chooser(const AppLine& app, const ChoiceParams& params)
      : app_(app), params_(params), managed_(params.pool.kind == NodePool::Kind::kAllocation) {}

  Result<HostChoice> Run() {
    TakeBase();
    if (!app_.hosts.empty()) {
      if (Status chosen = ByHost(); !chosen) return chosen.error();
    } else if (managed_ && !app_.hostfile.empty()) {
      if (Status chosen = ByFileInAllocation(); !chosen) return chosen.error();
    } else if (app_.hostfile.empty() && params_.pool.kind == NodePool::Kind::kNone) {
      return std::move(choice_);  // nobody names a node
    } else {
      choice_.hosts = base_;
    }
    if (choice_.hosts.empty()) return Bad("no node is left: all that are named are excluded");
    return std::move(choice_);
  }

 private:
  // What there is to choose from: the allocation, else hostfiles, else the default ones.
  void TakeBase() {
    const std::vector<HostEntry>* from = &params_.pool.hosts;
    if (!managed_ && !params_.all_files.empty()) from = &params_.all_files;
    if (!managed_ && NamesAny(app_.hostfile)) from = &app_.hostfile;
    had_base_ = !from->empty();
    const bool by_file = !managed_ || app_.hosts.empty();
    base_ = WithoutExcluded(*from, by_file ? app_.hostfile : app_.hosts, params_);
    base_ = WithoutExcluded(base_, app_.hosts, params_);
    index_.emplace(base_, params_);
    slots_.assign(base_.size(), 0);
  }

  Status ByHost() {
    if (!NamesAny(app_.hosts)) {
      if (!had_base_) return Bad("--host only excludes, and there is nothing to exclude from");
      choice_.hosts = base_;
      return Ok{};
    }
    for (const HostEntry& host : WithoutExcluded(app_.hosts, app_.hosts, params_)) {
      if (Status taken = TakeHost(host); !taken) return taken;
    }
    if (managed_) AppendInBaseOrder();
    return Ok{};
  }

  Status TakeHost(const HostEntry& host) {
    switch (host.kind) {
      case HostKind::kExcluded:
        return Ok{};
      case HostKind::kNth:
        return TakeNth(host);
      case HostKind::kEmpty:
        return TakeEmpty(host);
      case HostKind::kName:
        return TakeName(host);
    }
    return Ok{};
  }

  Status TakeName(const HostEntry& host) {
    if (const auto at = index_->Find(host)) {
      Take(*at, host.slots, host.all_cores, host.user);
      return Ok{};
    }
    if (!managed_) {
      choice_.hosts.push_back(host);
      return Ok{};
    }
    return Bad("--host names " + Quoted(host.name) + ", which " + params_.pool.origin +
               " does not have; --allocation none starts outside of it");
  }

  Status TakeNth(const HostEntry& host) {
    if (host.number >= base_.size()) {
      return Bad("--host: there is no node +n" + std::to_string(host.number) + ": " +
                 (base_.empty() ? "neither an allocation nor a hostfile has nodes to count"
                                : "the last of " + std::to_string(base_.size()) + " is +n" +
                                      std::to_string(base_.size() - 1)));
    }
    // As mpirun: in an allocation one slot for each mention, of a hostfile all that it gives.
    Take(host.number, host.slots, !managed_ && !host.slots_given, "");
    return Ok{};
  }

  Status TakeEmpty(const HostEntry& host) {
    if (base_.empty()) {
      return Bad("--host: there are no nodes for +e: neither an allocation nor a hostfile has any");
    }
    uint32_t taken = 0;
    for (size_t i = 0; i < base_.size() && (host.number == 0 || taken < host.number); ++i) {
      if (slots_[i] > 0 || params_.is_used(base_[i])) continue;
      Take(i, 1, !managed_, "");
      ++taken;
    }
    if (taken == 0 || taken < host.number) {
      return Bad("--host: " + std::to_string(taken) + " of " + std::to_string(base_.size()) +
                 " nodes are empty, and +e wants " +
                 (host.number == 0 ? "at least one" : std::to_string(host.number)));
    }
    return Ok{};
  }

  // `slots` of a node of the base; `all`: as many as the base gives. In an allocation never more.
  void Take(size_t at, uint32_t slots, bool all, const std::string& user) {
    const bool first = slots_[at] == 0;
    slots_[at] = std::min(slots_[at] + slots, kMaxRanks);
    HostEntry host = base_[at];
    if (!first) host.user = choice_.hosts[place_[at]].user;
    if (!user.empty()) host.user = user;
    const bool capped = managed_ && !host.all_cores;
    if (!all) {
      host.slots = capped ? std::min(host.slots, slots_[at]) : slots_[at];
      host.all_cores = false;
    }
    if (first) {
      place_[at] = choice_.hosts.size();
      choice_.hosts.push_back(std::move(host));
    } else {
      choice_.hosts[place_[at]] = std::move(host);
    }
  }

  // As mpirun: an allocation's order, not --host's.
  void AppendInBaseOrder() {
    std::vector<HostEntry> ordered;
    for (size_t i = 0; i < base_.size(); ++i) {
      if (slots_[i] > 0) ordered.push_back(std::move(choice_.hosts[place_[i]]));
    }
    choice_.hosts = std::move(ordered);
  }

  // As mpirun: the file says which nodes of the allocation, the allocation how many slots.
  Status ByFileInAllocation() {
    if (!NamesAny(app_.hostfile)) {
      choice_.hosts = base_;
      return Ok{};
    }
    std::vector<bool> wanted(base_.size(), false);
    for (const HostEntry& host : WithoutExcluded(app_.hostfile, app_.hostfile, params_)) {
      const auto at = index_->Find(host);
      if (at) wanted[*at] = true;
      if (!at) Missing(host.name);
    }
    for (size_t i = 0; i < base_.size(); ++i) {
      if (wanted[i]) choice_.hosts.push_back(base_[i]);
    }
    if (missing_ > 0) WarnOfMissing();
    if (!choice_.hosts.empty()) return Ok{};
    return Bad("none of the nodes of --hostfile is in " + params_.pool.origin +
               "; --allocation none starts outside of it");
  }

  void Missing(const std::string& name) {
    if (missing_ == 0) first_missing_ = name;
    ++missing_;
  }

  void WarnOfMissing() {
    const std::string others =
        missing_ == 1 ? "" : " and " + std::to_string(missing_ - 1) + " more";
    choice_.warnings.push_back("--hostfile names " + Quoted(first_missing_) + others + ", which " +
                               params_.pool.origin + " does not have: left out");
  }

  const AppLine& app_;
  const ChoiceParams& params_;
  const bool managed_;
  std::vector<HostEntry> base_;
  bool had_base_ = false;  // before anything was excluded
  std::optional<NameIndex> index_;
  std::vector<uint32_t> slots_;               // by index in the base: asked for
  std::unordered_map<size_t, size_t> place_;  // of a node of the base in the choice
  size_t missing_ = 0;
  std::string first_missing_;
  HostChoice choice_;
};

}  // namespace

Result<HostChoice> ChooseHosts(const AppLine& app, const ChoiceParams& params) {
  return Chooser(app, params).Run();
}

}  // namespace rex
