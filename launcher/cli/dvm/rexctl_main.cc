// rexctl: starts a DVM that stays, shows what runs in it, ends it. docs/design/dvm.md; the man page
// has the exit codes and what --json prints.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "launcher/base/clock.h"
#include "launcher/base/dvm_place.h"
#include "launcher/cli/console.h"
#include "launcher/cli/dvm/ctl_line.h"
#include "launcher/cli/dvm/ctl_start.h"
#include "launcher/cli/dvm/ctl_text.h"
#include "launcher/cli/dvm/dvm_client.h"
#include "launcher/cli/dvm/inherited.h"
#include "launcher/cli/job_request.h"
#include "launcher/cli/machine.h"
#include "launcher/cli/parameter.h"

namespace {

using rex::CtlCommand;
using rex::CtlLine;
using rex::Environment;

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitNoDvm = 3;
constexpr std::chrono::seconds kAnswerPatience{30};
// Jobs get their grace time, the head 60 s for them, the keeper 5 s for what is left.
constexpr std::chrono::seconds kEndPatience{90};

int Fail(const std::string& text, int code) {
  const std::string line = "rexctl: " + text + "\n";
  static_cast<void>(rex::WriteAll(STDERR_FILENO, line).has_value());
  return code;
}

int Print(const std::string& text) {
  return rex::WriteAll(STDOUT_FILENO, text) ? EXIT_SUCCESS : kExitFailed;
}

// What a command did, for people or programs.
int Report(const CtlLine& line, bool done, const std::string& text) {
  if (line.json) {
    const int printed = Print(rex::DoneJson(done, text));
    return done ? printed : kExitFailed;
  }
  if (!done) return Fail(text, kExitFailed);
  return text.empty() ? EXIT_SUCCESS : Print(text + "\n");
}

// ---- start

// The nodes as rexlaunch would find them.
rex::Result<rex::StartDvm> MakeOrder(const CtlLine& line, const Environment& env) {
  const rex::FileReader read_file = rex::OwnFileReader();
  std::vector<std::string> words = line.node_words;
  words.emplace_back("true");  // a program: its ranks are nobody's
  auto parsed = rex::ParseCommandLine(words, env, read_file);
  if (!parsed) return parsed.error();
  parsed->file_settings = rex::ReadParameterFiles(env, read_file);
  const auto pool = rex::FindNodePool(*parsed, {env, read_file, rex::OwnCommandRunner()});
  if (!pool) return pool.error();
  const auto here = rex::ReadSurroundings(env, true);
  if (!here) return here.error();
  std::vector<std::string> warnings;
  auto job = rex::MakeJobSpec(*parsed, *here, env, *pool, &warnings);
  if (!job) return job.error();
  rex::StartDvm order;
  order.name = line.name;
  order.dvm = std::move(job->dvm);
  order.slots = job->slots;
  order.idle_timeout = line.idle_timeout;
  order.origin = pool->kind == rex::NodePool::Kind::kNone ? "" : pool->origin;
  order.inherited = rex::OwnInherited();
  order.verbose = parsed->verbose;
  return order;
}

int Start(const CtlLine& line, const Environment& env) {
  const auto order = MakeOrder(line, env);
  if (!order) return Fail(order.error().text, kExitUsage);
  if (const auto there = rex::FindDvm(line.name)) {
    const auto head = rex::ConnectToDvm(there->dir);
    if (head) {
      return Fail("DVM '" + line.name + "' runs already (head pid " +
                      std::to_string(there->record.agent_pid) +
                      "); 'rexctl stop' ends it, --name gives another name",
                  kExitFailed);
    }
    rex::RemoveStaleDvm(rex::DvmLink(line.name));
  }
  rex::LeaveSurroundingJob(env);
  const auto say = [](const std::string& text) { Fail(text, 0); };
  const rex::StartOutcome outcome = rex::StartDvmProcesses(*order, order->verbose, say);
  if (!outcome.record) return Fail(outcome.error, outcome.exit_code);
  if (line.json) return Print(rex::RecordJson(*outcome.record));
  const size_t nodes = std::max<size_t>(outcome.record->dvm.nodes.size(), 1);
  return Print("DVM '" + line.name + "' is up with " + std::to_string(nodes) +
               (nodes == 1 ? " node" : " nodes") + "; 'rexctl stop" +
               (line.name == rex::kDefaultDvmName ? "" : " --name " + line.name) + "' ends it\n");
}

// ---- the others

std::string Others(const std::string& name) {
  std::string text;
  for (const std::string& other : rex::DvmNames(rex::DvmRoot())) {
    if (other != name && rex::FindDvm(other)) text += (text.empty() ? "" : ", ") + other;
  }
  return text.empty() ? "; 'rexctl start' starts one" : "; there is " + text + " (--name)";
}

rex::Result<rex::DvmConnection> Connect(const CtlLine& line, rex::FoundDvm* found) {
  auto dvm = rex::FindDvm(line.name);
  if (!dvm) return dvm.error();
  auto head = rex::DvmConnection::Open(dvm->dir);
  if (!head && head.error().code == rex::Errc::kNotFound) {
    rex::RemoveStaleDvm(rex::DvmLink(line.name));
  }
  if (!head) return head.error();
  if (head->version() != rex::kProtocolVersion) {
    return rex::Error{rex::Errc::kProtocol,
                      "DVM '" + line.name + "' is version " + head->version() +
                          ", rexctl version " + std::string(rex::kProtocolVersion) +
                          "; stop it with the rexctl that started it, or 'kill " +
                          std::to_string(dvm->record.agent_pid) + "'"};
  }
  const auto sent = head->Send(rex::LaunchMessage::kHello,
                               rex::ToWire(rex::Hello{std::string(rex::kProtocolVersion)}));
  if (!sent) return sent.error();
  *found = *std::move(dvm);
  return head;
}

int NoConnection(const CtlLine& line, const rex::Error& error) {
  if (error.code != rex::Errc::kNotFound) return Fail(error.text, kExitFailed);
  return Fail("no DVM '" + line.name + "' runs here" + Others(line.name), kExitNoDvm);
}

rex::Result<rex::DvmView> Ask(rex::DvmConnection& head, const rex::AskDvm& ask) {
  if (auto sent = head.Send(rex::LaunchMessage::kAskDvm, rex::ToWire(ask)); !sent) {
    return sent.error();
  }
  rex::DvmView view;
  for (;;) {
    const auto message = head.Next(kAnswerPatience);
    if (!message) return message.error();
    if (message->kind == rex::LaunchMessage::kDvmReply) return view;
    if (message->kind == rex::LaunchMessage::kDvmStatus) {
      auto status = rex::FromWire<rex::DvmStatus>(message->payload);
      if (!status) return status.error();
      view.status = *std::move(status);
    } else if (message->kind == rex::LaunchMessage::kDvmJobs) {
      auto jobs = rex::FromWire<rex::DvmJobList>(message->payload);
      if (!jobs) return jobs.error();
      view.jobs = std::move(jobs->jobs);
    } else if (message->kind == rex::LaunchMessage::kDvmRanks) {
      auto ranks = rex::FromWire<rex::DvmRankList>(message->payload);
      if (!ranks) return ranks.error();
      view.ranks.insert(view.ranks.end(), ranks->ranks.begin(), ranks->ranks.end());
    }
  }
}

std::string Shown(const CtlLine& line, const rex::DvmView& view) {
  switch (line.command) {
    case CtlCommand::kJobs:
      return line.json ? rex::JobsJson(view) : rex::JobsText(view);
    case CtlCommand::kPs:
      if (line.tree) return line.json ? rex::TreeJson(view) : rex::TreeText(view);
      return line.json ? rex::RanksJson(view) : rex::RanksText(view);
    default:
      return line.json ? rex::StatusJson(view.status) : rex::StatusText(view.status);
  }
}

int Show(const CtlLine& line) {
  rex::FoundDvm found;
  auto head = Connect(line, &found);
  if (!head) return NoConnection(line, head.error());
  const bool ranks = line.command == CtlCommand::kPs;
  const auto view = Ask(*head, {ranks || line.command == CtlCommand::kJobs, ranks});
  if (!view) return Fail(view.error().text, kExitFailed);
  return Print(Shown(line, *view));
}

rex::Result<rex::DvmReply> Order(rex::DvmConnection& head, rex::LaunchMessage kind,
                                 const std::string& payload) {
  if (auto sent = head.Send(kind, payload); !sent) return sent.error();
  const auto message = head.Next(kAnswerPatience);
  if (!message) return message.error();
  if (message->kind != rex::LaunchMessage::kDvmReply) {
    return rex::Error{rex::Errc::kProtocol, "the head says what is not understood"};
  }
  return rex::FromWire<rex::DvmReply>(message->payload);
}

int Kill(const CtlLine& line) {
  rex::FoundDvm found;
  auto head = Connect(line, &found);
  if (!head) return NoConnection(line, head.error());
  const auto reply =
      Order(*head, rex::LaunchMessage::kKillJob, rex::ToWire(rex::KillJob{line.job, line.signo}));
  if (!reply) return Fail(reply.error().text, kExitFailed);
  return Report(line, reply->ok, reply->text);
}

// A process that ends tells it here: pidfd_open(2).
bool AwaitEnd(int pidfd, std::chrono::milliseconds bound) {
  pollfd fd{pidfd, POLLIN, 0};
  return ::poll(&fd, 1, static_cast<int>(bound.count())) > 0;
}

int Stop(const CtlLine& line) {
  rex::FoundDvm found;
  auto head = Connect(line, &found);
  if (!head) return NoConnection(line, head.error());
  // While the head is there, which keeps its keeper: the pid is that one's.
  const rex::UniqueFd keeper(
      static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(found.record.keeper_pid), 0)));
  const auto reply =
      Order(*head, rex::LaunchMessage::kStopDvm, rex::ToWire(rex::StopDvm{line.wait}));
  if (!reply) return Fail(reply.error().text, kExitFailed);
  const auto end = line.wait ? std::chrono::milliseconds(std::chrono::hours(24 * 20))
                             : std::chrono::milliseconds(kEndPatience);
  if (keeper && !AwaitEnd(keeper.get(), end)) {
    return Report(line, false,
                  "DVM '" + line.name + "' does not end; its keeper has pid " +
                      std::to_string(found.record.keeper_pid));
  }
  const std::string jobs =
      reply->text == "0" ? ""
                         : ", and with it " + reply->text + (reply->text == "1" ? " job" : " jobs");
  return Report(line, true, "DVM '" + line.name + "' has ended" + (line.wait ? "" : jobs));
}

