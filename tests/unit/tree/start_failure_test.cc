#include "launcher/tree/start_failure.h"

#include <gtest/gtest.h>

#include "launcher/tree/start_text.h"

namespace rex {
namespace {

constexpr char kRexd[] = "/opt/rex/libexec/rex/rexd";

StartContext Context() { return {NodeId{7}, "n7", "ssh", kRexd, "", std::chrono::seconds(30)}; }

StartEvidence SshSaid(const std::string& errors, int code = 255) {
  StartEvidence evidence;
  evidence.errors = errors;
  evidence.end = ExitStatus{code, 0, false};
  return evidence;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Case {
  const char* name;
  const char* errors;
  int code;
  const char* cause;   // part of it
  const char* remedy;  // part of it
};

// What OpenSSH 7 to 9, the shells of Debian 12 and rexd print.
const Case kCases[] = {
    {"unknown host", "ssh: Could not resolve hostname nope: Name or service not known\r\n", 255,
     "Could not resolve hostname nope", "getent hosts n7"},
    {"refused", "ssh: connect to host n7 port 22: Connection refused\n", 255,
     "port 22: Connection refused", "is sshd running"},
    {"no route", "ssh: connect to host n7 port 22: No route to host\n", 255, "No route to host",
     "firewall"},
    {"network", "ssh: connect to host ::9 port 22: Network is unreachable\n", 255,
     "Network is unreachable", "firewall"},
    {"timed out", "ssh: connect to host n7 port 22: Connection timed out\n", 255,
     "Connection timed out", "is the node up"},
    {"banner",
     "Connection timed out during banner exchange\nConnection to 10.0.0.7 port 22 timed out\n", 255,
     "Connection timed out", "is the node up"},
    {"unknown key",
     "No ED25519 host key is known for n7 and you have requested strict checking.\n"
     "Host key verification failed.\n",
     255, "Host key verification failed", "`ssh n7 true`"},
    {"changed key",
     "@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@\n"
     "Offending ED25519 key in /home/u/.ssh/known_hosts:3\nHost key verification failed.\n",
     255, "IDENTIFICATION HAS CHANGED", "ssh-keygen -R n7"},
    {"password", "u@n7: Permission denied (publickey,password).\n", 255,
     "Permission denied (publickey,password)", "password"},
    {"many keys",
     "Received disconnect from 10.0.0.7 port 22:2: Too many authentication failures\n"
     "Disconnected from 10.0.0.7 port 22\n",
     255, "Too many authentication failures", "IdentitiesOnly"},
    {"busy",
     "kex_exchange_identification: Connection closed by remote host\n"
     "Connection closed by 10.0.0.7 port 22\n",
     255, "kex_exchange_identification", "MaxStartups"},
    {"old busy", "ssh_exchange_identification: Connection closed by remote host\n", 255,
     "ssh_exchange_identification", "MaxStartups"},
    {"closed", "Connection closed by 10.0.0.7 port 22\n", 255, "Connection closed by",
     "sshd's log"},
    {"lost", "client_loop: send disconnect: Broken pipe\n", 255, "Broken pipe", "is the node up"},
    {"mode", "Bad owner or permissions on /home/u/.ssh/config\n", 255, "Bad owner", "600"},
    {"bash", "bash: line 1: /opt/rex/libexec/rex/rexd: No such file or directory\n", 127,
     "/opt/rex/libexec/rex/rexd: No such file", "--prefix"},
    {"dash", "sh: 1: /opt/rex/libexec/rex/rexd: not found\n", 127, "rexd: not found", "--prefix"},
    {"csh", "/opt/rex/libexec/rex/rexd: Command not found.\n", 1, "Command not found", "--prefix"},
    {"fish", "fish: Unknown command: /opt/rex/libexec/rex/rexd\n", 127, "Unknown command",
     "--prefix"},
    {"zsh", "zsh:1: no such file or directory: /opt/rex/libexec/rex/rexd\n", 127,
     "no such file or directory", "--prefix"},
    {"silent 127", "", 127, "'/opt/rex/libexec/rex/rexd' is not there", "--prefix"},
    {"silent 126", "", 126, "can't be executed", "mode"},
    {"mode of rexd", "bash: line 1: /opt/rex/libexec/rex/rexd: Permission denied\n", 126,
     "rexd: Permission denied", "executable"},
    {"csh mode", "/opt/rex/libexec/rex/rexd: Permission denied.\n", 1, "Permission denied",
     "executable"},
    {"architecture",
     "bash: line 1: /opt/rex/libexec/rex/rexd: cannot execute binary file: Exec format error\n",
     126, "Exec format error", "architecture"},
    {"memory", "bash: fork: Cannot allocate memory\n", 254, "Cannot allocate memory", "ulimit"},
    {"processes", "-bash: fork: retry: Resource temporarily unavailable\n", 254,
     "Resource temporarily unavailable", "ulimit"},
    {"silent 122", "", 122, "out of resources", "ulimit"},
    {"home", "Could not chdir to home directory /home/u: No such file or directory\n", 1, "/home/u",
     "home directory is missing"},
    {"home is not the reason",
     "Could not chdir to home directory /home/u: No such file or directory\n"
     "bash: line 1: /opt/rex/libexec/rex/rexd: No such file or directory\n",
     127, "rexd: No such file", "--prefix"},
    {"account", "This account is currently not available.\n", 1, "currently not available",
     "log in"},
    {"rexd", "rexd: can't start: no /dev/shm\n", 123, "no /dev/shm", "lacks"},
    {"part", "rexd: can't start: rex's own program 'rexd-agent' is missing (tried /x)\n", 123,
     "'rexd-agent' is missing", "install rex at the same path"},
    {"library",
     "/x/rexd-agent: error while loading shared libraries: libz.so.1: cannot open shared "
     "object file: No such file or directory\n",
     1, "libz.so.1", "install that library"},
    {"options", "command-line: line 0: Bad configuration option: clearallforwardings\n", 255,
     "Bad configuration option", "OpenSSH's options"},
    {"wrapper", "usage: rsh [-nd] host command\n", 1, "usage: rsh", "how rex calls it"},
};

TEST(StartFailure, EveryKnownSignHasItsCauseAndRemedy) {
  for (const Case& c : kCases) {
    const StartFailure failure = ExplainStart(SshSaid(c.errors, c.code), Context());
    EXPECT_TRUE(Has(failure.cause, c.cause)) << c.name << ": " << failure.cause;
    EXPECT_TRUE(Has(failure.remedy, c.remedy)) << c.name << ": " << failure.remedy;
    EXPECT_EQ(failure.phase, "ssh");
    EXPECT_EQ(failure.node, NodeId{7});
    EXPECT_EQ(failure.name, "n7");
    EXPECT_EQ(failure.cause.find('\n'), std::string::npos) << c.name;
  }
}

TEST(StartFailure, AdviceNamesTheLoginThatWasTried) {
  StartContext context = Context();
  context.login = "-p 2222 me@n7";
  EXPECT_TRUE(Has(ExplainStart(SshSaid("me@n7: Permission denied (publickey).\n"), context).remedy,
                  "`ssh -o BatchMode=yes -p 2222 me@n7 true`"));
  EXPECT_TRUE(Has(ExplainStart(SshSaid("what?\n"), context).remedy, "`ssh -p 2222 me@n7 /"));
}

TEST(StartFailure, TheFrameOfSshsWarningIsLeftOut) {
  const StartFailure failure = ExplainStart(
      SshSaid("@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@\n"
              "Host key verification failed.\n"),
      Context());
  EXPECT_EQ(failure.cause, "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!");
}

TEST(StartFailure, TheKeepersNewsAndTheAgentsLastWordsAreBothShown) {
  const StartFailure failure = ExplainStart(
      SshSaid("rexd-agent[5] error: no luck\nrexd: agent exit 3 pid 5\n", 123), Context());
  EXPECT_EQ(failure.cause,
            "ssh ended with exit code 123 before rexd answered; its keeper says: the agent (pid 5) "
            "exited with code 3; its last words: rexd-agent[5] error: no luck");
}

TEST(StartFailure, UnknownWordsAreShownAsTheyAreWithHowItEnded) {
  const StartFailure failure = ExplainStart(SshSaid("first\nmodule: not loaded\n", 3), Context());
  EXPECT_EQ(failure.cause,
            "ssh ended with exit code 3 before rexd answered; its last words: module: not loaded");
  EXPECT_TRUE(Has(failure.remedy, "`ssh n7 ")) << failure.remedy;
}

TEST(StartFailure, NoiseOnStdoutCountsWhenStderrIsSilent) {
  StartEvidence evidence = SshSaid("", 1);
  evidence.noise = "Welcome\n/opt/rex/libexec/rex/rexd: Command not found.\n";
  EXPECT_TRUE(Has(ExplainStart(evidence, Context()).cause, "Command not found"));
  evidence.noise = "Maintenance until noon.\n";
  EXPECT_TRUE(Has(ExplainStart(evidence, Context()).cause, "Maintenance until noon."));
}

TEST(StartFailure, SilenceIsNamedWithItsBound) {
  StartEvidence evidence;
  evidence.timed_out = true;
  const StartFailure failure = ExplainStart(evidence, Context());
  EXPECT_EQ(failure.cause, "no answer in 30 s");
  EXPECT_TRUE(Has(failure.remedy, "--start-timeout")) << failure.remedy;
}

TEST(StartFailure, ASignalAndAnEndWithoutAWord) {
  StartEvidence evidence;
  evidence.end = ExitStatus{0, 9, false};
  EXPECT_EQ(ExplainStart(evidence, Context()).cause,
            "ssh was ended by signal 9 before rexd answered");
  evidence.end = ExitStatus{0, 0, false};
  evidence.phase = StartPhase::kReady;
  const StartFailure failure = ExplainStart(evidence, Context());
  EXPECT_EQ(failure.cause, "ssh ended with exit code 0 before the agent reported");
  EXPECT_EQ(failure.phase, "ready");
  evidence.end.reset();
  EXPECT_EQ(ExplainStart(evidence, Context()).cause,
            "the connection was closed before the agent reported");
}

TEST(StartFailure, WhatRexFoundComesBeforeWhatOthersSaid) {
  StartEvidence evidence = SshSaid("Killed\n", 1);
  evidence.phase = StartPhase::kMarker;
  evidence.detail = "'x' is of version 2 there, of version 1 here";
  evidence.remedy = "install";
  const StartFailure failure = ExplainStart(evidence, Context());
  EXPECT_EQ(failure.cause, evidence.detail);
  EXPECT_EQ(failure.remedy, "install");
  EXPECT_EQ(failure.phase, "marker");
}

TEST(StartFailure, OnlyAServerThatLetNobodyInWasBusy) {
  EXPECT_TRUE(
      ServerWasBusy(SshSaid("kex_exchange_identification: Connection closed by remote host\n")));
  EXPECT_TRUE(
      ServerWasBusy(SshSaid("kex_exchange_identification: read: Connection reset by peer\n")));
  EXPECT_TRUE(
      ServerWasBusy(SshSaid("ssh_exchange_identification: Connection closed by remote host\n")));
  EXPECT_TRUE(ServerWasBusy(SshSaid("Connection reset by 10.0.0.7 port 22\n")));
  EXPECT_TRUE(ServerWasBusy(SshSaid("Connection closed by 10.0.0.7 port 22\n")));
  EXPECT_FALSE(ServerWasBusy(SshSaid("ssh: connect to host n7 port 22: Connection refused\n")));
  EXPECT_FALSE(ServerWasBusy(SshSaid("u@n7: Permission denied (publickey).\n")));
  EXPECT_FALSE(ServerWasBusy(SshSaid("Connection closed by 10.0.0.7 port 22\n", 1)))
      << "the far command's own words";
  StartEvidence later = SshSaid("Connection reset by 10.0.0.7 port 22\n");
  later.phase = StartPhase::kHandshake;
  EXPECT_FALSE(ServerWasBusy(later));
}

TEST(StartFailure, TextOfOthersIsMadePrintable) {
  const StartFailure failure =
      ExplainStart(SshSaid("\x1b[31m" + std::string(1000, 'x') + "\r\n", 9), Context());
  EXPECT_EQ(failure.cause.find('\x1b'), std::string::npos);
  EXPECT_LT(failure.cause.size(), 600u);
}

TEST(LossText, TheKeepersNewsComeFirst) {
  EXPECT_EQ(
      ExplainLoss("the peer closed", "rexd-agent[5] warn: x\nrexd: agent signal 9 pid 77\nbye\n",
                  ExitStatus{1, 0, false}, "ssh"),
      "the peer closed; its keeper says: the agent (pid 77) was ended by signal 9");
}

TEST(LossText, ElseSshsEndAndLastWords) {
  EXPECT_EQ(ExplainLoss("the peer closed", "Connection to n7 closed by remote host.\n",
                        ExitStatus{255, 0, false}, "ssh"),
            "the peer closed; ssh ended with exit code 255; its last words: Connection to n7 "
            "closed by remote host.");
  EXPECT_EQ(ExplainLoss("the peer closed", "", ExitStatus{0, 9, false}, "ssh"),
            "the peer closed; ssh was ended by signal 9");
  EXPECT_EQ(ExplainLoss("the peer closed", "", std::nullopt, "ssh"), "the peer closed");
  EXPECT_EQ(ExplainLoss("the peer closed", "", ExitStatus{}, "ssh"), "the peer closed");
}

TEST(StartText, LinesAreCutAndCleaned) {
  EXPECT_EQ(PrintableLines("a\r\n\n  \nb\tc\x01\nd"), (std::vector<std::string>{"a", "b c?", "d"}));
  EXPECT_EQ(PrintableLines("").size(), 0u);
  EXPECT_EQ(LastLine("one\ntwo\n\n"), "two");
  EXPECT_EQ(PrintableLines(std::string(500, 'y')).front().size(), kMaxShownLine + 3);
}

TEST(StartText, OnlyTheEndIsKept) {
  std::string kept;
  for (int i = 0; i < 1000; ++i) KeepEnd(&kept, "0123456789");
  EXPECT_EQ(kept.size(), kKeptTextBytes);
  EXPECT_TRUE(kept.ends_with("0123456789"));
}

TEST(StartText, KeeperNewsAreToldFromOtherLines) {
  for (const char* line : {"rexd: agent signal 9 pid 1", "rexd: agent exit 134 pid 1",
                           "rexd: host signal 9 pid 3", "rexd: agent overdue pid 3"}) {
    EXPECT_TRUE(IsKeeperNews(line)) << line;
  }
  for (const char* line :
       {"agent signal 9 pid 1", "rexd: can't start: x", "rexd-agent[1] warn: x"}) {
    EXPECT_FALSE(IsKeeperNews(line)) << line;
  }
}

}  // namespace
}  // namespace rex
