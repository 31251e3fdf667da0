#include "launcher/agent/check.h"

namespace rex {

namespace {

constexpr std::chrono::seconds kAnswerBound{10};

std::string ValueOf(const std::vector<std::string>& env, std::string_view name) {
  for (const std::string& entry : env) {
    if (entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return "";
}

}  // namespace

Check::Check(EventLoop& loop, const JobSpec& spec, uint32_t cores, std::string session_dir,
             std::function<void(const CheckReport&)> done)
    : spec_(spec.dvm),
      named_slots_(spec.slots),
      library_path_(ValueOf(spec.env, "LD_LIBRARY_PATH")),
      cores_(cores),
      session_dir_(std::move(session_dir)),
      done_(std::move(done)),
      bound_(loop, [this] { Finish(); }) {}

void Check::OnStartFailed(const StartFailure& failure) { failures_[failure.node] = failure; }

void Check::OnNodesReady(Dvm& dvm) {
  dvm_ = &dvm;
  facts_[kHeadNode] = ReadCheckFacts(cores_, session_dir_, library_path_);
  if (dvm.size() > 1) dvm.Broadcast(kCheckAskKind, FrameClass::kControl, EncodeAsk(library_path_));
  bound_.Set(Complete() ? std::chrono::milliseconds(0) : std::chrono::milliseconds(kAnswerBound));
}

void Check::OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure) {
  for (const NodeId node : nodes) {
    facts_.erase(node);
    failures_[node] = {node, "", "lost", failure.detail, failure.remedy};
  }
  if (dvm_ != nullptr && Complete()) bound_.Set(std::chrono::milliseconds(0));
}

Status Check::OnMessage(NodeId from, uint8_t kind, const std::string& payload) {
  if (kind != kCheckFactsKind) return Ok{};
  auto facts = DecodeFacts(payload);
  if (!facts) return facts.error();
  facts_[from] = *std::move(facts);
  if (dvm_ != nullptr && Complete()) bound_.Set(std::chrono::milliseconds(0));
  return Ok{};
}

bool Check::Complete() const {
  for (uint32_t id = 1; id < dvm_->size(); ++id) {
    if (!facts_.contains(NodeId{id}) && !failures_.contains(NodeId{id})) return false;
  }
  return true;
}

CheckSubject Check::SubjectOf(const NodeRequest& node, NodeId id) const {
  CheckSubject subject{node.name, id == kHeadNode, node.slots, {}, {}, dvm_->ClockOf(id)};
  const auto facts = facts_.find(id);
  const auto failure = failures_.find(id);
  if (facts != facts_.end()) subject.facts = facts->second;
  if (failure != failures_.end()) subject.failure = failure->second;
  return subject;
}

void Check::Finish() {
  if (!done_) return;
  bound_.Cancel();
  std::vector<CheckSubject> subjects;
  const NodeNumbers& numbers = dvm_->numbers();
  for (size_t i = 0; i < spec_.nodes.size(); ++i) {
    subjects.push_back(SubjectOf(spec_.nodes[i], numbers.ids[i]));
  }
  if (subjects.empty()) {
    NodeRequest here;
    here.name = numbers.names[0];
    here.slots = named_slots_;
    subjects.push_back(SubjectOf(here, kHeadNode));
  }
  const auto done = std::exchange(done_, nullptr);
  done(JudgeNodes(subjects, facts_.at(kHeadNode), spec_.bootstrap == Bootstrap::kVirtual));
}

}  // namespace rex
