#include "launcher/ship/ship_dialog.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "launcher/ship/ship_limits.h"

namespace rex {

namespace {

constexpr std::string_view kStart = "\x1erex-ship ";
constexpr size_t kMaxLineBytes = 512;

Error Nonsense(std::string_view line) {
  return Error{Errc::kProtocol,
               "an answer makes no sense: '" + std::string(line.substr(0, 80)) + "'"};
}

template <typename T>
bool TakeNumber(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

// "0,3,4" or "-", strictly ascending, each below `count`.
bool ParseList(const std::string& list, size_t count, std::vector<size_t>* out) {
  if (list == "-") return true;
  std::istringstream words(list + ",");
  for (std::string word; std::getline(words, word, ',');) {
    size_t index = 0;
    if (!TakeNumber(word, &index) || index >= count) return false;
    if (!out->empty() && index <= out->back()) return false;
    out->push_back(index);
  }
  return !out->empty();
}

bool IsWord(const std::string& word) {
  return !word.empty() && word.size() <= 32 &&
         std::all_of(word.begin(), word.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

Result<std::string> ShipDialog::Feed(std::string_view bytes) {
  text_.append(bytes);
  std::string rest;
  while (state_ != ShipState::kDone) {
    const size_t at = text_.find(kStart[0]);
    rest += text_.substr(0, at);
    text_.erase(0, at);
    if (at == text_.npos || text_.empty()) return rest;
    const std::string_view head = std::string_view(text_).substr(0, kStart.size());
    if (!kStart.starts_with(head)) {  // another's
      rest += text_[0];
      text_.erase(0, 1);
      continue;
    }
    const size_t end = text_.find('\n');
    if (end == text_.npos) {
      if (text_.size() > kMaxLineBytes) return Nonsense(text_.substr(1));
      return rest;
    }
    const std::string line = text_.substr(kStart.size(), end - kStart.size());
    text_.erase(0, end + 1);
    if (const Status taken = OnLine(line); !taken) return taken.error();
  }
  rest += text_;
  text_.clear();
  return rest;
}

Status ShipDialog::OnLine(std::string_view line) {
  std::istringstream words{std::string(line)};
  std::string what;
  std::string first;
  std::string second;
  std::string more;
  words >> what >> first >> second >> more;
  if (IsWord(first) && more.empty()) {
    if (what == "here" && second.empty() && state_ == ShipState::kAwaitsShell) return OnHere(first);
    if (what == "stage" && second.empty() && state_ == ShipState::kAwaitsStage0) {
      return OnStage(first);
    }
    const bool told = state_ == ShipState::kAwaitsNeeds && Pending().empty();
    if (what == "need" && !second.empty() && told) return OnNeed(first, second);
  }
  return Nonsense(line);
}

Status ShipDialog::OnHere(const std::string& machine) {
  if (machine != machine_) {
    return Error{Errc::kNotRunnable,
                 "the node's machine is " + machine + ", rex's programs here are for " + machine_};
  }
  state_ = ShipState::kSendsStage0;
  return Ok{};
}

Status ShipDialog::OnStage(const std::string& version) {
  if (version != "1") return Nonsense("stage " + version);
  state_ = ShipState::kAwaitsBundle;
  SendManifest();
  return Ok{};
}

void ShipDialog::SetBundle(std::shared_ptr<const ShipBundle> bundle) {
  bundle_ = std::move(bundle);
  SendManifest();
}

void ShipDialog::SendManifest() {
  if (state_ != ShipState::kAwaitsBundle || !bundle_) return;
  manifest_ = bundle_->Manifest();
  state_ = ShipState::kAwaitsNeeds;
}

Status ShipDialog::OnNeed(const std::string& libc, const std::string& list) {
  if (const Status good = CheckLibc(libc); !good) return good;
  if (!ParseList(list, bundle_->files.size(), &needed_))
    return Nonsense("need " + libc + " " + list);
  at_ = 0;
  state_ = needed_.empty() ? ShipState::kDone : ShipState::kSendsFiles;
  SkipWritten();
  return Ok{};
}

Status ShipDialog::CheckLibc(const std::string& libc) const {
  const std::string wanted = "2." + std::to_string(bundle_->glibc_minor);
  unsigned minor = 0;
  if (libc == "-") {
    return Error{
        Errc::kNotRunnable,
        "the node has no glibc, or not where it usually is; rex's programs need " + wanted};
  }
  if (!libc.starts_with("2.") || !TakeNumber(std::string_view(libc).substr(2), &minor)) {
    return Nonsense("need " + libc);
  }
  if (minor >= bundle_->glibc_minor) return Ok{};
  return Error{Errc::kNotRunnable,
               "the node's glibc is " + libc + ", rex's programs here need " + wanted};
}

std::string_view ShipDialog::Pending() const {
  std::string_view all;
  if (state_ == ShipState::kSendsStage0) all = stage0_->bytes;
  if (state_ == ShipState::kAwaitsNeeds) all = manifest_;
  if (state_ == ShipState::kSendsFiles) all = bundle_->files[needed_[file_]].bytes;
  return all.substr(std::min(at_, all.size()));
}

void ShipDialog::Written(size_t bytes) {
  at_ += bytes;
  if (state_ == ShipState::kSendsStage0 && Pending().empty()) {
    state_ = ShipState::kAwaitsStage0;
    at_ = 0;
  }
  SkipWritten();
}

// To the next file that is not sent whole; an empty one is from the start.
void ShipDialog::SkipWritten() {
  while (state_ == ShipState::kSendsFiles && Pending().empty()) {
    at_ = 0;
    if (++file_ == needed_.size()) state_ = ShipState::kDone;
  }
}

std::string_view ShipDialog::Doing() const {
  switch (state_) {
    case ShipState::kAwaitsShell:
      return "while the node's shell looked for a place";
    case ShipState::kSendsStage0:
    case ShipState::kAwaitsStage0:
      return "while the first program went to the node";
    case ShipState::kAwaitsBundle:
      return "while rex's programs were read here";
    case ShipState::kAwaitsNeeds:
      return "while the node looked at what it has";
    case ShipState::kSendsFiles:
      return "while rex's programs went to the node";
    default:
      return "before rexd answered";
  }
}

std::string ShipRemedy(std::string_view cause) {
  struct Sign {
    std::string_view text;
    std::string_view remedy;
  };
  constexpr auto kSigns = std::to_array<Sign>({
      {"machine is",
       "install rex's build for that machine there, and name where it is with --prefix"},
      {"glibc",
       "build rex on the cluster's oldest system, or install the node's own build there "
       "(--prefix)"},
      {"no place for",
       "make room in one of these on the node, or set TMPDIR there (in ~/.ssh/environment or the "
       "shell's start-up file) to a directory where programs may run"},
      {"No space left", "make room on the node, or set TMPDIR there to another directory"},
      {"quota", "make room on the node, or set TMPDIR there to another directory"},
      {"is missing here",
       "rex's installation on this side is not whole; `ldd` on libexec/rex/rexd-pmix tells"},
      {"' is missing", "install coreutils (or busybox) on the node, or rex itself"},
      {"damaged",
       "something between here and the node changes what ssh carries: a login shell that "
       "reads or writes? try `ssh NODE cat` with a file"},
      {"Permission denied",
       "look at what keeps programs from running there: mount options, SELinux"},
  });
  for (const Sign& sign : kSigns) {
    if (cause.find(sign.text) != cause.npos) return std::string(sign.remedy);
  }
  return "";
}

}  // namespace rex
