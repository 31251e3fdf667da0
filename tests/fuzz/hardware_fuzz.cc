// What nodes tell of their hardware, and lists of its cpus. Input: the text, a NUL byte, a list.
#include "sched/placement/hardware.h"

#include "sched/placement/node_places.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const std::string_view text = in.Rest().substr(0, in.Rest().find('\0'));
  const auto hardware = DecodeHardware(text);
  if (!hardware) {
    REX_CHECK(hardware.error().code == Errc::kProtocol && !hardware.error().text.empty());
    return 0;
  }
  REX_CHECK(!hardware->cpus.empty() && hardware->cpus.size() <= kMaxCpus);
  for (const auto& objects : hardware->objects) {
    for (const CpuSpan& object : objects) {
      REX_CHECK(object.count > 0 && object.end() <= hardware->cpus.size());
    }
  }
  const auto again = DecodeHardware(EncodeHardware(*hardware));
  REX_CHECK(again.has_value() && *again == *hardware);
  if (text.size() < in.Rest().size()) {
    const std::string list(in.Rest().substr(text.size() + 1));
    const auto cpus = ParseSlotList(*hardware, list, list.size() % 2 == 1);
    REX_CHECK(cpus ? !cpus->empty() : cpus.error().code == Errc::kInvalid);
  }
  // Whatever the objects are: ranks have places and numbers.
  PlacePolicy policy{.map = MapBy::kObject, .map_object = HwObject::kL2Cache};
  policy.rank = RankBy::kObject;
  policy.rank_object = HwObject::kSocket;
  const auto locales = LocalesOf(*hardware, policy, 1, 3);
  REX_CHECK(locales.size() == 3 && NumberPlaces(*hardware, policy, locales).order.size() == 3);
  return 0;
}

}  // namespace rex
