// An image as the head describes it, and the messages of its transfer, as validated C++ types.
// image.proto has the encoding, docs/design/image.md the order. FromWire is the only place where
// what a peer sent is believed.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "launcher/base/node_id.h"
#include "launcher/image/digest.h"
#include "launcher/image/geometry.h"

namespace rex {

inline constexpr size_t kMaxImageFiles = 1 << 14;
inline constexpr size_t kMaxImagePathBytes = 4096;
inline constexpr size_t kMaxImageApps = 1024;
inline constexpr uint64_t kMaxImageBlocks = 1 << 22;  // 1 TB

enum class StoreKind : uint8_t { kMemory, kDisk, kDirectory };

struct StoreOptions {
  StoreKind kind = StoreKind::kMemory;
  std::string directory;    // kDirectory: absolute
  uint64_t most_bytes = 0;  // 0: half of the file system
  bool operator==(const StoreOptions&) const = default;
};

struct ImageFile {
  std::string path;
  std::string place;  // below the image's directory; absolute, without "." and ".."
  FileDigest digest;
  bool executable = false;
  bool system = false;
  bool in_session = false;
};
struct ImageApp {
  int program = -1;  // index into files; -1: the node finds it itself
  std::vector<uint32_t> libraries;
  int interpreter = -1;  // of a script, likewise; its libraries are `libraries` then
  std::vector<std::string> interpreter_words;  // its argv before the script's path
  std::string openmpi_prefix;  // of an Open MPI that belongs to the program; empty: none does
};
struct Image {
  std::vector<ImageFile> files;
  std::vector<ImageApp> apps;
  bool always = false;
  std::chrono::milliseconds hold{10'000};
  StoreOptions store;
  bool private_copies = false;
  std::string fault;  // staging/fault.h

  Geometry MakeGeometry() const;
  uint64_t bytes() const;
};

using TransferId = std::array<uint8_t, 16>;

struct ImageNeed {
  uint64_t job = 0;  // ImageKey
  BlockSet wanted;
  uint16_t port = 0;
  std::vector<std::string> addresses;
};
struct ImageRoute {
  uint64_t job = 0;  // ImageKey
  TransferId transfer{};
  BlockSet coming;
  NodeId source{};
  std::string source_name;
  uint16_t port = 0;  // 0: pieces come over the tree
  std::vector<std::string> addresses;
  std::vector<NodeId> followers;
};
struct ImageRepair {
  uint64_t job = 0;  // ImageKey
  TransferId transfer{};
  BlockSet missing;
  std::string why;
};
struct ImageCast {
  uint64_t job = 0;  // ImageKey
  TransferId transfer{};
  uint32_t group = 0;  // IPv4, host order; a multicast address
  uint16_t port = 0;
  BlockSet coming;
};
struct ImageHeard {
  uint64_t job = 0;  // ImageKey
  uint32_t probe = 0;
};
struct ImageGaps {
  uint64_t job = 0;  // ImageKey
  uint32_t window = 0;
  uint32_t round = 0;
  std::vector<std::pair<uint32_t, uint64_t>> missing;  // piece, its fragments
};
inline constexpr size_t kMaxGaps = 4096;
struct ImageDone {
  uint64_t job = 0;  // ImageKey
  uint64_t received = 0;
  uint32_t damaged = 0;
};
struct ImageFailed {
  uint64_t job = 0;  // ImageKey; 0: `transfer` is all that is known
  std::string detail;
  std::string remedy;
  bool no_resources = false;
  TransferId transfer{};
};

// What messages call `job`: a job's number, and which of its copies on a node (--creation=single).
constexpr uint64_t ImageKey(uint32_t job, uint32_t copy) { return uint64_t{job} << 32 | copy; }
constexpr uint32_t JobOfImageKey(uint64_t key) { return static_cast<uint32_t>(key >> 32); }
// The key in a node's message of that kind. Errors: kProtocol.
Result<uint64_t> ImageKeyOf(uint8_t kind, const std::string& payload);

inline constexpr uint8_t kImageNeedKind = 48;
inline constexpr uint8_t kImageRouteKind = 49;
inline constexpr uint8_t kImageRepairKind = 50;
inline constexpr uint8_t kImageDoneKind = 51;
inline constexpr uint8_t kImageFailedKind = 52;
inline constexpr uint8_t kImagePieceKind = 53;  // class image; raw, seal.h
inline constexpr uint8_t kImageCastKind = 54;
inline constexpr uint8_t kImageHeardKind = 55;
inline constexpr uint8_t kImageGapsKind = 56;
inline constexpr uint8_t kFirstImageKind = kImageNeedKind;
inline constexpr uint8_t kLastImageKind = 63;

std::string ToWire(const Image& m);
std::string ToWire(const ImageNeed& m);
std::string ToWire(const ImageRoute& m);
std::string ToWire(const ImageRepair& m);
std::string ToWire(const ImageDone& m);
std::string ToWire(const ImageCast& m);
std::string ToWire(const ImageHeard& m);
std::string ToWire(const ImageGaps& m);
std::string ToWire(const ImageFailed& m);

// ImageFromWire<T>(payload): kProtocol names the field that is out of range.
template <typename T>
Result<T> ImageFromWire(const std::string& payload);

// `path` without "." and "..", by its words alone: "/a/./b/../c" is "/a/c".
std::string PlainPath(const std::string& path);

}  // namespace rex
