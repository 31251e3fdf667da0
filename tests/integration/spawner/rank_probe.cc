// A rank that prints how it was born: one `name=value` line each, environment and words last.
#include <dirent.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

extern char** environ;

namespace {

void PrintDescriptors() {
  DIR* dir = ::opendir("/proc/self/fd");
  std::printf("fds=");
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == ::dirfd(dir)) continue;
    char target[256] = {};
    ::readlinkat(::dirfd(dir), entry->d_name, target, sizeof target - 1);
    const bool is_null = std::strcmp(target, "/dev/null") == 0;
    std::printf("%s%s ", entry->d_name, is_null ? "(null)" : "");
  }
  ::closedir(dir);
  std::printf("\n");
}

void PrintStatus(const char* name) {
  char line[256];
  FILE* status = std::fopen("/proc/self/status", "re");
  while (std::fgets(line, sizeof line, status) != nullptr) {
    const size_t length = std::strlen(name);
    if (std::strncmp(line, name, length) == 0 && line[length] == ':') {
      line[std::strcspn(line, "\n")] = '\0';
      std::printf("%s=%s\n", name, line + length + 2);
    }
  }
  std::fclose(status);
}

void PrintCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  std::printf("cpus=");
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) std::printf("%d ", i);
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  PrintDescriptors();
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const mode_t mask = ::umask(0);
  int death_signal = 0;
  ::prctl(PR_GET_PDEATHSIG, &death_signal);
  char cwd[4096];
  std::printf("cwd=%s\n", ::getcwd(cwd, sizeof cwd));
  std::printf("umask=%03o\nopen_files=%llu\n", mask,
              static_cast<unsigned long long>(files.rlim_cur));
  std::printf("pid=%d\nppid=%d\npgid=%d\n", ::getpid(), ::getppid(), ::getpgrp());
  std::printf("death_signal=%d\nslack=%d\n", death_signal, ::prctl(PR_GET_TIMERSLACK));
  for (const char* name : {"SigBlk", "SigIgn", "SigCgt"}) PrintStatus(name);
  PrintCpus();
  for (int i = 0; i < argc; ++i) std::printf("arg%d=%s\n", i, argv[i]);
  for (char** entry = environ; *entry != nullptr; ++entry) std::printf("env:%s\n", *entry);
  return 0;
}
