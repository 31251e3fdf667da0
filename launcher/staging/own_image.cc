#include "launcher/staging/own_image.h"

#include <cstdlib>

#include "launcher/store/store.h"

namespace rex {

Result<MadeImage> MakeOwnImage(const ImageQuery& query, const StoreOptions& store,
                               const std::vector<std::string>& env) {
  const auto own = Store::Open(store, "");
  auto made =
      MakeImage(query, SendRules(ReadSendRuleFiles(env)), own ? &(*own)->digests() : nullptr);
  if (!made) return made;
  made->image.store = store;
  if (const char* fault = std::getenv("REX_IMAGE_FAULT")) made->image.fault = fault;
  return made;
}

std::string ContentText(const Image& image) {
  return std::to_string(image.files.size()) + " files of " + SizeText(image.bytes());
}

}  // namespace rex
