#include "librexspawn/find_dvm.h"

#include <pmix.h>
#include <pmix_tool.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "launcher/base/dvm_place.h"
#include "launcher/base/text.h"

namespace rex {

namespace {

Error NotThere(const std::string& name) {
  return Error{Errc::kNotFound,
               "no DVM '" + name + "' runs here; 'rexctl start --name " + name + "' starts one"};
}

// Its head listens, and is ours: so what lies beside its socket is true.
Result<std::string> LiveDirectory(const std::string& name) {
  auto dir = DvmDirectory(DvmLink(name));
  if (!dir && dir.error().code == Errc::kNotFound) return NotThere(name);
  if (!dir) return dir;
  const auto socket = ConnectToDvm(*dir);
  if (!socket && socket.error().code == Errc::kNotFound) return NotThere(name);
  if (!socket) return socket.error();
  return dir;
}

Result<ServerPlace> PlaceOf(const std::string& name, const std::string& dir) {
  const std::string file = dir + "/" + kDvmRendezvousName;
  struct stat st {};
  if (::stat(file.c_str(), &st) != 0) {
    return Error{Errc::kNotFound, "DVM '" + name +
                                      "' takes no programs: it is still being started, "
                                      "or of an older version of rex"};
  }
  if (st.st_uid != ::geteuid()) {
    return Error{Errc::kPermission, "'" + file + "' is another user's"};
  }
  return ServerPlace{PMIX_TOOL_ATTACHMENT_FILE, file, "DVM '" + name + "'"};
}

Result<ServerPlace> Named(const std::string& name) {
  if (!IsDvmName(name)) {
    return Error{Errc::kInvalid,
                 "'" + name + "' is no name of a DVM; use letters, digits, '.', '_', '-'"};
  }
  const auto dir = LiveDirectory(name);
  return dir ? PlaceOf(name, *dir) : Result<ServerPlace>(dir.error());
}

Result<ServerPlace> TheOnlyOne() {
  std::vector<std::string> live;
  std::string place;
  for (const std::string& name : DvmNames(DvmRoot())) {
    const auto dir = LiveDirectory(name);
    if (!dir && dir.error().code != Errc::kNotFound) return dir.error();
    if (!dir) continue;
    live.push_back(name);
    place = *dir;
  }
  if (live.size() == 1) return PlaceOf(live[0], place);
  if (live.empty()) {
    return Error{Errc::kNotFound,
                 "no DVM of yours runs here; start one by 'rexctl start', or this program by "
                 "'rexlaunch -n 1 PROGRAM'"};
  }
  return Error{Errc::kInvalid, "several DVMs run here (" + Listed(live) +
                                   "): name one, in rexspawn_open_dvm or in REX_DVM"};
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Result<ServerPlace> FindServer(const char* dvm) {
  if (dvm != nullptr) return Named(dvm);
  if (const std::string uri = Variable("PMIX_SERVER_URI"); !uri.empty()) {
    return ServerPlace{PMIX_SERVER_URI, uri, "PMIX_SERVER_URI"};
  }
  if (const std::string file = Variable("PMIX_TOOL_ATTACHMENT_FILE"); !file.empty()) {
    return ServerPlace{PMIX_TOOL_ATTACHMENT_FILE, file, "PMIX_TOOL_ATTACHMENT_FILE"};
  }
  const std::string name = Variable("REX_DVM");
  return name.empty() || name == "none" ? TheOnlyOne() : Named(name);
}

}  // namespace rex
