#include "launcher/tree/start_command.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>

namespace rex {
namespace {

using Words = std::vector<std::string>;

TreeOptions Options() {
  TreeOptions options;
  options.rexd = "/opt/rex/libexec/rex/rexd";
  return options;
}

NodeSpec Node(const std::string& name) { return {NodeId{1}, name, "", 0}; }

std::string Line(const Result<Words>& words) {
  if (!words) return "error: " + words.error().text;
  std::string line;
  for (const std::string& word : *words) line += (line.empty() ? "" : " ") + word;
  return line;
}

constexpr char kSshOptions[] =
    "-T -x -o BatchMode=yes -o ConnectTimeout=29 -o ServerAliveInterval=15 "
    "-o ServerAliveCountMax=8 -o ClearAllForwardings=yes -o ControlMaster=no -o UpdateHostKeys=no";

TEST(StartCommand, OpenSsh) {
  EXPECT_EQ(
      Line(StartCommand(Node("n1"), Options())),
      std::string("ssh ") + kSshOptions + " n1 /opt/rex/libexec/rex/rexd --join --node-name=n1");
}

TEST(StartCommand, UserPortVerbosityAndTheUsersOwnOptions) {
  TreeOptions options = Options();
  options.ssh = {"/usr/bin/ssh", "-F", "my config"};
  options.verbose = true;
  options.log_level = "debug";
  EXPECT_EQ(Line(StartCommand({NodeId{1}, "n1", "eva", 2222}, options)),
            std::string("/usr/bin/ssh -F my config ") + kSshOptions +
                " -p 2222 -l eva n1 /opt/rex/libexec/rex/rexd --join --node-name=n1 --verbose "
                "--log-level=debug");
}

TEST(StartCommand, BoundsComeFromTheOptions) {
  TreeOptions options = Options();
  options.start_timeout = std::chrono::seconds(1);
  options.node_timeout = std::chrono::seconds(2);
  const std::string line = Line(StartCommand(Node("n1"), options));
  EXPECT_NE(line.find("ConnectTimeout=1 "), std::string::npos) << line;
  EXPECT_NE(line.find("ServerAliveInterval=1 "), std::string::npos) << line;
}

TEST(StartCommand, IPv6LiteralsLoseTheirBracketsAndKeepTheirName) {
  const auto words = StartCommand(Node("[fe80::1%eth0]"), Options());
  ASSERT_TRUE(words.has_value());
  EXPECT_NE(Line(words).find(" fe80::1%eth0 /opt"), std::string::npos) << Line(words);
  EXPECT_EQ(words->back(), "--node-name=\\[fe80::1%eth0\\]");
  EXPECT_NE(Line(StartCommand(Node("::1"), Options())).find(" ::1 /opt"), std::string::npos);
}

TEST(StartCommand, OtherCommandsAreCalledAsRshIs) {
  TreeOptions options = Options();
  options.ssh = {"/opt/site/rsh", "-q"};
  EXPECT_EQ(Line(StartCommand({NodeId{1}, "n1", "eva", 0}, options)),
            "/opt/site/rsh -q -l eva n1 /opt/rex/libexec/rex/rexd --join --node-name=n1");
  EXPECT_EQ(Line(StartCommand({NodeId{1}, "n1", "", 22}, options)),
            "error: '/opt/site/rsh' is not ssh and takes no port");
}

TEST(StartCommand, VirtualRunsRexdItself) {
  TreeOptions options = Options();
  options.kind = BootstrapKind::kVirtual;
  options.rexd = "/a dir/rexd";
  EXPECT_EQ(Line(StartCommand(Node("v1"), options)), "/a dir/rexd --join --node-name=v1 --virtual");
}

TEST(StartCommand, WhatWouldBeAnOptionOrNothingIsRefused) {
  for (const char* name : {"", "-oProxyCommand=x", "a b", "a\nb", "[-x]"}) {
    const auto words = StartCommand(Node(name), Options());
    ASSERT_FALSE(words.has_value()) << name;
    EXPECT_EQ(words.error().code, Errc::kInvalid);
  }
  EXPECT_FALSE(StartCommand({NodeId{1}, "n1", "-x", 0}, Options()).has_value());
  TreeOptions options = Options();
  options.rexd = "rexd";
  EXPECT_FALSE(StartCommand(Node("n1"), options).has_value());
  options = Options();
  options.ssh = {};
  EXPECT_FALSE(StartCommand(Node("n1"), options).has_value());
  options = Options();
  options.rexd = "/a\nb/rexd";
  EXPECT_FALSE(StartCommand(Node("n1"), options).has_value());
}

// What the shell gives to a program for a word of ours.
std::string ThroughShell(const std::string& shell, const std::string& word) {
  const auto quoted = RemoteShellWord(word);
  if (!quoted) return "error: " + quoted.error().text;
  const std::string script = "printf %s " + *quoted;
  std::string single;
  for (const char c : script) single += c == '\'' ? std::string("'\\''") : std::string(1, c);
  FILE* pipe = ::popen((shell + " -c '" + single + "'").c_str(), "r");
  if (pipe == nullptr) return "no pipe";
  std::array<char, 512> text{};
  const size_t n = std::fread(text.data(), 1, text.size(), pipe);
  ::pclose(pipe);
  return {text.data(), n};
}

TEST(StartCommand, EveryCharacterSurvivesEveryShellHere) {
  std::string all = "/";
  for (char c = ' '; c < 0x7f; ++c) all += c;
  const Words words = {"/opt/rex/rexd", "/with blank/rexd", all, "--x=~*?$HOME`id`!!\\",
                       "/\xc3\xbc"};
  for (const char* shell : {"sh", "bash", "dash", "csh", "tcsh", "fish", "zsh", "ksh"}) {
    const std::string probe = std::string("command -v ") + shell + " >/dev/null 2>&1";
    const int absent = std::system(probe.c_str());
    if (absent != 0) continue;
    for (const std::string& word : words) EXPECT_EQ(ThroughShell(shell, word), word) << shell;
  }
}

TEST(StartCommand, HarmlessWordsStayReadable) {
  const auto word = RemoteShellWord("--node-name=n-1.site_a:2,3@x");
  ASSERT_TRUE(word.has_value());
  EXPECT_EQ(*word, "--node-name=n-1.site_a:2,3@x");
}

TEST(LoginWords, AsAUserWouldTypeThem) {
  EXPECT_EQ(LoginWords({NodeId{1}, "n1", "", 0}), "n1");
  EXPECT_EQ(LoginWords({NodeId{1}, "[fd00::1]", "me", 2222}), "-p 2222 me@fd00::1");
}

}  // namespace
}  // namespace rex
