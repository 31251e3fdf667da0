// A node's templates, for all parts of jobs: found by key, started when there is none, ended when
// nobody has used them for TemplateCache::kIdle. Loop thread only.
#pragma once

#include <chrono>
#include <memory>

#include "launcher/template/template_key.h"
#include "launcher/template/template_maker.h"

namespace rex {

class TemplateStore {
 public:
  using Shared = std::shared_ptr<TemplateMaker>;
  // All outlive this. `bound`: the longest a batch may be with a template.
  TemplateStore(EventLoop& loop, ChildTable& children, RankMaker& spawner,
                std::chrono::milliseconds bound);

  // The template of `wanted`, just started if need be; it may run in another directory when that
  // makes no difference. One that was fit once and has gone (its files changed, it was killed) is
  // started anew; one that never was is not: its batches go to the spawner. Errors: as
  // TemplateMaker::Start.
  Result<Shared> Get(const TemplateKey& wanted, TemplateOrder order);
  // Ends it, once its batches are out.
  void End(const Shared& maker);
  void Clear();
  size_t size() const { return cache_.size(); }

 private:
  TemplateKey KeptUnder(TemplateKey key);
  void DropIdle();

  EventLoop& loop_;
  ChildTable& children_;
  RankMaker& spawner_;
  const std::chrono::milliseconds bound_;
  TemplateCache<Shared> cache_;
  Timer idle_timer_;
};

}  // namespace rex
