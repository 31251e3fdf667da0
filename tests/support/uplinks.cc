#include "tests/support/uplinks.h"

#include <set>
#include <sstream>

namespace rex::testing {

namespace {

// A line of ss -H: the words of an established connection, or of a port that is listened on.
struct Line {
  std::string local_port;
  std::string remote_port;
  std::string users;
};

std::string PortOf(const std::string& address) { return address.substr(address.rfind(':') + 1); }

// `-tnpH` with `state established` has no column for the state.
std::vector<Line> LinesOf(const std::string& out, bool with_state) {
  std::vector<Line> lines;
  std::istringstream stream(out);
  for (std::string text; std::getline(stream, text);) {
    std::istringstream words(text);
    std::string word;
    std::string local;
    std::string remote;
    std::string users;
    if (with_state) words >> word;
    words >> word >> word >> local >> remote >> users;
    if (!remote.empty()) lines.push_back({PortOf(local), PortOf(remote), users});
  }
  return lines;
}

std::vector<Line> LinesOfHosts(const RunSs& ss) {
  std::set<std::string> ports;
  for (const Line& line : LinesOf(ss({"-tlnpH"}).out, true)) {
    if (line.users.find("\"rexd-agent\"") != std::string::npos) ports.insert(line.local_port);
  }
  std::vector<Line> lines = LinesOf(ss({"-tnpH", "state", "established"}).out, false);
  std::erase_if(lines, [&](const Line& line) {
    return line.users.find("\"rexd-pmix\"") == std::string::npos ||
           !ports.contains(line.remote_port);
  });
  return lines;
}

}  // namespace

std::optional<Uplink> UplinkOf(pid_t host, const RunSs& ss) {
  const std::string user = "pid=" + std::to_string(host) + ",";
  for (const Line& line : LinesOfHosts(ss)) {
    if (line.users.find(user) != std::string::npos) {
      return Uplink{line.local_port, line.remote_port};
    }
  }
  return std::nullopt;
}

size_t CountUplinks(const RunSs& ss) { return LinesOfHosts(ss).size(); }

bool CutUplink(const Uplink& uplink, const RunSs& ss) {
  const CommandResult result =
      ss({"-K", "-tnH", "state", "established", "sport", "=", ":" + uplink.local_port, "and",
          "dport", "=", ":" + uplink.remote_port});
  return result.exit_code == 0 && !result.out.empty();
}

}  // namespace rex::testing
