#include "launcher/ranks/fabric_probe.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "launcher/base/fd.h"
#include "launcher/ranks/env_list.h"

namespace rex {

namespace {
constexpr std::string_view kEnvPrefix = "OMPI_MCA_";
constexpr size_t kMaxParamFileBytes = 1 << 20;

#if defined(__x86_64__)
constexpr std::string_view kLibDir = "/usr/lib/x86_64-linux-gnu";
#elif defined(__aarch64__)
constexpr std::string_view kLibDir = "/usr/lib/aarch64-linux-gnu";
#elif defined(__powerpc64__)
constexpr std::string_view kLibDir = "/usr/lib/powerpc64le-linux-gnu";
#elif defined(__riscv)
constexpr std::string_view kLibDir = "/usr/lib/riscv64-linux-gnu";
#elif defined(__s390x__)
constexpr std::string_view kLibDir = "/usr/lib/s390x-linux-gnu";
#else
#error "name this processor's library directory (dpkg-architecture -qDEB_HOST_MULTIARCH) here"
#endif
constexpr std::string_view kPluginDir = "/openmpi/lib/openmpi3";

// ---- reading ----

std::optional<std::vector<std::string>> ListDir(const std::string& path) {
  struct DirClose {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, DirClose> dir(::opendir(path.c_str()));
  if (!dir) return std::nullopt;
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool AnyStartsWith(const std::optional<std::vector<std::string>>& names, std::string_view prefix) {
  return names && std::any_of(names->begin(), names->end(), [prefix](const std::string& name) {
           return name.starts_with(prefix);
         });
}

// Files that the kernel module makes without any device are not devices.
bool HasDevice(const std::optional<std::vector<std::string>>& names) {
  return names && std::any_of(names->begin(), names->end(), [](const std::string& name) {
           return name != "abi_version" && name != "rdma_cm";
         });
}

std::set<std::string> MtlComponents(const std::vector<std::string>& plugins) {
  constexpr std::string_view kPrefix = "mca_mtl_";
  constexpr std::string_view kSuffix = ".so";
  std::set<std::string> names;
  for (const std::string& file : plugins) {
    if (!file.starts_with(kPrefix) || !file.ends_with(kSuffix)) continue;
    names.insert(file.substr(kPrefix.size(), file.size() - kPrefix.size() - kSuffix.size()));
  }
  return names;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\f\v";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// What Open MPI takes for a name; of anything else only it knows what it makes of it.
bool IsParameterName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  });
}

// ---- environment and lists ----

// A framework's setting: `a,b` includes, `^a,b` excludes.
struct Selection {
  bool readable = false;  // nothing but names
  bool excludes = false;
  std::vector<std::string> names;
};

Selection ParseSelection(std::string_view value) {
  Selection selection;
  selection.excludes = value.starts_with('^');
  if (selection.excludes) value.remove_prefix(1);
  selection.readable = !value.empty();
  for (size_t begin = 0; begin <= value.size();) {
    const size_t end = std::min(value.find(',', begin), value.size());
    const std::string_view name = Trim(value.substr(begin, end - begin));
    const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
    selection.readable &= plain;
    selection.names.emplace_back(name);
    begin = end + 1;
  }
  return selection;
}

bool Has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// ---- choosing ----

struct Component {
  const char* framework;
  const char* name;
  bool works;
  const char* lacking;
};

constexpr const char* kNoRdma = "no InfiniBand, RoCE, EFA or other RDMA device";

std::vector<Component> Components(const FabricFacts& facts) {
  // Without /sys nobody can say that there is no RDMA device.
  const bool rdma = facts.verbs || facts.other_rdma || !facts.sysfs;
  const bool verbs = facts.verbs || !facts.sysfs;
  const bool ofi = rdma || facts.omnipath || facts.infinipath;
  return {
      {"mtl", "psm", facts.infinipath, "no InfiniPath device (/dev/ipath*)"},
      {"mtl", "psm2", facts.omnipath, "no Omni-Path device (/dev/hfi1*)"},
      {"mtl", "ofi", ofi, kNoRdma},
      {"pml", "ucx", rdma || facts.gpu, kNoRdma},
      {"btl", "openib", verbs, "no InfiniBand or RoCE device"},
      {"btl", "ofi", ofi, kNoRdma},
      {"osc", "ucx", rdma || facts.gpu, kNoRdma},
  };
}

// Frameworks whose inclusion lists tell what somebody wants, ours and OpenSHMEM's.
constexpr std::array kFrameworks = {"pml", "mtl", "btl", "osc", "spml", "atomic", "sshmem"};

// Variables by which a user steers the library under a component.
constexpr std::array<std::pair<const char*, const char*>, 6> kSteering = {
    {{"FI_PROVIDER", "ofi"},
     {"UCX_TLS", "ucx"},
     {"UCX_NET_DEVICES", "ucx"},
     {"UCX_PROTOS", "ucx"},
     {"PSM_DEVICES", "psm"},
     {"PSM2_DEVICES", "psm2"}}};

// Settings that make Open MPI read other parameter files, or come from another installation.
constexpr std::array kElsewhere = {"OPAL_PREFIX",
                                   "OPAL_SYSCONFDIR",
                                   "OPAL_PKGLIBDIR",
                                   "OMPI_MCA_mca_base_param_files",
                                   "OMPI_MCA_mca_param_files",
                                   "OMPI_MCA_mca_base_override_param_file",
                                   "OMPI_MCA_mca_base_param_file_prefix",
                                   "OMPI_MCA_mca_base_envar_file_prefix"};

class Chooser {
 public:
  Chooser(const FabricFacts& facts, const McaFiles& files, const std::vector<std::string>& env)
      : facts_(facts), files_(files), env_(env), components_(Components(facts)) {
    CollectWishes();
  }