int List(const CtlLine& line) {
  std::vector<rex::DvmRecord> records;
  for (const std::string& name : rex::DvmNames(rex::DvmRoot())) {
    const auto found = rex::FindDvm(name);
    if (!found) continue;
    if (rex::ConnectToDvm(found->dir)) {
      records.push_back(found->record);
    } else {
      rex::RemoveStaleDvm(rex::DvmLink(name));
    }
  }
  return Print(line.json ? rex::ListJson(records) : rex::ListText(records));
}

int Run(const CtlLine& line, const Environment& env) {
  switch (line.command) {
    case CtlCommand::kHelp:
      return Print(rex::CtlHelp());
    case CtlCommand::kVersion:
      return Print("rexctl (rex) " REX_VERSION "\n");
    case CtlCommand::kStart:
      return Start(line, env);
    case CtlCommand::kStop:
      return Stop(line);
    case CtlCommand::kKill:
      return Kill(line);
    case CtlCommand::kList:
      return List(line);
    case CtlCommand::kStatus:
    case CtlCommand::kJobs:
    case CtlCommand::kPs:
      return Show(line);
  }
  return kExitFailed;
}

}  // namespace

int main(int argc, char** argv) {
  rex::OpenMissingStdio();
  ::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const Environment env = rex::OwnEnvironment();
  const auto line =
      rex::ParseCtlLine(words, std::string(rex::FindVariable(env, "REX_DVM").value_or("")));
  if (!line) return Fail(line.error().text, kExitUsage);
  return Run(*line, env);
}
