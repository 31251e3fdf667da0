#include "launcher/agent/plug_in_scribe.h"

#include <algorithm>
#include <thread>

#include "launcher/agent/head_image.h"
#include "launcher/base/log.h"
#include "launcher/ranks/part_plan.h"
#include "launcher/staging/own_image.h"

namespace rex {

namespace {
// What is not part of the closure and can be sent from here.
void Write(const JobSpec& spec, const PartPlugIns& seen) {
  const FoundProgram program = FindAppProgram(spec, spec.apps[seen.app]);
  // Nodes run their own of those.
  if (program.path.empty() || IsSystemPath(program.path)) return;
  const size_t added = NotePlugIns(program.path, program.env, seen.paths, StoreOf(spec.stage));
  if (added > 0) {
    Log(LogLevel::kInfo,
        "plug-ins noted program=" + program.path + " new=" + std::to_string(added));
  }
}
}  // namespace

Status PlugInScribe::OnSeen(JobNumber job, PartPlugIns seen) {
  const auto known = jobs_.find(job);
  if (known == jobs_.end()) return Ok{};  // it has ended
  const std::shared_ptr<const JobSpec> spec = known->second.spec;
  if (seen.app >= spec->apps.size()) return Error{Errc::kProtocol, "an app too many"};
  std::erase_if(seen.paths, [&](const std::string& path) {
    return !known->second.seen.emplace(seen.app, path).second;
  });
  if (seen.paths.empty()) return Ok{};
  {
    const std::lock_guard lock(pending_->mutex);
    ++pending_->count;
  }
  std::thread([pending = pending_, spec, seen = std::move(seen)] {
    Write(*spec, seen);
    const std::lock_guard lock(pending->mutex);
    if (--pending->count == 0) pending->none_left.notify_all();
  }).detach();
  return Ok{};
}

void PlugInScribe::Finish(std::chrono::milliseconds bound) const {
  std::unique_lock lock(pending_->mutex);
  pending_->none_left.wait_for(lock, bound, [this] { return pending_->count == 0; });
}

}  // namespace rex
