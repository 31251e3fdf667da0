// rexlaunch: what users type to start a parallel program. Parses, then moves stdio, forwards
// signals and waits. Exit codes: docs/rules.md.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "launcher/cli/check_text.h"
#include "launcher/cli/dvm/choose_dvm.h"
#include "launcher/cli/job_request.h"
#include "launcher/cli/launch_session.h"
#include "launcher/cli/machine.h"
#include "launcher/cli/openmpi_check.h"
#include "launcher/cli/option_help.h"
#include "launcher/cli/option_table.h"
#include "launcher/cli/parameter.h"
#include "launcher/cli/parse.h"
#include "launcher/openmpi/daemon_exec.h"

namespace {

using rex::CommandLine;
using rex::Environment;
using rex::SessionOptions;

constexpr int kExitUsage = 2;
constexpr int kExitProblems = 116;
constexpr int kExitNoDirectory = 121;
constexpr int kExitNoResources = 122;
constexpr int kExitRexFailed = 123;

constexpr const char* kRunningAsRoot =
    "running as root: ranks have all of root's rights (--allow-run-as-root hides this line)";

int Fail(const std::string& text, int code) {
  // A stderr that cannot be written leaves the exit code to tell.
  static_cast<void>(rex::WriteAll(STDERR_FILENO, rex::ConsoleLine(text)).has_value());
  return code;
}

// --help and --version: to stdout, and a disk that is full is an error.
int Print(const std::string& text) {
  return rex::WriteAll(STDOUT_FILENO, text) ? EXIT_SUCCESS : EXIT_FAILURE;
}

// The file is opened before the job starts: a bad path should not cost a run.
rex::Status OpenTimeline(const std::string& path, SessionOptions* options) {
  options->timeline = path;
  if (path.empty() || path == "-") return rex::Ok{};
  options->timeline_file.Reset(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (options->timeline_file) return rex::Ok{};
  return rex::Error::FromErrno(errno, "option '--timeline': cannot write to '" + path + "'");
}

std::string Absolute(const std::string& path, const std::string& cwd) {
  return path.empty() || path[0] == '/' ? path : cwd + "/" + path;
}

// --report-pid: as mpirun, '-' is stdout and '+' stderr.
rex::Status ReportPid(const std::string& where) {
  if (where.empty()) return rex::Ok{};
  const std::string text = std::to_string(::getpid()) + "\n";
  if (where == "-") return rex::WriteAll(STDOUT_FILENO, text);
  if (where == "+") return rex::WriteAll(STDERR_FILENO, text);
  rex::UniqueFd file(::open(where.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file) return rex::WriteAll(file.get(), text);
  return rex::Error::FromErrno(errno, "option '--report-pid': cannot write to '" + where + "'");
}

int CheckOpenMpi() {
  const rex::OpenMpiVerdict verdict = rex::JudgeOpenMpi(rex::ReadOpenMpiFacts());
  if (!rex::WriteAll(STDOUT_FILENO, verdict.text)) return EXIT_FAILURE;
  return verdict.fits ? EXIT_SUCCESS : kExitProblems;
}

int PrintHelp(const std::string& topic) {
  const uint32_t cores = rex::CountUsableCores();
  if (topic.empty() || topic == "full" || topic == "all") return Print(rex::HelpText(cores));
  const auto text = rex::TopicHelp(topic, cores);
  if (text) return Print(*text);
  std::string known;
  for (const std::string_view name : rex::kTopicNames) known += " " + std::string(name);
  return Fail("there is no help on '" + topic + "'; topics are:" + known, kExitUsage);
}

// Where the nodes come from, when the user wants to know.
void TellOrigin(const CommandLine& line, const rex::NodePool& pool, const rex::JobSpec& job,
                SessionOptions* options) {
  if (!line.verbose && !line.display.allocation) return;
  std::string text = rex::OriginText(line, pool, job.dvm.nodes, job.slots);
  if (!text.empty()) options->notes.push_back(std::move(text));
}

// The job that is asked for, and where: in a DVM that stays, in one of its own, or in that when the
// DVM declines.
struct Asked {
  std::optional<rex::JobSpec> own;
  rex::DvmChoice dvm;
  std::vector<std::string> warnings;
  const rex::JobSpec& job() const { return dvm.socket ? *dvm.job : *own; }
};

rex::Result<Asked> Ask(const CommandLine& line, const Environment& env, const rex::NodePool& pool,
                       const rex::Surroundings& here) {
  Asked asked;
  auto dvm = rex::ChooseDvm(line, env, pool, here);
  if (!dvm) return dvm.error();
  asked.dvm = *std::move(dvm);
  const bool may_decline = asked.dvm.socket && asked.dvm.job->may_decline;
  if (!asked.dvm.socket || may_decline) {
    auto own = rex::MakeJobSpec(line, here, env, pool, &asked.warnings);
    if (!own && !asked.dvm.socket) return own.error();
    if (own) asked.own = *std::move(own);
    if (asked.dvm.socket) asked.dvm.job->may_decline = asked.own.has_value();
  }
  if (asked.dvm.socket) asked.warnings = asked.dvm.warnings;
  asked.warnings.insert(asked.warnings.begin(), line.warnings.begin(), line.warnings.end());
  return asked;
}

void TellDvm(const CommandLine& line, const rex::DvmChoice& dvm, SessionOptions* options) {
  if (!dvm.note.empty()) options->notes.push_back(dvm.note);
  if (line.verbose && !dvm.detail.empty()) options->notes.push_back(dvm.detail);
}

void SayAtOnce(const std::string& prefix, std::vector<std::string>* lines) {
  while (!lines->empty() && rex::SaidAtOnce(prefix + lines->front())) {
    lines->erase(lines->begin());
  }
}

// What can be said before signals are caught and anything runs is: it costs the session a thread.
void SayFirst(bool quiet, SessionOptions* options) {
  ::signal(SIGPIPE, SIG_IGN);  // the session ignores it, too
  if (quiet) options->notes.clear();
  SayAtOnce("", &options->notes);
  if (options->notes.empty()) SayAtOnce("warning: ", &options->warnings);
}

// Errors: what kept rex's own processes from starting.
rex::Status Begin(rex::LaunchSession& session, Asked& asked, bool in_dvm) {
  if (!in_dvm) return session.Start(*asked.own);
  session.StartInDvm(*asked.dvm.job, std::move(asked.own));
  return rex::Ok{};
}

int Launch(const CommandLine& line, const Environment& env, const rex::NodePool& pool,
           rex::Clock::Time begin) {
  bool want_cores = pool.kind != rex::NodePool::Kind::kNone;
  for (const rex::AppLine& app : line.apps) {
    want_cores = want_cores || !app.ranks || !app.hosts.empty() || !app.hostfile.empty();
  }
  const auto here = rex::ReadSurroundings(env, want_cores);
  if (!here) {
    return Fail(
        "cannot " + here.error().text + "; it may have been removed: change to another directory",
        kExitNoDirectory);
  }
  auto asked = Ask(line, env, pool, *here);
  if (!asked) return Fail(asked.error().text, kExitUsage);
  const rex::JobSpec& job = asked->job();
  rex::OutputChoice output = line.output;
  output.file = Absolute(output.file, here->cwd);
  output.dir = Absolute(output.dir, here->cwd);
  if (!output.file.empty() || !output.dir.empty()) rex::RaiseOpenFileLimit(1);
  const bool counted = std::all_of(job.apps.begin(), job.apps.end(),
                                   [](const rex::AppSpec& app) { return app.ranks > 0; });
  const uint32_t ranks = counted ? job.TotalRanks() : 0;
  SessionOptions options{.console = {output, ranks, line.quiet, line.verbose, job.progress},
                         .warnings = std::move(asked->warnings),
                         .begin = begin};
  if (::geteuid() == 0 && !line.allow_root) options.notes.emplace_back(kRunningAsRoot);
  TellDvm(line, asked->dvm, &options);
  if (!asked->dvm.socket) TellOrigin(line, pool, job, &options);
  if (const auto opened = OpenTimeline(line.timeline, &options); !opened) {
    return Fail(opened.error().text, kExitUsage);
  }
  if (const auto told = ReportPid(line.report_pid); !told) {
    return Fail(told.error().text, kExitUsage);
  }
  rex::LeaveSurroundingJob(env);

  rex::EventLoop loop;
  options.phases.push_back(
      {.name = "parse", .begin = begin, .end = loop.clock().Now(), .process = "rexlaunch"});
  options.dvm_name = asked->dvm.name;
  options.dvm = asked->dvm.socket ? rex::UniqueFd(asked->dvm.socket.Release()) : rex::UniqueFd();
  const bool in_dvm = static_cast<bool>(options.dvm);
  SayFirst(line.quiet, &options);
  rex::LaunchSession session(loop, std::move(options));
  if (const auto started = Begin(session, *asked, in_dvm); !started) {
    return Fail("cannot start rex's own processes: " + started.error().text +
                    "; is the installation complete, and are the limits (ulimit -a) high enough?",
                started.error().code == rex::Errc::kResource ? kExitNoResources : kExitRexFailed);
  }
  loop.Run();
  if (session.check()) {
    const auto text =
        line.json ? rex::CheckJson(*session.check()) : rex::CheckLines(*session.check());
    if (!rex::WriteAll(STDOUT_FILENO, text)) ::_exit(EXIT_FAILURE);
  }
  ::_exit(session.exit_code());  // threads may still wait for a stalled reader or a terminal
}

}  // namespace

int main(int argc, char** argv) {
  const rex::Clock::Time begin = rex::MonotonicClock().Now();
  rex::OpenMissingStdio();
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (const int code = rex::openmpi::BecomeDaemon(words); code >= 0) return code;
  const Environment env = rex::OwnEnvironment();
  const rex::FileReader read_file = rex::OwnFileReader();
  auto line = rex::ParseCommandLine(words, env, read_file);
  if (!line) return Fail(line.error().text, kExitUsage);
  if (line->help) return PrintHelp(line->help_topic);
  if (line->version) return Print("rexlaunch (rex) " REX_VERSION "\n");
  if (line->check_openmpi) return CheckOpenMpi();
  line->file_settings = rex::ReadParameterFiles(env, read_file);
  const auto pool = rex::FindNodePool(*line, {env, read_file, rex::OwnCommandRunner()});
  if (!pool) return Fail(pool.error().text, kExitUsage);
  return Launch(*line, env, *pool, begin);
}
