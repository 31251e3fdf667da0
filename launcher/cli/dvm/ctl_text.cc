#include "launcher/cli/dvm/ctl_text.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <functional>
#include <map>

#include <nlohmann/json.hpp>

#include "launcher/cli/signal_name.h"

namespace rex {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostCommand = 60;  // characters of a command in a table

// As dvm_state.h, job_state.h and RankState have them.
constexpr std::array<const char*, 6> kDvmStates = {"starting", "idle",   "busy",
                                                   "draining", "ending", "over"};
constexpr std::array<const char*, 8> kJobStates = {"planned",  "launching", "releasing", "running",
                                                   "stopping", "draining",  "ending",    "done"};
constexpr std::array<const char*, 5> kRankStates = {"unborn", "running", "connected", "finalized",
                                                    "ended"};

template <size_t N>
std::string NameOf(const std::array<const char*, N>& names, uint32_t state) {
  return state < N ? names[state] : "unknown";
}

// Bytes that are no text, or would move the cursor, are shown as '?'.
std::string Printable(const std::string& text) {
  std::string out = text;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < ' ' || c == 127) c = '?';
  }
  return out;
}

// Text for JSON need be UTF-8: what is not is replaced when it is written.
std::string Written(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string CommandText(const std::vector<std::string>& command) {
  std::string text;
  for (const std::string& word : command) text += (text.empty() ? "" : " ") + Printable(word);
  if (text.size() > kMostCommand) text = text.substr(0, kMostCommand - 3) + "...";
  return text;
}

using Row = std::vector<std::string>;
// Columns as wide as their widest cell; the last as it is.
std::string Table(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    text += "\n";
  }
  return text;
}

std::string TimeText(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  std::array<char, 32> text{};
  ::localtime_r(&time, &parts);
  const size_t length = std::strftime(text.data(), text.size(), "%F %T", &parts);
  return {text.data(), length};
}

std::string EndText(const DvmRank& rank) {
  if (rank.state != RankState::kExited)
    return NameOf(kRankStates, static_cast<uint32_t>(rank.state));
  return rank.signo != 0 ? "ended by signal " + std::to_string(rank.signo)
                         : "ended with " + std::to_string(rank.code);
}

std::string ParentText(const DvmJob& job) {
  if (job.tool_pid != 0) return "tool " + std::to_string(job.tool_pid);
  return job.parent_job == 0
             ? "-"
             : std::to_string(job.parent_job) + "." + std::to_string(job.parent_rank);
}

std::string PidText(int64_t pid) { return pid == 0 ? "-" : std::to_string(pid); }

const char* BirthText(const DvmRank& rank) {
  return rank.pid == 0 ? "-" : rank.templated ? "template" : "exec";
}

std::string RankLine(const DvmRank& rank) {
  return "rank " + std::to_string(rank.rank) + " on " + Printable(rank.node) + ", pid " +
         PidText(rank.pid) + ", " + EndText(rank) + ", " + BirthText(rank) + ": " +
         Printable(rank.program);
}

Json ToJson(const DvmRecord& r) {
  Json nodes = Json::array();
  for (const NodeRequest& node : r.dvm.nodes) nodes.push_back(node.name);
  return {{"name", r.name},
          {"version", r.version},
          {"head", r.head},
          {"head_pid", r.agent_pid},
          {"keeper_pid", r.keeper_pid},
          {"started", r.started_s},
          {"nodes_from", r.origin},
          {"nodes", nodes}};
}

Json ToolJson(const DvmJob& j) { return {{"tool_pid", j.tool_pid}, {"command", j.tool_command}}; }

Json ToJson(const DvmJob& j) {
  Json json = {{"job", j.number},
               {"namespace", j.name_space},
               {"state", NameOf(kJobStates, j.state)},
               {"ranks", j.ranks},
               {"live", j.live},
               {"age_ms", j.age.count()},
               {"command", j.command},
               {"directory", j.cwd},
               {"rexlaunch_pid", j.client_pid},
               {"parent", nullptr}};
  if (j.parent_job != 0) json["parent"] = {{"job", j.parent_job}, {"rank", j.parent_rank}};
  if (j.tool_pid != 0) json["parent"] = ToolJson(j);
  return json;
}

