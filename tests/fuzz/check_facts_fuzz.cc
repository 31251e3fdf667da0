// check_facts.h: what a node answers to --check, the question, and the text of ld.so's cache.
#include "launcher/agent/check_facts.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t what = in.Byte();
  const std::string text(in.Rest());
  if (what % 3 == 0) {
    const auto facts = DecodeFacts(text);
    if (!facts) return 0;
    REX_CHECK(!facts->machine.empty() && facts->cores >= 1);
    const auto again = DecodeFacts(ToWire(*facts));
    REX_CHECK(again.has_value() && ToWire(*again) == ToWire(*facts));
  } else if (what % 3 == 1) {
    const auto path = DecodeAsk(text);
    if (path) REX_CHECK(*DecodeAsk(EncodeAsk(*path)) == *path);
  } else {
    const std::string found = FindLibrary("libc.so.6", "", text);
    REX_CHECK(found.find('/') == found.npos);
  }
  return 0;
}

}  // namespace rex
