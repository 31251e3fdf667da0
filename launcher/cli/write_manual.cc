// rex_manual TEMPLATE OUTPUT: part of the build. Writes a man page or a shell's completion file.
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "launcher/base/fd.h"
#include "launcher/cli/manual.h"

namespace {

constexpr size_t kMaxTemplateBytes = 1 << 20;

rex::Status WriteManual(const std::string& from, const std::string& to) {
  const auto text = rex::ReadFile(from, kMaxTemplateBytes);
  if (!text) return text.error();
  const auto filled = rex::FillManual(*text, REX_VERSION);
  if (!filled) return rex::Error{filled.error().code, from + ": " + filled.error().text};
  std::ofstream file(to, std::ios::binary);
  file << *filled;
  file.close();
  if (file) return rex::Ok{};
  return rex::Error{rex::Errc::kResource, "cannot write '" + to + "'"};
}

}  // namespace

int main(int argc, char** argv) {
  rex::Status done = rex::Error{rex::Errc::kInvalid, "usage: rex_manual TEMPLATE OUTPUT"};
  if (argc == 3) done = WriteManual(argv[1], argv[2]);
  if (done) return EXIT_SUCCESS;
  std::cerr << done.error().text << "\n";
  return EXIT_FAILURE;
}