Json ToJson(const DvmRank& r, const DvmJob* job) {
  Json json = {{"job", r.job},
               {"rank", r.rank},
               {"node", r.node},
               {"pid", r.pid},
               {"state", NameOf(kRankStates, static_cast<uint32_t>(r.state))},
               {"exit_code", nullptr},
               {"signal", nullptr},
               {"birth", r.pid == 0 ? Json(nullptr) : Json(BirthText(r))},
               {"program", r.program},
               {"parent", nullptr}};
  if (r.state == RankState::kExited)
    json[r.signo != 0 ? "signal" : "exit_code"] = r.signo != 0 ? r.signo : r.code;
  if (job != nullptr && job->parent_job != 0) {
    json["parent"] = {{"job", job->parent_job}, {"rank", job->parent_rank}};
  }
  if (job != nullptr && job->tool_pid != 0) json["parent"] = ToolJson(*job);
  return json;
}

const DvmJob* FindJob(const DvmView& view, JobNumber number) {
  const auto at = std::find_if(view.jobs.begin(), view.jobs.end(),
                               [number](const DvmJob& job) { return job.number == number; });
  return at == view.jobs.end() ? nullptr : &*at;
}

// Jobs by who spawned them; 0: nobody that is still there.
std::multimap<std::pair<JobNumber, Rank>, const DvmJob*> ByParent(const DvmView& view) {
  std::multimap<std::pair<JobNumber, Rank>, const DvmJob*> children;
  for (const DvmJob& job : view.jobs) {
    const DvmJob* parent = job.parent_job < job.number ? FindJob(view, job.parent_job) : nullptr;
    const bool known = parent != nullptr && job.parent_rank < parent->ranks;
    children.emplace(known ? std::pair{job.parent_job, job.parent_rank} : std::pair{0U, 0U}, &job);
  }
  return children;
}

}  // namespace

