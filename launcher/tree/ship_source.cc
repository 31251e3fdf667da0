#include "launcher/tree/ship_source.h"

#include <thread>

#include "launcher/base/programs.h"
#include "launcher/ship/ship_script.h"

namespace rex {

Status ShipSource::Begin() {
  const auto rexd = FindLibexecProgram("rexd");
  if (!rexd) return rexd.error();
  directory_ = rexd->substr(0, rexd->rfind('/'));
  auto stage0 = ReadStage0(directory_);
  if (!stage0) return stage0.error();
  stage0_ = std::make_shared<const Stage0>(*std::move(stage0));
  std::thread([loop = &loop_, alive = std::weak_ptr<bool>(alive_), this, directory = directory_] {
    auto bundle = MakeShipBundle(directory);
    loop->Post([alive, this, bundle = std::move(bundle)] {
      if (!alive.expired()) OnBundle(bundle);
    });
  }).detach();
  return Ok{};
}

Result<std::string> ShipSource::Script() {
  if (!stage0_) {
    if (const Status begun = Begin(); !begun) return begun.error();
  }
  return ShipScript(stage0_->bytes.size(), stage0_->digest, ShipRoomKib(directory_));
}

void ShipSource::Await(std::function<void(const Bundle&)> then) {
  waiting_.push_back(std::move(then));
  if (!bundle_) return;
  loop_.Post([alive = std::weak_ptr<bool>(alive_), this] {
    if (!alive.expired()) OnBundle(*bundle_);
  });
}

void ShipSource::OnBundle(Bundle bundle) {
  bundle_ = std::move(bundle);
  for (const auto& then : std::exchange(waiting_, {})) then(*bundle_);
}

}  // namespace rex
