#include "launcher/cli/dvm/choose_dvm.h"

#include "launcher/base/dvm_place.h"
#include "launcher/cli/dvm/coverage.h"
#include "launcher/cli/dvm/dvm_client.h"
#include "launcher/cli/dvm/inherited.h"

namespace rex {

namespace {

// "default" without being asked for it. Empty: none.
struct Wanted {
  std::string name;
  std::string asked_by;  // for messages; empty: nobody
};

Wanted WantedOf(const CommandLine& line, const Environment& env) {
  if (line.dvm == "none") return {};
  if (!line.dvm.empty()) return {line.dvm, "option '--dvm'"};
  const auto variable = FindVariable(env, "REX_DVM");
  if (!variable || variable->empty()) return {std::string(kDefaultDvmName), ""};
  if (*variable == "none") return {};
  return {std::string(*variable), "the environment variable REX_DVM"};
}

// Not used, and why: an error when it was asked for.
Result<DvmChoice> Without(const Wanted& wanted, const std::string& why, bool tell_all = false) {
  const std::string text = "DVM '" + wanted.name + "' is not used: " + why;
  if (!wanted.asked_by.empty()) {
    return Error{Errc::kInvalid,
                 wanted.asked_by + ": DVM '" + wanted.name + "' can't be used: " + why};
  }
  DvmChoice choice;
  (tell_all ? choice.note : choice.detail) = text;
  return choice;
}

Result<DvmChoice> Absent(const Wanted& wanted) {
  if (wanted.asked_by.empty()) return DvmChoice{};
  return Error{Errc::kInvalid, wanted.asked_by + ": no DVM '" + wanted.name +
                                   "' runs here; 'rexctl start --name " + wanted.name +
                                   "' starts one"};
}

Result<DvmChoice> Attach(const Wanted& wanted, UniqueFd socket, DvmChoice choice) {
  auto connection = DvmConnection::Over(std::move(socket), kHelloPatience);
  if (!connection && connection.error().code == Errc::kNotFound) return Absent(wanted);
  if (!connection) {
    return Without(wanted, connection.error().text, connection.error().code == Errc::kTimeout);
  }
  choice.job->may_decline = wanted.asked_by.empty();
  choice.name = wanted.name;
  choice.detail = "the job runs in DVM '" + wanted.name + "'";
  choice.socket = connection->Release();
  return choice;
}

}  // namespace

Result<DvmChoice> ChooseDvm(const CommandLine& line, const Environment& env, const NodePool& pool,
                            const Surroundings& here) {
  const Wanted wanted = WantedOf(line, env);
  if (wanted.name.empty()) return DvmChoice{};
  if (!IsDvmName(wanted.name)) {
    return Error{Errc::kInvalid, wanted.asked_by + ": '" + wanted.name +
                                     "' is no name of a DVM; use letters, digits, '.', '_', '-'"};
  }
  const auto dir = DvmDirectory(DvmLink(wanted.name));
  if (!dir && dir.error().code == Errc::kNotFound) return Absent(wanted);
  if (!dir) return Without(wanted, dir.error().text, true);
  // First of all: the head says Hello while the job is made.
  auto socket = ConnectToDvm(*dir);
  if (!socket && socket.error().code == Errc::kNotFound) {
    RemoveStaleDvm(DvmLink(wanted.name));
    return Absent(wanted);
  }
  if (!socket) return Without(wanted, socket.error().text, true);
  const auto found = ReadDvm(wanted.name, *dir);
  if (!found && found.error().code == Errc::kNotFound) return Absent(wanted);
  if (!found) return Without(wanted, found.error().text, true);
  const CoverageQuestion question{line, pool, found->record, std::string(kProtocolVersion),
                                  OwnInherited()};
  if (const auto uncovered = WhyUncovered(question)) {
    return Without(wanted, uncovered->why, uncovered->is_version);
  }
  DvmChoice choice;
  auto job = MakeDvmJobSpec(question, here, env, &choice.warnings);
  if (!job) return Without(wanted, job.error().text);
  choice.job = *std::move(job);
  return Attach(wanted, *std::move(socket), std::move(choice));
}

}  // namespace rex