  FabricSettings Choose() {
    for (const char* framework : {"mtl", "btl", "osc", "pml"}) ChooseFramework(framework);
    return std::move(settings_);
  }

 private:
  // The file setting that counts when the environment has none.
  const McaFiles::Setting* FileSetting(const std::string& name) const {
    const auto it = files_.settings.find(name);
    return it == files_.settings.end() ? nullptr : &it->second;
  }

  void Want(std::string_view component, std::string why) {
    wanted_.emplace(std::string(component), std::move(why));
  }

  void CollectWishes() {
    for (const char* framework : kFrameworks) {
      const std::string name = std::string(kEnvPrefix) + framework;
      if (const auto value = ValueOf(env_, name)) {
        WantIncluded(*value, name + "=" + std::string(*value));
      } else if (const auto* setting = FileSetting(framework)) {
        WantIncluded(setting->value,
                     std::string(framework) + " = " + setting->value + " in " + setting->file);
      }
    }
    for (const std::string& entry : env_) {
      if (entry.starts_with(kEnvPrefix)) {
        const std::string_view name = std::string_view(entry).substr(kEnvPrefix.size());
        WantTuned(name.substr(0, name.find('=')), entry);
      }
    }
    for (const auto& [name, setting] : files_.settings) {
      WantTuned(name, name + " = " + setting.value + " in " + setting.file);
    }
    for (const auto& [variable, component] : kSteering) {
      if (ValueOf(env_, variable)) Want(component, std::string(variable) + " in the environment");
    }
  }

  void WantIncluded(std::string_view value, const std::string& why) {
    const Selection selection = ParseSelection(value);
    if (selection.excludes) return;
    for (const std::string& component : selection.names) Want(component, why);
  }

  // A parameter of one component: who sets it wants the component.
  void WantTuned(std::string_view parameter, const std::string& why) {
    if (parameter.starts_with("opal_common_ucx_")) Want("ucx", why);
    if (parameter.starts_with("pml_cm_")) Want("cm", why);
    for (const Component& c : components_) {
      const std::string prefix = std::string(c.framework) + "_" + c.name + "_";
      if (parameter.starts_with(prefix)) Want(c.name, why);
    }
  }

