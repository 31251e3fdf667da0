#include "launcher/tree/start_command.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace rex {

namespace {

constexpr int kAlivesMissed = 8;  // then ssh gives up, after about the node timeout

// Characters that no login shell gives a meaning to, anywhere in a word that starts with / or --.
bool IsPlain(unsigned char c) {
  return c >= 0x80 || std::isalnum(c) != 0 ||
         std::string_view("_@%+=:,./-").find(static_cast<char>(c)) != std::string_view::npos;
}

bool IsControl(unsigned char c) { return c < 0x20 || c == 0x7f; }

bool HasControl(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return IsControl(c); });
}

Error Invalid(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

std::vector<std::string> JoinWords(const NodeSpec& node, const TreeOptions& options) {
  std::vector<std::string> words = {options.rexd, "--join", "--node-name=" + node.name};
  if (options.kind == BootstrapKind::kVirtual) words.emplace_back("--virtual");
  if (options.verbose) words.emplace_back("--verbose");
  if (!options.log_level.empty()) words.push_back("--log-level=" + options.log_level);
  return words;
}

void AddOpenSshOptions(const TreeOptions& options, std::vector<std::string>* argv) {
  using std::to_string;
  // A second less than our own bound, so that ssh can still say what it waited for.
  const auto connect = std::max<int64_t>(1, options.start_timeout.count() - 1);
  const auto alive = std::max<int64_t>(1, options.node_timeout.count() / kAlivesMissed);
  argv->insert(argv->end(), {"-T", "-x"});
  for (const std::string& option :
       {std::string("BatchMode=yes"), "ConnectTimeout=" + to_string(connect),
        "ServerAliveInterval=" + to_string(alive),
        "ServerAliveCountMax=" + to_string(kAlivesMissed), std::string("ClearAllForwardings=yes"),
        std::string("ControlMaster=no"), std::string("UpdateHostKeys=no")}) {
    argv->insert(argv->end(), {"-o", option});
  }
}

Status CheckNode(const NodeSpec& node) {
  const std::string host = BareHost(node.name);
  if (host.empty() || HasControl(host) || host.find(' ') != std::string::npos || host[0] == '-') {
    return Invalid("'" + node.name + "' is no host name");
  }
  if (HasControl(node.user) || node.user.starts_with('-')) {
    return Invalid("'" + node.user + "' is no user name");
  }
  return Ok{};
}

Result<std::vector<std::string>> RemoteCommand(const NodeSpec& node, const TreeOptions& options,
                                               const std::vector<std::string>& words) {
  if (const Status good = CheckNode(node); !good) return good.error();
  if (options.ssh.empty() || options.ssh.front().empty()) {
    return Invalid("no remote shell command is given");
  }
  std::vector<std::string> argv = options.ssh;
  const bool open_ssh = IsOpenSsh(options.ssh);
  if (open_ssh) AddOpenSshOptions(options, &argv);
  if (node.port != 0) {
    if (!open_ssh) return Invalid("'" + options.ssh.front() + "' is not ssh and takes no port");
    argv.insert(argv.end(), {"-p", std::to_string(node.port)});
  }
  if (!node.user.empty()) argv.insert(argv.end(), {"-l", node.user});
  argv.push_back(BareHost(node.name));
  for (const std::string& word : words) {
    auto quoted = RemoteShellWord(word);
    if (!quoted) return quoted.error();
    argv.push_back(std::move(*quoted));
  }
  return argv;
}

}  // namespace

std::string BareHost(const std::string& name) {
  const bool bracketed = name.size() > 2 && name.front() == '[' && name.back() == ']';
  return bracketed ? name.substr(1, name.size() - 2) : name;
}

std::string LoginWords(const NodeSpec& node) {
  const std::string port = node.port == 0 ? "" : "-p " + std::to_string(node.port) + " ";
  return port + (node.user.empty() ? "" : node.user + "@") + BareHost(node.name);
}

bool IsOpenSsh(const std::vector<std::string>& words) {
  if (words.empty()) return false;
  const std::string& program = words.front();
  return program.substr(program.rfind('/') + 1) == "ssh";
}

Result<std::string> RemoteShellWord(const std::string& word) {
  if (word.empty() || HasControl(word)) {
    return Invalid("'" + word + "' can't be passed through a remote shell");
  }
  std::string quoted;
  for (const char c : word) {
    if (!IsPlain(static_cast<unsigned char>(c))) quoted += '\\';
    quoted += c;
  }
  return quoted;
}

Result<std::vector<std::string>> StartCommand(const NodeSpec& node, const TreeOptions& options) {
  if (!options.rexd.starts_with('/')) {
    return Invalid("the path of rexd, '" + options.rexd + "', is not absolute");
  }
  std::vector<std::string> join = JoinWords(node, options);
  if (options.kind == BootstrapKind::kVirtual) return join;
  return RemoteCommand(node, options, join);
}

Result<std::vector<std::string>> ShipCommand(const NodeSpec& node, const TreeOptions& options,
                                             const std::string& script) {
  std::vector<std::string> words = JoinWords(node, options);
  words[0] = "rex-ship";  // $0; the directory is chosen there
  words.insert(words.begin(), {"/bin/sh", "-c", script});
  return RemoteCommand(node, options, words);
}

}  // namespace rex
