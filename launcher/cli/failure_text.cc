#include "launcher/cli/failure_text.h"

#include "launcher/cli/signal_name.h"

namespace rex {

namespace {

std::string OnNode(const Failure& f) { return f.node.empty() ? "" : " on node " + f.node; }

// "rank 3 on node n1 (pid 1234, ./app)"
std::string RankText(const Failure& f) {
  std::string inner = f.pid != 0 ? "pid " + std::to_string(f.pid) : "";
  if (!f.program.empty()) inner += (inner.empty() ? "" : ", ") + f.program;
  const std::string job = f.job == kFirstJob ? "" : " of spawned job " + std::to_string(f.job);
  return "rank " + std::to_string(f.rank) + job + OnNode(f) +
         (inner.empty() ? "" : " (" + inner + ")");
}

std::string NodeText(const Failure& f) { return f.node.empty() ? "a node" : "node " + f.node; }

std::string ProgramText(const Failure& f) { return "program '" + f.program + "'"; }

std::string_view PhaseText(JobPhase phase) {
  switch (phase) {
    case JobPhase::kNodes:
      return " while its nodes were being started";
    case JobPhase::kPrepare:
      return " before any rank ran";
    case JobPhase::kBirths:
      return " while its ranks were being started";
    case JobPhase::kInit:
      return " while ranks waited in MPI_Init for others";
    case JobPhase::kRun:
      return "";
  }
  return "";
}

std::string Headline(const Failure& f, int exit_code) {
  switch (f.kind) {
    case FailureKind::kNone:
      return "the job ended with exit code " + std::to_string(exit_code);
    case FailureKind::kRankExit:
      return RankText(f) + " exited with code " + std::to_string(f.code);
    case FailureKind::kRankSignal:
      return RankText(f) + " was ended by " + SignalText(f.signo) +
             (f.core_dumped ? ", core dumped" : ", no core dumped");
    case FailureKind::kAbort:
      return RankText(f) + " aborted the job with code " + std::to_string(f.code);
    case FailureKind::kNoFinalize:
      return RankText(f) + " exited with code 0 after MPI_Init but without MPI_Finalize";
    case FailureKind::kNoInit:
      return RankText(f) + " exited with code 0 without MPI_Init, and other ranks called it";
    case FailureKind::kTimeout:
      return "the job was ended because its time limit was over" + std::string(PhaseText(f.phase));
    case FailureKind::kUserSignal:
      return "the job was ended because rexlaunch got " + SignalText(f.signo);
    case FailureKind::kDvmStopped:
      return "the job was ended with its DVM";
    case FailureKind::kJobKilled:
      return "the job was ended by 'rexctl kill'";
    case FailureKind::kProgramNotFound:
      return ProgramText(f) + " was not found" + OnNode(f);
    case FailureKind::kProgramNotRunnable:
      return ProgramText(f) + " cannot be executed" + OnNode(f);
    case FailureKind::kWdirMissing:
      return "the working directory for " + ProgramText(f) + " cannot be entered" + OnNode(f);
    case FailureKind::kNoResources:
      return "the job could not be started: out of resources" + OnNode(f);
    case FailureKind::kInternal:
    case FailureKind::kNodeFailed:
      return "a process of rex failed" + OnNode(f);
    case FailureKind::kRefused:
      return "the job was refused" + OnNode(f);
    case FailureKind::kNodeStart:
      return NodeText(f) + " could not be started";
    case FailureKind::kNodeLost:
      return NodeText(f) + " was lost" +
             (f.phase <= JobPhase::kPrepare ? std::string(PhaseText(f.phase)) : "");
  }
  return "the job failed";
}

// What to do when the head has no advice of its own.
std::string CommonRemedy(const Failure& f) {
  switch (f.kind) {
    case FailureKind::kRankExit:
      if (f.code != 127) return "";
      return "code 127 often means that a shared library is missing: 'ldd " + f.program +
             "' shows which";
    case FailureKind::kNoFinalize:
      return "call MPI_Finalize, or MPI_Abort, on every way out of the program";
    case FailureKind::kNoInit:
      return "a rank that calls MPI_Init waits for every rank of its job: start programs without "
             "MPI by a rexlaunch of their own";
    case FailureKind::kTimeout:
      return "the limit comes from --timeout or the environment variable MPIEXEC_TIMEOUT";
    case FailureKind::kNodeStart:
      return "no rank was started; try 'ssh " + (f.node.empty() ? "NODE" : f.node) +
             " true' by hand: it has to work without a password or a question (--start-timeout "
             "gives a slow node more time, --prefix says where rex is installed there)";
    case FailureKind::kNodeLost:
      return "all ranks were ended, those on other nodes too; look whether " +
             (f.node.empty() ? "it" : "'" + f.node + "'") +
             " is up, and there for a process that was killed for lack of memory (journalctl -k); "
             "--node-timeout says how long silence is no loss";
    case FailureKind::kInternal:
    case FailureKind::kNodeFailed:
      return "try again with REX_LOG=debug set; if it fails again, please report those lines";
    default:
      return "";
  }
}

std::string OthersText(const Failure& f) {
  if (f.others == 0) return "";
  const bool nodes = f.kind == FailureKind::kNodeStart || f.kind == FailureKind::kNodeLost;
  const std::string more =
      std::to_string(f.others) + " more " + (nodes ? "node" : "rank") + (f.others == 1 ? "" : "s");
  switch (f.kind) {
    case FailureKind::kNodeStart:
      return ", nor could " + more;
    case FailureKind::kNodeLost:
      return ", and with it " + more;
    default:
      return " (and " + more + " failed)";
  }
}

// Text from other processes, indented; one line for each of its lines.
void AddIndented(std::string_view text, std::vector<std::string>* lines) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) lines->push_back("  " + std::string(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

std::vector<std::string> FailureLines(const JobEnded& ended) {
  const Failure& f = ended.failure;
  if (f.kind == FailureKind::kNone && ended.exit_code == 0) return {};
  std::vector<std::string> lines = {Headline(f, ended.exit_code) + OthersText(f)};
  AddIndented(f.detail, &lines);
  AddIndented(f.remedy.empty() ? CommonRemedy(f) : f.remedy, &lines);
  return lines;
}

}  // namespace rex
