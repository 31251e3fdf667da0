#include "launcher/openmpi/maker.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "launcher/base/programs.h"
#include "launcher/template/maker_channel.h"
#include "launcher/template/template_fitness.h"

namespace rex::openmpi {

namespace {
// glibc 2.36's declarations of these two are not for C++.
int OpenPidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }
void Kill(int pidfd) { ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0); }
}  // namespace

Result<Maker> Maker::Adopt(MakerProcess process) {
  // Nobody reaps while this thread is here: the pid is still its own.
  UniqueFd pidfd(OpenPidfd(process.pid));
  if (!pidfd) {
    const int error = errno;
    ::kill(process.pid, SIGKILL);
    return Error::FromErrno(error, "watch a process of rex's");
  }
  return Maker(std::move(process), std::move(pidfd));
}

Maker::~Maker() {
  if (pidfd_) Kill(pidfd_.get());
}

Result<Maker> StartSpawner(const std::string& program) {
  auto pair = MakeSeqpacketPair();
  if (!pair) return pair.error();
  const int theirs = pair->second.get();
  const auto pid = SpawnProgram({program, "--agent-fd=" + std::to_string(theirs)}, {theirs});
  if (!pid) return pid.error();
  return Maker::Adopt(MakerProcess{*pid, std::move(pair->first)});
}

Result<std::shared_ptr<Template>> Template::Start(TemplateOrder order) {
  const std::string path = order.path;
  const std::string absolute = path.starts_with('/') ? path : order.wdir + "/" + path;
  TemplateProgram program = ChooseTemplate(absolute, order.argv, order.env);
  if (!program.why_exec.empty()) return Error{Errc::kInvalid, program.why_exec};
  // Files' times have this clock's resolution: time(7), "the kernel's software clock".
  std::timespec started{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &started);
  // By the name that exec would be given: a script sees it.
  if (program.path != absolute) order.path = program.path;
  order.argv = std::move(program.argv);
  std::replace(order.argv.begin() + 1, order.argv.end(), absolute, path);
  order.files = std::move(program.files);
  auto process = StartTemplateProcess(order);
  if (!process) return process.error();
  auto maker = Maker::Adopt(std::move(*process));
  if (!maker) return maker.error();
  return std::shared_ptr<Template>(new Template(std::move(*maker), order, started));
}

Result<bool> Template::Greeting() {
  const auto fit = ReadGreeting(socket());
  if (!fit) return fit.error();
  if (!*fit) return false;
  auto files = ReadMappedFiles(pid(), started_, own_dir_);
  if (!files) return files.error();
  files_.insert(files_.end(), files->begin(), files->end());
  fit_ = true;
  return true;
}

Status Template::Check(const BirthBatch& batch) const {
  bool same = LoaderEnvironment(batch.common_env) == loader_env_;
  for (const auto& rank : batch.ranks) same = same && LoaderEnvironment(rank.env).empty();
  if (!same) return Error{Errc::kInvalid, "the ranks' LD_* settings differ from it"};
  if (ThreadCount(pid()) != 1) return Error{Errc::kInvalid, "it has more than one thread"};
  return StillAsMapped(files_);
}

}  // namespace rex::openmpi
