// A program's file, as the search before a launch and the choice of a template look at it. Input:
// the file's content, given in anonymous memory, so that nothing can stay behind.
#include <sys/mman.h>

#include "launcher/base/fd.h"
#include "launcher/ranks/program_search.h"
#include "launcher/template/script_line.h"
#include "launcher/template/template_fitness.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const rex::UniqueFd file(::memfd_create("program", MFD_CLOEXEC));
  REX_CHECK(static_cast<bool>(file));
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  REX_CHECK(rex::WriteAll(file.get(), content).has_value());
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());

  const rex::ProgramSearch found = rex::FindProgram({path, "/", {}});
  if (found.path) {
    REX_CHECK(*found.path == path && found.remedy.empty());
    REX_CHECK(content.starts_with("#!") || content.starts_with("\177ELF"));
  } else {
    REX_CHECK(found.path.error().code == rex::Errc::kNotRunnable);
    // The text quotes parts of the file, which is no reason to become long or several lines.
    const std::string& text = found.path.error().text;
    REX_CHECK(!text.empty() && text.size() < 8192);
    for (const char c : text) REX_CHECK(static_cast<uint8_t>(c) >= 0x20);
  }
  const rex::ProgramSearch again = rex::FindProgram({path, "/", {}});
  REX_CHECK(again.path.has_value() == found.path.has_value() && again.remedy == found.remedy);

  const auto line = rex::ParseScriptLine(content);
  REX_CHECK(!line || !line->interpreter.empty());
  REX_CHECK(!line || line->interpreter.find_first_of(" \t\n") == std::string::npos);
  // Written a moment ago, so it is exec'ed when it is a script; whatever else it is, this ends.
  const rex::TemplateProgram program = rex::ChooseTemplate(path, {"x"}, {"PATH=/bin"});
  REX_CHECK(program.path == path && program.argv.size() == 1);
  return 0;
}
