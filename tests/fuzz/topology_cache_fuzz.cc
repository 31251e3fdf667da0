// The file that keeps a node's topology. Input: the file's content, then taken for the XML too; a
// directory of its own is made once and removed at the end.
#include <filesystem>
#include <optional>

#include "launcher/base/fd.h"
#include "sched/topology/topology_cache.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

constexpr const char* kKey = "boot 1\nnode n\n";

class ScratchDir {
 public:
  ScratchDir() {
    std::string pattern = std::filesystem::temp_directory_path() / "rex-fuzz-XXXXXX";
    REX_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~ScratchDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ScratchDir dir;
  static const TopologyCache cache(dir.path(), kKey);
  const std::string content(reinterpret_cast<const char*>(data), size);
  REX_CHECK(WriteFileAtomically(cache.path(), content).has_value());
  if (const std::optional<std::string> xml = cache.Load()) {
    // Nothing but what Store() writes for these very facts is believed.
    REX_CHECK(cache.Store(*xml));
    const Result<std::string> stored = ReadFile(cache.path());
    REX_CHECK(stored.has_value() && *stored == content);
  }
  REX_CHECK(cache.Store(content) && cache.Load() == content);
  return 0;
}

}  // namespace rex
