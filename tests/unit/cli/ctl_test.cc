// rexctl's command line and what it prints.
#include <gtest/gtest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "launcher/base/fd.h"
#include "launcher/cli/dvm/ctl_line.h"
#include "launcher/cli/dvm/ctl_text.h"
#include "launcher/cli/parse.h"

namespace rex {
namespace {

using nlohmann::json;

CtlLine Good(const std::vector<std::string>& words, const std::string& env = "") {
  const auto line = ParseCtlLine(words, env);
  EXPECT_TRUE(line) << line.error().text;
  return line ? *line : CtlLine{};
}

std::string Bad(const std::vector<std::string>& words) {
  const auto line = ParseCtlLine(words, "");
  EXPECT_FALSE(line);
  return line ? "" : line.error().text;
}

TEST(CtlLine, CommandsAndTheirOptions) {
  EXPECT_EQ(Good({"status"}).command, CtlCommand::kStatus);
  EXPECT_EQ(Good({"status"}).name, "default");
  EXPECT_EQ(Good({"jobs", "--name", "x", "--json"}).name, "x");
  EXPECT_TRUE(Good({"jobs", "--json"}).json);
  EXPECT_EQ(Good({"jobs", "--name=x"}).name, "x");
  EXPECT_TRUE(Good({"ps", "--tree"}).tree);
  EXPECT_TRUE(Good({"stop", "--wait"}).wait);
  EXPECT_EQ(Good({"--help"}).command, CtlCommand::kHelp);
  EXPECT_EQ(Good({"start", "--help"}).command, CtlCommand::kHelp);
  EXPECT_EQ(Good({"--version"}).command, CtlCommand::kVersion);
}

TEST(CtlLine, TheEnvironmentNamesADvm) {
  EXPECT_EQ(Good({"status"}, "night").name, "night");
  EXPECT_EQ(Good({"status", "--name", "day"}, "night").name, "day");
  EXPECT_EQ(Good({"status"}, "none").name, "default");  // none is rexlaunch's
}

TEST(CtlLine, KillTakesAJobAndMaybeASignal) {
  const CtlLine line = Good({"kill", "3", "SIGUSR1"});
  EXPECT_EQ(line.job, 3u);
  EXPECT_EQ(line.signo, SIGUSR1);
  EXPECT_EQ(Good({"kill", "3"}).signo, 0);
  EXPECT_NE(Bad({"kill"}).find("number of a job"), std::string::npos);
  EXPECT_NE(Bad({"kill", "x"}).find("'x'"), std::string::npos);
  EXPECT_NE(Bad({"kill", "0"}).find("'0'"), std::string::npos);
  EXPECT_NE(Bad({"kill", "1", "NOSIG"}).find("NOSIG"), std::string::npos);
  EXPECT_NE(Bad({"kill", "1", "9", "2"}).find("'2'"), std::string::npos);
}

TEST(CtlLine, SignalsHaveNumbersAndNames) {
  EXPECT_EQ(SignalNumber("9"), 9);
  EXPECT_EQ(SignalNumber("term"), SIGTERM);
  EXPECT_EQ(SignalNumber("SIGTERM"), SIGTERM);
  for (const char* bad : {"", "0", "65", "-1", "TERMX", "SIG"})
    EXPECT_EQ(SignalNumber(bad), 0) << bad;
}

TEST(CtlLine, StartTakesRexlaunchsOptionsForNodes) {
  const CtlLine line = Good({"start", "--host", "a,b", "--idle-timeout", "60", "--tree=flat"});
  EXPECT_EQ(line.node_words, (std::vector<std::string>{"--host", "a,b", "--tree=flat"}));
  EXPECT_EQ(line.idle_timeout, std::chrono::seconds(60));
  EXPECT_EQ(Good({"start"}).idle_timeout, std::chrono::hours(1));
  EXPECT_NE(Bad({"start", "-n", "2"}).find("'-n'"), std::string::npos);
  EXPECT_NE(Bad({"start", "--idle-timeout", "x"}).find("'x'"), std::string::npos);
  EXPECT_NE(Bad({"start", "--idle-timeout", "-1"}).find("'-1'"), std::string::npos);
  EXPECT_NE(Bad({"start", "--host"}).find("--host"), std::string::npos);
  EXPECT_NE(Bad({"start", "program"}).find("'program'"), std::string::npos);
}

TEST(CtlLine, WhatIsWrongIsNamed) {
  EXPECT_NE(Bad({}).find("no command"), std::string::npos);
  EXPECT_NE(Bad({"stat"}).find("'stat'"), std::string::npos);
  EXPECT_NE(Bad({"status", "--tree"}).find("'--tree'"), std::string::npos);
  EXPECT_NE(Bad({"status", "--name", "a/b"}).find("'a/b'"), std::string::npos);
  EXPECT_NE(Bad({"status", "--name"}).find("--name"), std::string::npos);
  EXPECT_NE(Bad({"status", "x"}).find("'x'"), std::string::npos);
}

TEST(CtlLine, HelpAndManualNameEveryOption) {
  const auto manual = ReadFile(REX_SOURCE_DIR "/docs/man/rexctl.1.in");
  ASSERT_TRUE(manual);
  for (const char* word : {"start", "stop", "status", "list", "jobs", "ps", "kill", "name", "json",
                           "tree", "wait", "idle", "host", "hostfile", "ssh", "allocation"}) {
    EXPECT_NE(CtlHelp().find(word), std::string::npos) << word;
    EXPECT_NE(manual->find(word), std::string::npos) << word;
  }
}

// Job 1 with two ranks, of which rank 1 spawned job 2; a job 3 beside them.
DvmView View() {
  DvmView view;
  view.status.record.name = "default";
  view.status.record.version = "1";
  view.status.record.head = "vm";
  view.status.state = 2;
  view.status.nodes = {{"n1", 4, 2, 1, false}, {"n2", 4, 2, 0, true}};
  view.status.jobs = 3;
  view.status.jobs_ever = 3;
  view.status.idle_timeout = std::chrono::hours(1);
  const auto job = [](JobNumber number, uint32_t ranks, JobNumber parent, const char* program) {
    DvmJob j;
    j.number = number;
    j.name_space = "rex-" + std::to_string(number);
    j.state = 3;
    j.ranks = j.live = ranks;
    j.age = std::chrono::seconds(5);
    j.parent_job = parent;
    j.parent_rank = parent == 0 ? 0 : 1;
    j.command = {program, "x"};
    return j;
  };
  view.jobs = {job(1, 2, 0, "./a"), job(2, 1, 1, "./b\n"), job(3, 1, 0, "./c")};
  view.ranks = {{1, 0, "n1", 10, RankState::kConnected, 0, 0, true, "./a"},
                {1, 1, "n1", 11, RankState::kExited, 0, 9, false, "./a"},
                {2, 0, "n1", 12, RankState::kExited, 3, 0, false, "./b"},
                {3, 0, "n2", 0, RankState::kUnborn, 0, 0, false, "./c"}};
  return view;
}

TEST(CtlText, StatusShowsNodesAndTheirSlots) {
  const std::string text = StatusText(View().status);
  EXPECT_NE(text.find("DVM 'default' is busy"), std::string::npos) << text;
  EXPECT_NE(text.find("n1    4      1     2      up"), std::string::npos) << text;
  EXPECT_NE(text.find("n2    4      0     2      lost"), std::string::npos) << text;
}

TEST(CtlText, JobsSayWhoSpawnedThem) {
  const std::string text = JobsText(View());
  EXPECT_NE(text.find("2    1      running  5 s  1.1"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4) << text;  // no newline of a command's
}

TEST(CtlText, RanksShowHowTheyWereBornAndEnded) {
  const std::string text = RanksText(View());
  EXPECT_NE(text.find("connected"), std::string::npos) << text;
  EXPECT_NE(text.find("template"), std::string::npos) << text;
  EXPECT_NE(text.find("ended by signal 9"), std::string::npos) << text;
  EXPECT_NE(text.find("ended with 3"), std::string::npos) << text;
  EXPECT_NE(text.find("unborn"), std::string::npos) << text;
}

TEST(CtlText, TheTreeHasChildrenBelowTheRankThatSpawnedThem) {
  const std::string text = TreeText(View());
  const size_t parent = text.find("  rank 1 on n1, pid 11");
  const size_t child = text.find("    job 2");
  const size_t beside = text.find("\njob 3");
  ASSERT_NE(parent, std::string::npos) << text;
  ASSERT_NE(child, std::string::npos) << text;
  ASSERT_NE(beside, std::string::npos) << text;
  EXPECT_LT(parent, child);
  EXPECT_LT(child, beside);
}

// Whatever a head sends: no job is shown below itself, none is lost.
TEST(CtlText, AJobWhoseParentCannotBeIsShownBesideTheOthers) {
  DvmView view = View();
  view.jobs[1].parent_job = 2;
  view.jobs[2].parent_job = 77;
  view.jobs[0].parent_job = 3;
  const std::string text = TreeText(view);
  for (const char* job : {"job 1", "job 2", "job 3"}) {
    EXPECT_NE(text.find(job), std::string::npos) << text;
  }
}

TEST(CtlText, JsonIsJsonWhateverTheBytes) {
  DvmView view = View();
  view.jobs[0].command = {"\xff\xfe", "\"q\""};
  view.ranks[0].program = "\x80";
  for (const std::string& text :
       {StatusJson(view.status), JobsJson(view), RanksJson(view), TreeJson(view),
        ListJson({view.status.record}), RecordJson(view.status.record), DoneJson(true, "x")}) {
    EXPECT_TRUE(json::accept(text)) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  }
}

TEST(CtlText, JsonHasWhatTheTablesHave) {
  const json jobs = json::parse(JobsJson(View()));
  EXPECT_EQ(jobs["dvm"], "default");
  EXPECT_EQ(jobs["jobs"].size(), 3u);
  EXPECT_EQ(jobs["jobs"][1]["parent"]["job"], 1);
  EXPECT_TRUE(jobs["jobs"][0]["parent"].is_null());
  const json ranks = json::parse(RanksJson(View()));
  EXPECT_EQ(ranks["ranks"][1]["signal"], 9);
  EXPECT_EQ(ranks["ranks"][2]["exit_code"], 3);
  EXPECT_TRUE(ranks["ranks"][0]["exit_code"].is_null());
  const json tree = json::parse(TreeJson(View()));
  EXPECT_EQ(tree["jobs"][0]["rank_list"][1]["jobs"][0]["job"], 2);
  EXPECT_EQ(json::parse(StatusJson(View().status))["nodes"][1]["state"], "lost");
}

TEST(CtlText, AgesAreShort) {
  EXPECT_EQ(AgeText(std::chrono::seconds(119)), "119 s");
  EXPECT_EQ(AgeText(std::chrono::minutes(10)), "10 min");
  EXPECT_EQ(AgeText(std::chrono::hours(30)), "30 h");
  EXPECT_EQ(AgeText(std::chrono::hours(24 * 9)), "9 d");
}

}  // namespace
}  // namespace rex