std::string AgeText(std::chrono::milliseconds age) {
  const int64_t s = age.count() / 1000;
  if (s < 120) return std::to_string(s) + " s";
  if (s < 7200) return std::to_string(s / 60) + " min";
  if (s < 172'800) return std::to_string(s / 3600) + " h";
  return std::to_string(s / 86'400) + " d";
}

std::string StatusText(const DvmStatus& s) {
  std::string text = "DVM '" + s.record.name + "' is " + NameOf(kDvmStates, s.state);
  if (s.idle.count() > 0) text += " for " + AgeText(s.idle);
  text += ", up since " + TimeText(s.record.started_s) + " (" + AgeText(s.up) + "); rex " +
          Printable(s.record.version) + ", head pid " + std::to_string(s.record.agent_pid) +
          " on " + Printable(s.record.head) + "\n";
  text += std::to_string(s.jobs) + (s.jobs == 1 ? " job runs" : " jobs run") + ", " +
          std::to_string(s.jobs_ever) + " in all; it ends " +
          (s.idle_timeout.count() == 0 ? "only when it is told to"
                                       : "after " + AgeText(s.idle_timeout) + " without a job") +
          "\n";
  if (!s.record.origin.empty()) text += "nodes from " + Printable(s.record.origin) + "\n";
  std::vector<Row> rows = {{"NODE", "SLOTS", "USED", "CORES", "STATE"}};
  for (const DvmNode& node : s.nodes) {
    rows.push_back({Printable(node.name), std::to_string(node.slots), std::to_string(node.used),
                    std::to_string(node.cores), node.lost ? "lost" : "up"});
  }
  return text + Table(rows);
}

std::string JobsText(const DvmView& view) {
  std::vector<Row> rows = {{"JOB", "RANKS", "STATE", "AGE", "PARENT", "CLIENT", "COMMAND"}};
  for (const DvmJob& job : view.jobs) {
    std::string ranks = std::to_string(job.live);
    if (job.live != job.ranks) ranks += "/" + std::to_string(job.ranks);
    rows.push_back({std::to_string(job.number), ranks, NameOf(kJobStates, job.state),
                    AgeText(job.age), ParentText(job), PidText(job.client_pid),
                    CommandText(job.command)});
  }
  return Table(rows);
}

std::string RanksText(const DvmView& view) {
  std::vector<Row> rows = {{"JOB", "RANK", "NODE", "PID", "STATE", "BIRTH", "PARENT", "PROGRAM"}};
  for (const DvmRank& rank : view.ranks) {
    const DvmJob* job = FindJob(view, rank.job);
    rows.push_back({std::to_string(rank.job), std::to_string(rank.rank), Printable(rank.node),
                    PidText(rank.pid), EndText(rank), BirthText(rank),
                    job == nullptr ? "-" : ParentText(*job), Printable(rank.program)});
  }
  return Table(rows);
}

std::string TreeText(const DvmView& view) {
  const auto children = ByParent(view);
  std::multimap<JobNumber, const DvmRank*> ranks;
  for (const DvmRank& rank : view.ranks) ranks.emplace(rank.job, &rank);
  std::string text;
  const std::function<void(const DvmJob&, size_t)> show = [&](const DvmJob& job, size_t depth) {
    const std::string indent(depth * 2, ' ');
    text += indent + "job " + std::to_string(job.number) + ", " + NameOf(kJobStates, job.state) +
            " for " + AgeText(job.age) + ": " + CommandText(job.command) + "\n";
    const auto [first, last] = ranks.equal_range(job.number);
    for (auto at = first; at != last; ++at) {
      text += indent + "  " + RankLine(*at->second) + "\n";
      const auto [child, end] = children.equal_range({job.number, at->second->rank});
      for (auto each = child; each != end; ++each) show(*each->second, depth + 2);
    }
  };
  std::map<int64_t, std::vector<const DvmJob*>> of_tools;
  const auto [first, last] = children.equal_range({0U, 0U});
  for (auto at = first; at != last; ++at) {
    if (at->second->tool_pid != 0) {
      of_tools[at->second->tool_pid].push_back(at->second);
    } else {
      show(*at->second, 0);
    }
  }
  for (const auto& [pid, jobs] : of_tools) {
    text += "tool " + std::to_string(pid) + ": " + Printable(jobs[0]->tool_command) + "\n";
    for (const DvmJob* job : jobs) show(*job, 1);
  }
  return text;
}

std::string ListText(const std::vector<DvmRecord>& records) {
  std::vector<Row> rows = {{"NAME", "NODES", "SINCE", "HEAD PID", "VERSION"}};
  for (const DvmRecord& r : records) {
    rows.push_back({r.name, std::to_string(std::max<size_t>(r.dvm.nodes.size(), 1)),
                    TimeText(r.started_s), std::to_string(r.agent_pid), Printable(r.version)});
  }
  return Table(rows);
}

std::string RecordJson(const DvmRecord& record) { return Written(ToJson(record)); }

std::string StatusJson(const DvmStatus& s) {
  Json json = ToJson(s.record);
  json["state"] = NameOf(kDvmStates, s.state);
  json["up_ms"] = s.up.count();
  json["idle_ms"] = s.idle.count();
  json["idle_timeout_s"] = s.idle_timeout.count();
  json["jobs"] = s.jobs;
  json["jobs_ever"] = s.jobs_ever;
  Json nodes = Json::array();
  for (const DvmNode& node : s.nodes) {
    nodes.push_back({{"name", node.name},
                     {"slots", node.slots},
                     {"used", node.used},
                     {"cores", node.cores},
                     {"state", node.lost ? "lost" : "up"}});
  }
  json["nodes"] = std::move(nodes);
  return Written(json);
}

std::string JobsJson(const DvmView& view) {
  Json jobs = Json::array();
  for (const DvmJob& job : view.jobs) jobs.push_back(ToJson(job));
  return Written({{"dvm", view.status.record.name}, {"jobs", std::move(jobs)}});
}

std::string RanksJson(const DvmView& view) {
  Json ranks = Json::array();
  for (const DvmRank& rank : view.ranks) ranks.push_back(ToJson(rank, FindJob(view, rank.job)));
  return Written({{"dvm", view.status.record.name}, {"ranks", std::move(ranks)}});
}

std::string TreeJson(const DvmView& view) {
  const auto children = ByParent(view);
  std::multimap<JobNumber, const DvmRank*> ranks;
  for (const DvmRank& rank : view.ranks) ranks.emplace(rank.job, &rank);
  const std::function<Json(const DvmJob&)> show = [&](const DvmJob& job) {
    Json out = ToJson(job);
    Json list = Json::array();
    const auto [first, last] = ranks.equal_range(job.number);
    for (auto at = first; at != last; ++at) {
      Json rank = ToJson(*at->second, &job);
      Json below = Json::array();
      const auto [child, end] = children.equal_range({job.number, at->second->rank});
      for (auto each = child; each != end; ++each) below.push_back(show(*each->second));
      rank["jobs"] = std::move(below);
      list.push_back(std::move(rank));
    }
    out["rank_list"] = std::move(list);
    return out;
  };
  Json jobs = Json::array();
  const auto [first, last] = children.equal_range({0U, 0U});
  for (auto at = first; at != last; ++at) jobs.push_back(show(*at->second));
  return Written({{"dvm", view.status.record.name}, {"jobs", std::move(jobs)}});
}

std::string ListJson(const std::vector<DvmRecord>& records) {
  Json dvms = Json::array();
  for (const DvmRecord& record : records) dvms.push_back(ToJson(record));
  return Written({{"dvms", std::move(dvms)}});
}

std::string DoneJson(bool done, const std::string& text) {
  return Written({{"done", done}, {"text", text}});
}

}  // namespace rex
