// Runs a fuzz target without libFuzzer: every file of its corpus as it is, cut at each of its first
// bytes, and damaged at random with a fixed seed. So each build and each sanitizer checks the
// decoders a little, and what a fuzzer once found stays found.
//
// Usage: fuzz_replay_TARGET CORPUS_DIR. A failure aborts; the input's origin is the last line.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

constexpr unsigned kMostSeconds = 50;  // less than ctest's bound, so that a hang has a name
constexpr size_t kMostCuts = 512;
constexpr int kDamagedCopies = 300;

char g_input[512] = "none";  // what is being run: read when the process dies

void TellInput() {
  [[maybe_unused]] ssize_t n = ::write(STDERR_FILENO, "\ninput: ", 8);
  n = ::write(STDERR_FILENO, g_input, std::char_traits<char>::length(g_input));
  n = ::write(STDERR_FILENO, "\n", 1);
}

void OnDeadly(int signo) {
  TellInput();
  ::signal(signo, SIG_DFL);
  ::raise(signo);
}

void TellInputOnDeath() {
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(TellInput);
  for (const int signo : {SIGABRT, SIGALRM}) ::signal(signo, OnDeadly);
  if (__sanitizer_set_death_callback == nullptr) {
    for (const int signo : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::signal(signo, OnDeadly);
  }
}

void Run(const std::string& bytes) {
  // A copy of exactly this size: a sanitizer sees a read behind its end.
  const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

std::string Damaged(std::string bytes, std::mt19937& random) {
  for (auto changes = 1 + random() % 4; changes > 0; --changes) {
    const size_t at = bytes.empty() ? 0 : random() % bytes.size();
    const char value = static_cast<char>(random() % 3 == 0 ? random() % 4 * 85 : random());
    switch (random() % 4) {
      case 0:
        bytes.insert(at, 1, value);
        break;
      case 1:
        if (!bytes.empty()) bytes.erase(at, 1 + random() % 4);
        break;
      default:
        if (!bytes.empty()) bytes[at] = value;
    }
  }
  return bytes;
}

void RunAll(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const std::string name = file.string();
  const auto tell = [&name](const char* how, size_t number) {
    std::snprintf(g_input, sizeof g_input, "%s, %s %zu", name.c_str(), how, number);
  };
  tell("whole, bytes", bytes.size());
  Run(bytes);
  for (size_t cut = 0; cut < std::min(bytes.size(), kMostCuts); ++cut) {
    tell("cut to bytes", cut);
    Run(bytes.substr(0, cut));
  }
  std::mt19937 random(1);  // fixed, and anew for each file: a failure must come again
  for (int round = 0; round < kDamagedCopies; ++round) {
    tell("damaged copy", static_cast<size_t>(round));
    Run(Damaged(bytes, random));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_DIR\n", argv[0]);
    return 2;
  }
  TellInputOnDeath();
  ::alarm(kMostSeconds);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) RunAll(file);
  std::printf("%zu files of %s\n", files.size(), argv[1]);
  if (files.empty()) std::fprintf(stderr, "%s: no corpus in %s\n", argv[0], argv[1]);
  return files.empty() ? 1 : 0;
}