  void Explain(std::string line) { settings_.explanations.push_back(std::move(line)); }

  // Why the whole framework is not to be touched; empty: it may be.
  std::string WhyLeftAlone(const std::string& framework) const {
    const std::string variable = std::string(kEnvPrefix) + framework;
    if (const auto value = ValueOf(env_, variable)) {
      return variable + "=" + std::string(*value) + " is in the environment";
    }
    if (files_.overridden.contains(framework)) return "the site's override file sets it";
    const auto cm = wanted_.find("cm");
    if (framework == "mtl" && cm != wanted_.end()) return "pml cm is asked for by " + cm->second;
    const auto* setting = FileSetting(framework);
    if (setting == nullptr) return "";
    const Selection selection = ParseSelection(setting->value);
    if (selection.excludes && selection.readable) return "";
    return setting->file + " sets " + framework + " = " + setting->value;
  }

  void ChooseFramework(const std::string& framework) {
    std::vector<std::pair<std::string, std::string>> useless;  // name, why
    for (const Component& c : components_) {
      if (framework == c.framework && !c.works) useless.emplace_back(c.name, c.lacking);
    }
    if (framework == "pml" && NoMtlWorks()) {
      useless.emplace_back("cm", "no mtl component can work here");
    }
    if (useless.empty()) return;
    if (const std::string why = WhyLeftAlone(framework); !why.empty()) {
      Explain(framework + " left alone: " + why);
      return;
    }
    const auto* setting = FileSetting(framework);
    std::vector<std::string> excluded;
    if (setting != nullptr) excluded = ParseSelection(setting->value).names;
    const size_t excluded_by_file = excluded.size();
    for (const auto& [name, why] : useless) Exclude(framework, name, why, excluded);
    if (framework == "mtl") mtl_excluded_ = excluded;
    if (excluded.size() == excluded_by_file) return;
    settings_.env.push_back(std::string(kEnvPrefix) + framework + "=^" + Join(excluded));
  }

  void Exclude(const std::string& framework, const std::string& name, const std::string& why,
               std::vector<std::string>& excluded) {
    if (Has(excluded, name)) return;  // by the file already
    const auto wish = wanted_.find(name);
    if (wish != wanted_.end()) {
      Explain(framework + " " + name + " left alone: " + wish->second);
      return;
    }
    excluded.push_back(name);
    Explain(framework + " " + name + " excluded: " + why);
  }

  // After mtl was chosen. With all of them out, cm can only fail; without cm the framework is not
  // even opened. Somebody else's components, or a wish for any mtl, keep cm.
  bool NoMtlWorks() const {
    if (ValueOf(env_, "OMPI_MCA_mca_base_component_path") ||
        ValueOf(env_, "OMPI_MCA_mca_component_path") || files_.own_components ||
        FileSetting("mca_base_component_path") != nullptr ||
        FileSetting("mca_component_path") != nullptr) {
      return false;
    }
    return std::all_of(facts_.mtl_components->begin(), facts_.mtl_components->end(),
                       [this](const std::string& name) { return Has(mtl_excluded_, name); });
  }

  static std::string Join(const std::vector<std::string>& names) {
    std::string joined;
    for (const std::string& name : names) joined += (joined.empty() ? "" : ",") + name;
    return joined;
  }

