// Rank files, hostfiles of --map-by seq and descriptions of clusters. Input: u8 which (modulo 3),
// then the text.
#include "launcher/cli/rank_file.h"

#include "launcher/cli/console.h"
#include "launcher/cli/described_cluster.h"
#include "launcher/wire/messages.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

void CheckError(const Error& error) {
  REX_CHECK(error.code == Errc::kInvalid && !error.text.empty());
  const std::string shown = ConsoleLine(error.text);
  REX_CHECK(shown.find('\n') == shown.size() - 1);
}

void CheckPlaces(const std::vector<RankPlace>& places) {
  for (const RankPlace& place : places) {
    REX_CHECK(place.host.slots == 1);
    if (place.host.kind == HostKind::kName) REX_CHECK(HostNameTrouble(place.host.name).empty());
  }
}

void CheckRankfile(std::string_view text) {
  const auto places = ParseRankfile(text, "f");
  if (!places) return CheckError(places.error());
  REX_CHECK(!places->empty());
  CheckPlaces(*places);
  for (const RankPlace& place : *places) REX_CHECK(!place.cpus.empty());
}

void CheckCluster(std::string_view text) {
  const FileReader none = [](const std::string&) -> Result<std::string> {
    return Error{Errc::kNotFound, "there are no files"};
  };
  const auto cluster = ParseDescribedCluster(text, "f", none);
  if (!cluster) return CheckError(cluster.error());
  REX_CHECK(!cluster->nodes.empty() && !cluster->topologies.empty());
  for (const DescribedNode& node : cluster->nodes) {
    REX_CHECK(!node.name.empty() && node.topology < cluster->topologies.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  std::string hostfile;
  switch (in.Byte() % 3) {
    case 0:
      CheckRankfile(in.Rest());
      break;
    case 1:
      CheckPlaces(ParseSequence(in.Rest(), &hostfile));
      break;
    default:
      CheckCluster(in.Rest());
  }
  return 0;
}

}  // namespace rex
