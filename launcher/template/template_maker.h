// One template in the agent, with the spawner behind it: whatever the template cannot make, the
// spawner does, and only BatchEvents::on_pids tells which it was. Loop thread only.
// docs/design/template.md has the states.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/template/rank_maker.h"
#include "launcher/template/template_files.h"
#include "launcher/template/template_process.h"

namespace rex {

class TemplateMaker {
 public:
  // `on_fallback` is told once for each batch that the spawner got, why. May be empty.
  using OnFallback = std::function<void(const std::string& why)>;

  // Starts the process, which then gets ready by itself. `spawner`, `loop` and `children` outlive
  // this. `bound`: the longest a batch may be with the template. Errors: as StartTemplateProcess.
  static Result<std::unique_ptr<TemplateMaker>> Start(EventLoop& loop, ChildTable& children,
                                                      RankMaker& spawner, TemplateOrder order,
                                                      std::chrono::milliseconds bound,
                                                      OnFallback on_fallback);
  TemplateMaker(const TemplateMaker&) = delete;
  TemplateMaker& operator=(const TemplateMaker&) = delete;

  // As RankMaker's. Batches whose LD_*, GLIBC_TUNABLES and MALLOC_* variables differ from the
  // order's go to the spawner.
  // `on_fallback`, if any, is told instead of the one of Start.
  void Submit(BirthBatch batch, BatchEvents events, OnFallback on_fallback = {});
  // Of what the template made.
  void Release(uint64_t owner = 0) { maker_->Release(owner); }
  bool alive() const { return maker_->alive(); }
  bool was_fit() const { return was_fit_; }
  // Where it was started.
  const std::string& wdir() const { return wdir_; }
  // It has mapped what it would have mapped in any directory, as far as its files say so. False
  // until it is ready.
  bool FitsAnywhere();
  pid_t pid() const { return maker_->pid(); }

 private:
  TemplateMaker(RankMaker& spawner, OnFallback on_fallback)
      : spawner_(spawner), on_fallback_(std::move(on_fallback)) {}
  Status OnGreeting(pid_t pid);
  Status BeforeBatch(pid_t pid) const;
  void FallBack(BirthBatch batch, BatchEvents events, const OnFallback& on_fallback,
                const std::string& why);

  RankMaker& spawner_;
  OnFallback on_fallback_;
  std::vector<std::string> loader_env_;
  std::string own_dir_;
  std::string wdir_;
  std::timespec started_{};
  std::vector<MappedFile> files_;
  bool was_fit_ = false;
  std::optional<bool> fits_anywhere_;  // once asked for
  std::unique_ptr<RankMaker> maker_;
};

}  // namespace rex