  const FabricFacts& facts_;
  const McaFiles& files_;
  const std::vector<std::string>& env_;
  const std::vector<Component> components_;
  std::map<std::string, std::string> wanted_;  // component, who asks
  std::vector<std::string> mtl_excluded_;
  FabricSettings settings_;
};

// Why nothing may be excluded at all; empty: it may.
std::string WhyHandsOff(const FabricFacts& facts, const McaFiles& files,
                        const std::vector<std::string>& env, bool foreign_libmpi) {
  if (!facts.mtl_components) return "the distribution's Open MPI is not installed";
  if (foreign_libmpi) return "LD_LIBRARY_PATH has an Open MPI of its own";
  if (!files.unclear.empty()) return files.unclear;
  for (const char* name : kElsewhere) {
    if (ValueOf(env, name)) return std::string(name) + " is in the environment";
  }
  for (const char* name : {"mca_base_param_files", "mca_param_files", "mca_base_param_file_prefix",
                           "mca_base_envar_file_prefix"}) {
    const auto setting = files.settings.find(name);
    if (setting != files.settings.end()) return setting->second.file + " sets " + name;
  }
  return "";
}
}  // namespace

FabricFacts ReadFabricFacts(const std::string& root) {
  FabricFacts facts;
  const auto dev = ListDir(root + "/dev");
  const auto infiniband = ListDir(root + "/sys/class/infiniband");
  facts.sysfs = Exists(root + "/sys/class/net");
  facts.infinipath = AnyStartsWith(dev, "ipath");
  facts.omnipath = AnyStartsWith(dev, "hfi1") || AnyStartsWith(infiniband, "hfi1");
  facts.verbs = HasDevice(infiniband) || HasDevice(ListDir(root + "/sys/class/infiniband_verbs")) ||
                HasDevice(ListDir(root + "/dev/infiniband"));
  facts.other_rdma = HasDevice(ListDir(root + "/sys/class/cxi")) || AnyStartsWith(dev, "kgni") ||
                     AnyStartsWith(dev, "cxi");
  facts.gpu = AnyStartsWith(dev, "nvidia") || AnyStartsWith(dev, "kfd");
  const auto plugins = ListDir(root + std::string(kLibDir) + std::string(kPluginDir));
  if (plugins) facts.mtl_components = MtlComponents(*plugins);
  return facts;
}

void ParseMcaFile(const std::string& text, const std::string& file, McaFiles& into) {
  int number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = Trim(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.empty() || line.starts_with('#') || line.starts_with("//")) continue;
    const size_t equals = line.find('=');
    const std::string_view name = Trim(line.substr(0, equals));
    if (equals == line.npos || !IsParameterName(name)) {
      into.unclear = file + " line " + std::to_string(number) + " is not of the form name = value";
      return;
    }
    into.settings[std::string(name)] = {std::string(Trim(line.substr(equals + 1))), file};
  }
}

McaFiles ReadMcaFiles(const std::string& home, const std::string& root) {
  McaFiles files;
  const auto read = [&root](const std::string& path, McaFiles& into) {
    // What can't be read by us can't be read by the ranks either.
    if (const Result<std::string> text = ReadFile(root + path, kMaxParamFileBytes)) {
      ParseMcaFile(*text, path, into);
    } else if (text.error().code == Errc::kInvalid) {
      into.unclear = text.error().text;
    }
  };
  read("/etc/openmpi/openmpi-mca-params.conf", files);
  if (!home.empty()) {
    read(home + "/.openmpi/mca-params.conf", files);
    files.own_components = Exists(root + home + "/.openmpi/components");
  }
  McaFiles override_file;
  read("/etc/openmpi/openmpi-mca-params-override.conf", override_file);
  for (const auto& [name, setting] : override_file.settings) files.overridden.insert(name);
  if (!override_file.unclear.empty()) files.unclear = override_file.unclear;
  return files;
}

bool HasForeignLibmpi(const std::vector<std::string>& env, const std::string& root) {
  const std::string path(ValueOf(env, "LD_LIBRARY_PATH").value_or(""));
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find_first_of(":;", begin), path.size());
    const std::string dir = path.substr(begin, end - begin);
    begin = end + 1;
    if (!dir.starts_with('/') || dir.starts_with(kLibDir)) continue;
    if (Exists(root + dir + "/libmpi.so.40")) return true;
  }
  return false;
}

FabricSettings ChooseComponents(const FabricFacts& facts, const McaFiles& files,
                                const std::vector<std::string>& env, bool foreign_libmpi) {
  if (std::string why = WhyHandsOff(facts, files, env, foreign_libmpi); !why.empty()) {
    return {{}, {"no component excluded: " + why}};
  }
  return Chooser(facts, files, env).Choose();
}

}  // namespace rex
