// ship_dialog.h: what a node writes while rex is sent to it, in pieces of any size.
#include "launcher/ship/ship_dialog.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

std::shared_ptr<const ShipBundle> Bundle() {
  auto bundle = std::make_shared<ShipBundle>();
  for (const char* text : {"first", "", "third"}) {
    bundle->files.push_back({"name", "/source", false, std::string(64, '0'), text});
  }
  bundle->glibc_minor = 36;
  return bundle;
}

void SendAll(ShipDialog& dialog) {
  for (int turn = 0; !dialog.Pending().empty(); ++turn) {
    REX_CHECK(turn < 1000);
    dialog.Written(1 + dialog.Pending().size() / 2);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const size_t piece = 1 + in.Byte();
  ShipDialog dialog("x86_64", std::make_shared<const Stage0>(Stage0{"stage-0", "digest"}));
  dialog.SetBundle(Bundle());
  std::string_view left = in.Rest();
  size_t given_back = 0;
  while (!left.empty()) {
    const auto rest = dialog.Feed(left.substr(0, piece));
    if (!rest) {
      REX_CHECK(!rest.error().text.empty());
      return 0;
    }
    given_back += rest->size();
    left.remove_prefix(std::min(piece, left.size()));
    SendAll(dialog);
  }
  REX_CHECK(given_back <= in.Rest().size());
  return 0;
}

}  // namespace rex
