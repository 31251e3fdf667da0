#include "launcher/cli/described_cluster.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "launcher/cli/allocation/node_set.h"
#include "launcher/values/host_list.h"

namespace rex {

namespace {

using Json = nlohmann::json;

class ClusterReader {
 public:
  ClusterReader(std::string file, const FileReader& read_file)
      : file_(std::move(file)), read_file_(read_file) {}

  Result<DescribedCluster> Read(std::string_view text) {
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) return Bad("it is not JSON");
    const Json* list = json.is_object() && json.contains("nodes") ? &json["nodes"] : &json;
    if (!list->is_array() || list->empty()) {
      return Bad(
          "there is no list of nodes; write {\"nodes\": [{\"hostname\": \"n[1-4]\", "
          "\"slots\": 8, \"topology\": \"package:2 core:4 pu:1\"}]}");
    }
    for (const Json& entry : *list) {
      ++number_;
      if (Status taken = TakeEntry(entry); !taken) return taken.error();
    }
    return std::move(cluster_);
  }

 private:
  Error Bad(const std::string& what) const {
    const std::string where = number_ == 0 ? ": " : ": node " + std::to_string(number_) + ": ";
    return Error{Errc::kInvalid, file_ + where + what};
  }

  Status TakeEntry(const Json& entry) {
    if (!entry.is_object()) return Bad("it is not an object in braces");
    const auto slots = SlotsOf(entry);
    if (!slots) return slots.error();
    const auto load = LoadOf(entry);
    if (!load) return load.error();
    const auto topology = TopologyOf(entry);
    if (!topology) return topology.error();
    if (!entry.contains("hostname") || !entry["hostname"].is_string()) {
      return Bad("it has no \"hostname\"");
    }
    const auto names = ExpandNodeSet(entry["hostname"].get<std::string>(), ZeroFill::kEachRange);
    if (!names) return Bad("hostname: " + names.error().text);
    for (const std::string& name : *names) {
      if (!names_.insert(name).second) return Bad("the hostname '" + name + "' is there twice");
      if (cluster_.nodes.size() == kMaxDescribedNodes) return Bad("too many nodes");
      cluster_.nodes.push_back({name, *slots, *topology, *load});
    }
    return Ok{};
  }

  Result<uint32_t> SlotsOf(const Json& entry) const {
    if (!entry.contains("slots")) return 0U;
    const Json& slots = entry["slots"];
    const bool good = slots.is_number_unsigned() && slots.get<uint64_t>() >= 1 &&
                      slots.get<uint64_t>() <= kMaxRanks;
    if (!good) return Bad("\"slots\" is not a number from 1 to " + std::to_string(kMaxRanks));
    return slots.get<uint32_t>();
  }

  // Hundredths.
  Result<uint32_t> LoadOf(const Json& entry) {
    if (!entry.contains("load")) return 0U;
    const Json& load = entry["load"];
    constexpr double kMost = kMostMaxLoad / 100.0;
    const bool good = load.is_number() && load.get<double>() >= 0 && load.get<double>() <= kMost;
    if (!good) return Bad("\"load\" is not a number from 0 to 10000, of threads per core");
    cluster_.has_loads = true;
    return static_cast<uint32_t>(load.get<double>() * 100 + 0.5);
  }

  Result<uint32_t> TopologyOf(const Json& entry) {
    if (!entry.contains("topology") || !entry["topology"].is_string()) {
      return Bad("it has no \"topology\", for example \"package:2 core:4 pu:1\"");
    }
    auto text = entry["topology"].get<std::string>();
    if (text.empty()) return Bad("the \"topology\" is empty");
    if (text.ends_with(".xml")) {
      auto xml = read_file_(InDirOfFile(text));
      if (!xml) return Bad("topology: " + xml.error().text);
      text = *std::move(xml);
    }
    if (text.find('\0') != std::string::npos) return Bad("the \"topology\" has a NUL byte in it");
    auto& known = cluster_.topologies;
    const auto at = std::find(known.begin(), known.end(), text);
    const auto index = static_cast<uint32_t>(at - known.begin());
    if (at == known.end()) known.push_back(std::move(text));
    return index;
  }

  std::string InDirOfFile(const std::string& name) const {
    const size_t slash = file_.rfind('/');
    return name[0] == '/' || slash == std::string::npos ? name : file_.substr(0, slash + 1) + name;
  }

  const std::string file_;
  const FileReader& read_file_;
  size_t number_ = 0;  // of the entry
  std::set<std::string> names_;
  DescribedCluster cluster_;
};

}  // namespace

Result<DescribedCluster> ParseDescribedCluster(std::string_view text, const std::string& file,
                                               const FileReader& read_file) {
  return ClusterReader(file, read_file).Read(text);
}

}  // namespace rex
