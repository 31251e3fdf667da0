// Which Open MPI components cannot work on this node for lack of a device, so that ranks need not
// try them: opening psm and psm2 alone costs every MPI_Init 200 ms of waiting (measured, Open MPI
// 4.1.4 of Debian 12: 219 ms, without them 17 ms).
//
// Reading (two functions with I/O, microseconds each, to be called once per node) is apart from
// choosing (pure, once per app, because each app has its own environment).
//
// Never against a setting of the user or the site:
// - A framework that the environment names (OMPI_MCA_pml=..., also by --mca) is left alone, and so
//   is one that a parameter file gives an inclusion list or the site's override file names.
// - An exclusion list in a parameter file is kept: our value is its union with ours, because the
//   environment replaces the file's value.
// - A component that has a setting of its own (OMPI_MCA_mtl_ofi_...), is asked for by name
//   anywhere, or is steered by its library's variables (FI_PROVIDER, UCX_TLS) is left alone
//   everywhere.
// - Whoever asks for pml cm gets mpirun's behaviour: no mtl is excluded.
// - Parameter files other than the default ones, lines in them that we can't read, or an Open MPI
//   that is not the distribution's (OPAL_PREFIX, LD_LIBRARY_PATH), whose site file is unknown:
//   nothing at all is excluded.
// Not touched: OpenSHMEM's frameworks (spml, atomic, sshmem): UCX serves them without a device.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace rex {

// What is there, by names in /dev and /sys only; no device is opened.
struct FabricFacts {
  bool sysfs = false;       // /sys is mounted; without it the absence below says nothing
  bool infinipath = false;  // /dev/ipath*: psm
  bool omnipath = false;    // /dev/hfi1*, /sys/class/infiniband/hfi1*: psm2
  // /sys/class/infiniband, infiniband_verbs or /dev/infiniband has entries: InfiniBand, RoCE,
  // iWARP, EFA, usNIC: openib, ucx, ofi
  bool verbs = false;
  bool other_rdma = false;  // /sys/class/cxi (Slingshot), /dev/kgni0 (Aries): ofi, ucx
  bool gpu = false;         // /dev/nvidiactl, /dev/kfd: ucx moves GPU memory without a network
  // Names of the installed mtl components; nullopt: the distribution's Open MPI is not installed.
  std::optional<std::set<std::string>> mtl_components;
};
// `root` is prefixed to every path; for tests.
FabricFacts ReadFabricFacts(const std::string& root = "");

// The effective settings of Open MPI's parameter files.
struct McaFiles {
  struct Setting {
    std::string value;
    std::string file;
  };
  std::map<std::string, Setting> settings;
  std::set<std::string> overridden;  // names in the site's override file: the environment is moot
  std::string unclear;               // why the files can't be trusted; empty: all was understood
  bool own_components = false;       // `home`/.openmpi/components is there
};
// Reads `home`/.openmpi/mca-params.conf (an empty `home`: none) over
// /etc/openmpi/openmpi-mca-params.conf, and openmpi-mca-params-override.conf.
// Source: ompi_info, mca_base_param_files.
McaFiles ReadMcaFiles(const std::string& home, const std::string& root = "");

// Adds one file's settings; earlier ones of the same name are replaced. For ReadMcaFiles and tests.
void ParseMcaFile(const std::string& text, const std::string& file, McaFiles& into);

// Whether LD_LIBRARY_PATH of `env` has a libmpi that is not the distribution's. Does I/O.
bool HasForeignLibmpi(const std::vector<std::string>& env, const std::string& root = "");

struct FabricSettings {
  std::vector<std::string> env;           // OMPI_MCA_...=..., to add to the ranks' environment
  std::vector<std::string> explanations;  // one line each, for --verbose
};
// `env` is the ranks' environment as the user made it, with --mca already in it.
FabricSettings ChooseComponents(const FabricFacts& facts, const McaFiles& files,
                                const std::vector<std::string>& env, bool foreign_libmpi = false);

}  // namespace rex
