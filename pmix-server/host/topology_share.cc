#include "pmix-server/host/topology_share.h"

#include <fcntl.h>
#include <hwloc/shmem.h>
#include <unistd.h>

#include <cerrno>

#include "launcher/base/fd.h"
#include "launcher/base/log.h"

namespace rex::pmix {

namespace {

// Where every process maps the image. An address that is free in ordinary programs: on x86-64 and
// on aarch64 with 48 address bits the program and its heap are above 0x550000000000 or (without
// PIE) below 0x000200000000, libraries and stacks above 0x7e0000000000, and address sanitizer's
// shadow is below 0x100080000000. A process that has something there reads the XML instead.
constexpr uint64_t kAddress = 0x3a0000000000;

std::nullopt_t NotShared(const char* step) {
  if (LogEnabled(LogLevel::kInfo)) {
    const Error why = Error::FromErrno(errno, step);
    Log(LogLevel::kInfo, "topology not in shared memory: reason='" + why.text + "'");
  }
  return std::nullopt;
}

}  // namespace

std::optional<TopologyImage> WriteTopologyImage(hwloc_topology_t topology,
                                                const std::string& file) {
  size_t bytes = 0;
  if (hwloc_shmem_topology_get_length(topology, &bytes, 0) != 0) return NotShared("measure");
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return NotShared("create the file");
  // Through a mapping of a file without blocks a full disk is SIGBUS.
  if (const int err = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes)); err != 0) {
    errno = err;
    auto result = NotShared("make room");
    ::unlink(file.c_str());
    return result;
  }
  // hwloc maps the file here too, to write pointers that are right in every process.
  if (hwloc_shmem_topology_write(topology, fd.get(), 0, reinterpret_cast<void*>(kAddress), bytes,
                                 0) != 0) {
    auto result = NotShared("write");
    ::unlink(file.c_str());
    return result;
  }
  return TopologyImage{file, kAddress, bytes};
}

}  // namespace rex::pmix
