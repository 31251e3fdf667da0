// A directory that looks like /proc to a look, and others that look like cgroups.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace rex::testing {

class FakeProc {
 public:
  FakeProc() {
    std::string name = (std::filesystem::temp_directory_path() / "fakeproc-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    AddProcess(1, 0, 'S');
  }
  ~FakeProc() { std::filesystem::remove_all(root_); }
  FakeProc(const FakeProc&) = delete;
  FakeProc& operator=(const FakeProc&) = delete;

  const std::string& root() const { return root_; }
  void Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = root_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  static std::string Stat(int pid, int ppid, char state, int threads = 1,
                          const std::string& name = "app", unsigned flags = 0) {
    return std::to_string(pid) + " (" + name + ") " + state + " " + std::to_string(ppid) +
           " 1 1 0 -1 " + std::to_string(flags) + " 0 0 0 0 0 0 0 0 20 0 " +
           std::to_string(threads) + " 0 100 0 0\n";
  }
  static std::string Status(const std::string& cpus) {
    return "Name:\tapp\nState:\tR (running)\nCpus_allowed:\t" + cpus + "\nCpus_allowed_list:\t0\n";
  }
  void AddProcess(int pid, int ppid, char state, const std::string& cpus = "3") const {
    Write(std::to_string(pid) + "/stat", Stat(pid, ppid, state));
    Write(std::to_string(pid) + "/status", Status(cpus));
  }
  // A process of several threads, whose states these are; the first one's is the process's.
  void AddThreads(int pid, int ppid, const std::string& states,
                  const std::string& cpus = "3") const {
    const int threads = static_cast<int>(states.size());
    const std::string directory = std::to_string(pid);
    Write(directory + "/stat", Stat(pid, ppid, states[0], threads));
    for (int i = 0; i < threads; ++i) {
      const std::string task = directory + "/task/" + std::to_string(pid + i);
      Write(task + "/stat", Stat(pid + i, ppid, states[static_cast<size_t>(i)], threads));
      Write(task + "/status", Status(cpus));
    }
  }
  void Remove(const std::string& name) const { std::filesystem::remove_all(root_ + "/" + name); }

 private:
  std::string root_;
};

}  // namespace rex::testing
