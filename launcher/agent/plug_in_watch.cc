#include "launcher/agent/plug_in_watch.h"

#include <algorithm>
#include <iterator>

#include "launcher/base/fd.h"
#include "launcher/image/send_rules.h"
#include "launcher/template/template_files.h"

namespace rex {

namespace {
constexpr std::string_view kGone = " (deleted)";

bool IsLibraryName(std::string_view name) {
  return name.ends_with(".so") || name.find(".so.") != name.npos;
}
}  // namespace

std::vector<std::string> OwnLibraries(const std::vector<std::string>& mapped,
                                      const std::string& own_dir) {
  std::vector<std::string> own;
  for (const std::string& file : mapped) {
    const bool staged = !own_dir.empty() && file.starts_with(own_dir + "/");
    std::string path = staged ? file.substr(own_dir.size()) : file;
    const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
    if (path.ends_with(kGone) || !IsLibraryName(name) || name.starts_with("librex_")) continue;
    if (IsSystemPath(path) || own.size() >= kMaxPlugIns) continue;
    own.push_back(std::move(path));
  }
  return own;
}

void PlugInWatch::Begin(JobNumber job) {
  Watched& watched = watched_[job];
  watched.timer = std::make_unique<Timer>(loop_, [this, job] { Look(job); });
  SetTimer(&watched);
}

void PlugInWatch::SetTimer(Watched* watched) const {
  if (watched->looks >= std::size(kLooks)) return;
  const auto before =
      watched->looks == 0 ? std::chrono::milliseconds(0) : kLooks[watched->looks - 1];
  watched->timer->Set(kLooks[watched->looks++] - before);
}

void PlugInWatch::Look(JobNumber job) {
  Watched& watched = watched_.at(job);
  for (const Part::Sample& sample : handlers_.samples(job)) {
    const auto maps = ReadFile("/proc/" + std::to_string(sample.pid) + "/maps");
    if (!maps) continue;  // it has ended
    PartPlugIns seen{sample.app, OwnLibraries(MappedPaths(*maps), sample.own_dir)};
    size_t& told = watched.told[sample.app];
    if (seen.paths.size() <= told) continue;
    told = seen.paths.size();
    handlers_.tell(job, std::move(seen));
  }
  SetTimer(&watched);
}

}  // namespace rex
