// The processes that make ranks for an orted: a template of one program, and the spawner. They are
// children of this process that somebody else reaps, so they are signalled by pidfd only.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "launcher/template/rank_maker.h"
#include "launcher/template/template_key.h"
#include "launcher/template/template_process.h"

namespace rex::openmpi {

// A maker's process; killed with this.
class Maker {
 public:
  static Result<Maker> Adopt(MakerProcess process);
  Maker(Maker&&) = default;
  Maker& operator=(Maker&&) = delete;
  ~Maker();

  int socket() const { return process_.socket.get(); }
  pid_t pid() const { return process_.pid; }

 private:
  Maker(MakerProcess process, UniqueFd pidfd)
      : process_(std::move(process)), pidfd_(std::move(pidfd)) {}

  MakerProcess process_;
  UniqueFd pidfd_;
};

Result<Maker> StartSpawner(const std::string& program);

// A template and what must be true of a batch that it may make.
class Template {
 public:
  // Errors: as StartTemplateProcess, kInvalid (ranks of this program have to be exec'ed: why).
  static Result<std::shared_ptr<Template>> Start(TemplateOrder order);

  int socket() const { return maker_.socket(); }
  pid_t pid() const { return maker_.pid(); }
  bool fit() const { return fit_; }

  // Reads the greeting. False: not there yet.
  Result<bool> Greeting();
  // Whether it is still what exec would give, and the batch what it was started for.
  Status Check(const BirthBatch& batch) const;

 private:
  Template(Maker maker, const TemplateOrder& order, std::timespec started)
      : maker_(std::move(maker)),
        loader_env_(LoaderEnvironment(order.env)),
        files_(order.files),
        own_dir_(order.own_dir),
        started_(started) {}

  Maker maker_;
  std::vector<std::string> loader_env_;
  std::vector<MappedFile> files_;
  std::string own_dir_;
  std::timespec started_;
  bool fit_ = false;
};

}  // namespace rex::openmpi
