#include "launcher/image/send_rules.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "launcher/base/fd.h"

namespace rex {

namespace {
// glibc's, by the names of Debian, Red Hat and SUSE alike.
constexpr std::array<std::string_view, 16> kGlibc = {"libc.so.",         "libm.so.",
                                                     "libmvec.so.",      "libpthread.so.",
                                                     "libdl.so.",        "librt.so.",
                                                     "libutil.so.",      "libanl.so.",
                                                     "libresolv.so.",    "libnsl.so.",
                                                     "libnss_",          "ld-linux",
                                                     "ld64.so.",         "libBrokenLocale.so.",
                                                     "libthread_db.so.", "libc_malloc_debug.so."};

// User halves of kernel drivers.
constexpr std::array<std::string_view, 16> kDriverBound = {
    "libcuda.so*",    "libcudadebugger.so*", "libnvidia-*.so*",   "libnvcuvid.so*",
    "libnvoptix.so*", "libGLX_nvidia.so*",   "libEGL_nvidia.so*", "libnvidia_*.so*",
    "libamdgpu*.so*", "libdrm*.so*",         "libhsakmt.so*",     "libze_intel_*.so*",
    "libmlx[45].so*", "libibverbs.so*",      "lib*-rdmav*.so",    "libxpmem.so*"};

constexpr std::array<std::string_view, 6> kSystem = {"/usr/", "/bin/",   "/sbin/",
                                                     "/lib/", "/lib32/", "/lib64/"};

std::string_view NameOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }
}  // namespace

bool IsGlibcName(std::string_view name) {
  return std::any_of(kGlibc.begin(), kGlibc.end(),
                     [name](std::string_view part) { return name.starts_with(part); });
}

bool IsSystemPath(std::string_view path) {
  if (path.starts_with("/usr/local/")) return false;
  return std::any_of(kSystem.begin(), kSystem.end(),
                     [path](std::string_view dir) { return path.starts_with(dir); });
}

SendRules::SendRules(const std::vector<std::string>& texts)
    : patterns_(kDriverBound.begin(), kDriverBound.end()) {
  for (const std::string& text : texts) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      line.resize(std::min(line.find('#'), line.size()));
      const size_t begin = line.find_first_not_of(" \t\r");
      if (begin == line.npos) continue;
      line = line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin);
      if (line[0] == '!') {
        std::erase(patterns_, line.substr(1));
      } else {
        patterns_.push_back(line);
      }
    }
  }
}

FileRule SendRules::Of(std::string_view path) const {
  const std::string name(NameOf(path));
  if (IsGlibcName(name)) return FileRule::kNever;
  const bool bound = std::any_of(patterns_.begin(), patterns_.end(), [&](const std::string& p) {
    return ::fnmatch(p.c_str(), name.c_str(), 0) == 0;
  });
  if (bound) return FileRule::kNever;
  return IsSystemPath(path) ? FileRule::kSystem : FileRule::kSend;
}

std::vector<std::string> ReadSendRuleFiles(const std::vector<std::string>& env) {
  std::string home;
  std::string config;
  for (const std::string& entry : env) {
    if (entry.starts_with("HOME=")) home = entry.substr(5);
    if (entry.starts_with("XDG_CONFIG_HOME=")) config = entry.substr(16);
  }
  if (config.empty() && !home.empty()) config = home + "/.config";
  std::vector<std::string> texts;
  for (const std::string& path : {std::string("/etc/rex"), config.empty() ? "" : config + "/rex"}) {
    if (path.empty()) continue;
    if (auto text = ReadFile(path + "/never-sent")) texts.push_back(*std::move(text));
  }
  return texts;
}

}  // namespace rex
