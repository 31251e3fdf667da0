#include "launcher/template/template_store.h"

namespace rex {

namespace {
constexpr std::chrono::seconds kLookEvery{60};
}

TemplateStore::TemplateStore(EventLoop& loop, ChildTable& children, RankMaker& spawner,
                             std::chrono::milliseconds bound)
    : loop_(loop), children_(children), spawner_(spawner), bound_(bound), idle_timer_(loop, [this] {
        DropIdle();
      }) {}

// Without a directory where that is the same for all.
TemplateKey TemplateStore::KeptUnder(TemplateKey key) {
  if (LooksInDirectory(key)) return key;
  TemplateKey anywhere = key;
  anywhere.wdir.clear();
  const Shared known = cache_.Find(anywhere, loop_.clock().Now());
  const bool fits =
      known == nullptr || !known->alive() || known->wdir() == key.wdir || known->FitsAnywhere();
  return fits ? anywhere : key;
}

Result<TemplateStore::Shared> TemplateStore::Get(const TemplateKey& wanted, TemplateOrder order) {
  const auto now = loop_.clock().Now();
  const TemplateKey key = KeptUnder(wanted);
  const Shared known = cache_.Find(key, now);
  if (known != nullptr && (known->alive() || !known->was_fit())) return known;
  auto made = TemplateMaker::Start(loop_, children_, spawner_, std::move(order), bound_, {});
  if (!made) return made.error();
  Shared maker = *std::move(made);
  cache_.Put(key, maker, now);
  if (!idle_timer_.pending()) idle_timer_.Set(kLookEvery);
  return maker;
}

void TemplateStore::End(const Shared& maker) {
  cache_.RemoveIf([&](const Shared& kept) { return kept == maker; });
}

void TemplateStore::Clear() {
  cache_.Clear();
  idle_timer_.Cancel();
}

void TemplateStore::DropIdle() {
  cache_.DropIdle(loop_.clock().Now());
  if (cache_.size() > 0) idle_timer_.Set(kLookEvery);
}

}  // namespace rex
