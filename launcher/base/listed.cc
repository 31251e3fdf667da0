#include "launcher/base/listed.h"

namespace rex {

namespace {
constexpr size_t kMostNamed = 8;
}  // namespace

std::string Listed(const std::vector<std::string>& names, const char* separator) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMostNamed; ++i) {
    text += (i > 0 ? separator : "") + names[i];
  }
  if (names.size() > kMostNamed) {
    text += " and " + std::to_string(names.size() - kMostNamed) + " more";
  }
  return text;
}

}  // namespace rex
