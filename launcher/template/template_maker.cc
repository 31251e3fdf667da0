#include "launcher/template/template_maker.h"

#include <algorithm>

#include "launcher/elf/elf_facts.h"
#include "launcher/template/template_key.h"

namespace rex {

Result<std::unique_ptr<TemplateMaker>> TemplateMaker::Start(EventLoop& loop, ChildTable& children,
                                                            RankMaker& spawner, TemplateOrder order,
                                                            std::chrono::milliseconds bound,
                                                            OnFallback on_fallback) {
  std::unique_ptr<TemplateMaker> self(new TemplateMaker(spawner, std::move(on_fallback)));
  self->loader_env_ = LoaderEnvironment(order.env);
  self->files_ = order.files;
  self->own_dir_ = order.own_dir;
  self->wdir_ = order.wdir;
  // Files' times have this clock's resolution: time(7), "the kernel's software clock".
  ::clock_gettime(CLOCK_REALTIME_COARSE, &self->started_);
  MakerProgram program;
  program.name = "template";
  program.birth = Birth::kTemplate;
  program.is_template = true;
  program.start = [order = std::move(order)] { return StartTemplateProcess(order); };
  program.on_greeting = [raw = self.get()](pid_t pid) { return raw->OnGreeting(pid); };
  program.before_batch = [raw = self.get()](pid_t pid) { return raw->BeforeBatch(pid); };
  auto maker = RankMaker::StartMaker(loop, children, std::move(program), bound);
  if (!maker) return maker.error();
  self->maker_ = std::move(*maker);
  return self;
}

Status TemplateMaker::OnGreeting(pid_t pid) {
  auto files = ReadMappedFiles(pid, started_, own_dir_);
  if (!files) return files.error();
  files_.insert(files_.end(), files->begin(), files->end());
  was_fit_ = true;
  return Ok{};
}

bool TemplateMaker::FitsAnywhere() {
  if (!was_fit_) return false;
  if (!fits_anywhere_) {
    fits_anywhere_ = std::all_of(files_.begin(), files_.end(), [](const MappedFile& file) {
      const auto facts = ReadElfFacts(file.path);
      return facts && !LooksInWorkingDirectory(*facts);
    });
  }
  return *fits_anywhere_;
}

Status TemplateMaker::BeforeBatch(pid_t pid) const {
  const uint64_t threads = ThreadCount(pid);
  if (threads != 1) {
    return Error{Errc::kInvalid, "it has " + std::to_string(threads) + " threads"};
  }
  return StillAsMapped(files_);
}

void TemplateMaker::Submit(BirthBatch batch, BatchEvents events, OnFallback on_fallback) {
  if (!on_fallback) on_fallback = on_fallback_;
  bool same = LoaderEnvironment(batch.common_env) == loader_env_;
  for (const auto& rank : batch.ranks) same = same && LoaderEnvironment(rank.env).empty();
  if (!same) {
    return FallBack(std::move(batch), std::move(events), on_fallback,
                    "the ranks' LD_* settings differ from it");
  }
  const auto shared = std::make_shared<BatchEvents>(std::move(events));
  BatchEvents ours;
  ours.on_pids = shared->on_pids;
  ours.on_failure = shared->on_failure;
  ours.on_born = shared->on_born;
  ours.on_lost = shared->on_lost;
  ours.on_returned = [this, shared, on_fallback](BirthBatch order, const Error& why) {
    FallBack(std::move(order), std::move(*shared), on_fallback, why.text);
  };
  maker_->Submit(std::move(batch), std::move(ours));
}

void TemplateMaker::FallBack(BirthBatch batch, BatchEvents events, const OnFallback& on_fallback,
                             const std::string& why) {
  if (on_fallback) on_fallback(why);
  batch.become = false;
  spawner_.Submit(std::move(batch), std::move(events));
}

}  // namespace rex
