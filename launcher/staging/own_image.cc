#include "launcher/staging/own_image.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "launcher/image/closure.h"
#include "launcher/store/store.h"

namespace rex {

namespace {
bool IsOneOf(const std::vector<std::string>& files, const std::string& path) {
  return std::any_of(files.begin(), files.end(), [&](const std::string& file) {
    std::error_code ignored;
    return std::filesystem::equivalent(file, path, ignored);
  });
}
}  // namespace

Result<MadeImage> MakeOwnImage(ImageQuery query, const StoreOptions& store,
                               const std::vector<std::string>& env) {
  const auto own = Store::Open(store, "");
  const SeenPlugIns seen(SeenPlugIns::DefaultDirectory());
  query.plug_ins = &seen;
  auto made =
      MakeImage(query, SendRules(ReadSendRuleFiles(env)), own ? &(*own)->digests() : nullptr);
  if (!made) return made;
  made->image.store = store;
  if (const char* fault = std::getenv("REX_IMAGE_FAULT")) made->image.fault = fault;
  return made;
}

size_t NotePlugIns(const std::string& program, const std::vector<std::string>& env,
                   const std::vector<std::string>& paths, const StoreOptions& store) {
  const SendRules rules(ReadSendRuleFiles(env));
  const std::vector<std::string> closure = FindClosure(program, env, ThisLoader()).files;
  std::set<std::string> known;
  for (const std::string& file : closure) known.insert(PlainPath(file));
  std::vector<std::string> more;
  for (const std::string& path : paths) {
    // A node's word must not make this machine send just any file.
    const bool sent = rules.Of(path) == FileRule::kSend && IsSharedObject(path);
    // ld.so may have come by another name to the same file.
    if (sent && !known.contains(PlainPath(path)) && !IsOneOf(closure, path)) more.push_back(path);
  }
  if (more.empty()) return 0;
  const auto own = Store::Open(store, "");
  const DigestCache none("");
  const auto read = (own ? (*own)->digests() : none).Get(program);
  if (!read) return 0;
  return SeenPlugIns(SeenPlugIns::DefaultDirectory()).Add(read->digest.whole, more);
}

std::string ContentText(const Image& image) {
  return std::to_string(image.files.size()) + " files of " + SizeText(image.bytes());
}

}  // namespace rex
