#include "launcher/image/image_messages.h"

#include <algorithm>
#include <cstring>

#include "launcher/image/image.pb.h"

namespace rex {

namespace {
constexpr size_t kMaxText = 8 << 10;
constexpr size_t kMaxAddresses = 64;
constexpr uint32_t kMaxHoldMs = 3'600'000;

Error Bad(const char* field) { return {Errc::kProtocol, std::string("bad field ") + field}; }

bool IsPlainPath(const std::string& path) {
  return path.size() <= kMaxImagePathBytes && path.size() > 1 && path[0] == '/' &&
         path.find('\0') == path.npos && PlainPath(path) == path;
}

template <typename M>
Result<M> Parse(const std::string& payload, const char* name) {
  M m;
  if (!m.ParseFromString(payload)) return Bad(name);
  return m;
}

Result<ImageFile> FileFromWire(const pb::ImageFile& m) {
  constexpr size_t kEach = sizeof(Digest256::bytes);
  ImageFile file;
  file.path = m.path();
  if (file.path.empty() || file.path[0] != '/' || file.path.size() > kMaxImagePathBytes ||
      file.path.find('\0') != file.path.npos) {
    return Bad("ImageFile.path");
  }
  file.place = m.place().empty() ? PlainPath(m.path()) : m.place();
  if (!IsPlainPath(file.place)) return Bad("ImageFile.place");
  if (BlocksOf(m.size()) > kMaxImageBlocks) return Bad("ImageFile.size");
  if (m.blocks().size() != BlocksOf(m.size()) * kEach) return Bad("ImageFile.blocks");
  file.digest.bytes = m.size();
  file.digest.blocks.resize(BlocksOf(m.size()));
  for (size_t i = 0; i < file.digest.blocks.size(); ++i) {
    std::memcpy(file.digest.blocks[i].bytes.data(), m.blocks().data() + i * kEach, kEach);
  }
  file.digest.whole = WholeDigest(file.digest.bytes, file.digest.blocks);
  file.executable = m.executable();
  file.system = m.system();
  file.in_session = m.in_session();
  return file;
}

Result<ImageApp> AppFromWire(const pb::ImageApp& m, size_t files) {
  ImageApp app;
  if (m.program() > files) return Bad("ImageApp.program");
  app.program = static_cast<int>(m.program()) - 1;
  app.libraries.assign(m.libraries().begin(), m.libraries().end());
  const bool good = std::all_of(app.libraries.begin(), app.libraries.end(),
                                [files](uint32_t index) { return index < files; });
  if (!good || app.libraries.size() > kMaxImageFiles) return Bad("ImageApp.libraries");
  if (m.interpreter() > files) return Bad("ImageApp.interpreter");
  app.interpreter = static_cast<int>(m.interpreter()) - 1;
  app.interpreter_words.assign(m.interpreter_words().begin(), m.interpreter_words().end());
  const size_t words = app.interpreter_words.size();
  if (app.interpreter < 0 ? words != 0 : words < 1 || words > 2 || app.program < 0) {
    return Bad("ImageApp.interpreter_words");
  }
  for (const std::string& word : app.interpreter_words) {
    if (word.size() > kMaxImagePathBytes || word.find('\0') != word.npos) {
      return Bad("ImageApp.interpreter_words");
    }
  }
  app.openmpi_prefix = m.openmpi_prefix();
  if (!app.openmpi_prefix.empty() && !IsPlainPath(app.openmpi_prefix)) {
    return Bad("ImageApp.openmpi_prefix");
  }
  return app;
}

Status TakeStore(const pb::Image& m, StoreOptions* store) {
  if (m.store_kind() > static_cast<uint32_t>(StoreKind::kDirectory)) return Bad("Image.store_kind");
  store->kind = static_cast<StoreKind>(m.store_kind());
  store->directory = m.store_dir();
  store->most_bytes = m.store_bytes();
  const bool named = store->kind == StoreKind::kDirectory;
  if (named ? !IsPlainPath(store->directory) : !store->directory.empty()) {
    return Bad("Image.store_dir");
  }
  return Ok{};
}

Result<TransferId> TransferFromWire(const std::string& bytes) {
  TransferId id;
  if (bytes.size() != id.size()) return Bad("transfer");
  std::memcpy(id.data(), bytes.data(), id.size());
  return id;
}

std::string Bytes(const TransferId& id) {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

Result<BlockSet> SetFromWire(const std::string& bytes, const char* field) {
  if (bytes.size() > kMaxImageBlocks / 8) return Bad(field);
  return BlockSet::FromBytes(bytes);
}

template <typename Field>
Result<std::vector<std::string>> AddressesFromWire(const Field& field, uint32_t port) {
  if (port > 65535) return Bad("port");
  if (field.size() > static_cast<int>(kMaxAddresses)) return Bad("addresses");
  std::vector<std::string> addresses(field.begin(), field.end());
  for (const std::string& address : addresses) {
    if (address.size() > 128) return Bad("addresses");
  }
  return addresses;
}
}  // namespace

Result<uint64_t> ImageKeyOf(uint8_t kind, const std::string& payload) {
  // Field 1 of every message that a node sends.
  pb::ImageDone m;
  if (kind < kFirstImageKind || kind > kLastImageKind || !m.ParseFromString(payload)) {
    return Bad("job");
  }
  return m.job();
}

std::string PlainPath(const std::string& path) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string word = path.substr(begin, end - begin);
    begin = end + 1;
    if (word.empty() || word == ".") continue;
    if (word != "..") {
      words.push_back(word);
    } else if (!words.empty()) {
      words.pop_back();
    }
  }
  std::string plain;
  for (const std::string& word : words) plain += "/" + word;
  return plain.empty() ? "/" : plain;
}

Geometry Image::MakeGeometry() const {
  std::vector<uint64_t> sizes;
  sizes.reserve(files.size());
  for (const ImageFile& file : files) sizes.push_back(file.digest.bytes);
  return Geometry(sizes);
}

uint64_t Image::bytes() const {
  uint64_t sum = 0;
  for (const ImageFile& file : files) sum += file.digest.bytes;
  return sum;
}

std::string ToWire(const Image& image) {
  pb::Image m;
  for (const ImageFile& file : image.files) {
    pb::ImageFile& f = *m.add_files();
    f.set_path(file.path);
    if (file.place != file.path) f.set_place(file.place);
    f.set_size(file.digest.bytes);
    std::string* blocks = f.mutable_blocks();
    for (const Digest256& block : file.digest.blocks) {
      blocks->append(reinterpret_cast<const char*>(block.bytes.data()), block.bytes.size());
    }
    f.set_executable(file.executable);
    f.set_system(file.system);
    f.set_in_session(file.in_session);
  }
  for (const ImageApp& app : image.apps) {
    pb::ImageApp& a = *m.add_apps();
    a.set_program(static_cast<uint32_t>(app.program + 1));
    for (const uint32_t library : app.libraries) a.add_libraries(library);
    a.set_interpreter(static_cast<uint32_t>(app.interpreter + 1));
    for (const std::string& word : app.interpreter_words) a.add_interpreter_words(word);
    a.set_openmpi_prefix(app.openmpi_prefix);
  }
  m.set_always(image.always);
  m.set_hold_ms(static_cast<uint32_t>(image.hold.count()));
  m.set_store_kind(static_cast<uint32_t>(image.store.kind));
  m.set_store_dir(image.store.directory);
  m.set_store_bytes(image.store.most_bytes);
  m.set_private_copies(image.private_copies);
  m.set_fault(image.fault);
  return m.SerializeAsString();
}

template <>
Result<Image> ImageFromWire<Image>(const std::string& payload) {
  const auto m = Parse<pb::Image>(payload, "Image");
  if (!m) return m.error();
  if (m->files_size() > static_cast<int>(kMaxImageFiles)) return Bad("Image.files");
  if (m->apps_size() > static_cast<int>(kMaxImageApps)) return Bad("Image.apps");
  if (m->hold_ms() > kMaxHoldMs) return Bad("Image.hold_ms");
  Image image;
  uint64_t blocks = 0;
  for (const pb::ImageFile& f : m->files()) {
    auto file = FileFromWire(f);
    if (!file) return file.error();
    blocks += file->digest.blocks.size();
    image.files.push_back(*std::move(file));
  }
  if (blocks > kMaxImageBlocks) return Bad("Image.files");
  for (const pb::ImageApp& a : m->apps()) {
    auto app = AppFromWire(a, image.files.size());
    if (!app) return app.error();
    image.apps.push_back(*std::move(app));
  }
  image.always = m->always();
  image.hold = std::chrono::milliseconds(m->hold_ms());
  image.private_copies = m->private_copies();
  if (m->fault().size() > kMaxText) return Bad("Image.fault");
  image.fault = m->fault();
  if (const Status store = TakeStore(*m, &image.store); !store) return store.error();
  return image;
}

std::string ToWire(const ImageNeed& need) {
  pb::ImageNeed m;
  m.set_job(need.job);
  m.set_wanted(need.wanted.bytes());
  m.set_port(need.port);
  for (const std::string& address : need.addresses) m.add_addresses(address);
  return m.SerializeAsString();
}

template <>
Result<ImageNeed> ImageFromWire<ImageNeed>(const std::string& payload) {
  const auto m = Parse<pb::ImageNeed>(payload, "ImageNeed");
  if (!m) return m.error();
  ImageNeed need;
  need.job = m->job();
  auto wanted = SetFromWire(m->wanted(), "ImageNeed.wanted");
  if (!wanted) return wanted.error();
  need.wanted = *std::move(wanted);
  auto addresses = AddressesFromWire(m->addresses(), m->port());
  if (!addresses) return addresses.error();
  need.port = static_cast<uint16_t>(m->port());
  need.addresses = *std::move(addresses);
  return need;
}

std::string ToWire(const ImageRoute& route) {
  pb::ImageRoute m;
  m.set_job(route.job);
  m.set_transfer(Bytes(route.transfer));
  m.set_coming(route.coming.bytes());
  m.set_from_head(route.source == kHeadNode);
  m.set_source(Index(route.source));
  m.set_source_name(route.source_name);
  m.set_port(route.port);
  for (const std::string& address : route.addresses) m.add_addresses(address);
  for (const NodeId follower : route.followers) m.add_followers(Index(follower));
  return m.SerializeAsString();
}

template <>
Result<ImageRoute> ImageFromWire<ImageRoute>(const std::string& payload) {
  const auto m = Parse<pb::ImageRoute>(payload, "ImageRoute");
  if (!m) return m.error();
  ImageRoute route;
  route.job = m->job();
  auto transfer = TransferFromWire(m->transfer());
  if (!transfer) return transfer.error();
  route.transfer = *transfer;
  auto coming = SetFromWire(m->coming(), "ImageRoute.coming");
  if (!coming) return coming.error();
  route.coming = *std::move(coming);
  if (m->source() >= kMaxNodes) return Bad("ImageRoute.source");
  route.source = NodeId{m->source()};
  if (m->source_name().size() > 256) return Bad("ImageRoute.source_name");
  route.source_name = m->source_name();
  auto addresses = AddressesFromWire(m->addresses(), m->port());
  if (!addresses) return addresses.error();
  route.port = static_cast<uint16_t>(m->port());
  route.addresses = *std::move(addresses);
  for (const uint32_t follower : m->followers()) {
    if (follower >= kMaxNodes) return Bad("ImageRoute.followers");
    route.followers.push_back(NodeId{follower});
  }
  return route;
}

std::string ToWire(const ImageRepair& repair) {
  pb::ImageRepair m;
  m.set_job(repair.job);
  m.set_transfer(Bytes(repair.transfer));
  m.set_missing(repair.missing.bytes());
  m.set_why(repair.why);
  return m.SerializeAsString();
}

template <>
Result<ImageRepair> ImageFromWire<ImageRepair>(const std::string& payload) {
  const auto m = Parse<pb::ImageRepair>(payload, "ImageRepair");
  if (!m) return m.error();
  ImageRepair repair;
  repair.job = m->job();
  auto transfer = TransferFromWire(m->transfer());
  if (!transfer) return transfer.error();
  repair.transfer = *transfer;
  auto missing = SetFromWire(m->missing(), "ImageRepair.missing");
  if (!missing) return missing.error();
  repair.missing = *std::move(missing);
  if (m->why().size() > kMaxText) return Bad("ImageRepair.why");
  repair.why = m->why();
  return repair;
}

std::string ToWire(const ImageDone& done) {
  pb::ImageDone m;
  m.set_job(done.job);
  m.set_received(done.received);
  m.set_damaged(done.damaged);
  return m.SerializeAsString();
}

template <>
Result<ImageDone> ImageFromWire<ImageDone>(const std::string& payload) {
  const auto m = Parse<pb::ImageDone>(payload, "ImageDone");
  if (!m) return m.error();
  return ImageDone{m->job(), m->received(), m->damaged()};
}

std::string ToWire(const ImageCast& cast) {
  pb::ImageCast m;
  m.set_job(cast.job);
  m.set_transfer(Bytes(cast.transfer));
  m.set_group(cast.group);
  m.set_port(cast.port);
  m.set_coming(cast.coming.bytes());
  return m.SerializeAsString();
}

template <>
Result<ImageCast> ImageFromWire<ImageCast>(const std::string& payload) {
  const auto m = Parse<pb::ImageCast>(payload, "ImageCast");
  if (!m) return m.error();
  auto transfer = TransferFromWire(m->transfer());
  if (!transfer) return transfer.error();
  if (m->group() >> 28 != 0xe) return Bad("ImageCast.group");  // 224.0.0.0/4
  if (m->port() == 0 || m->port() > 65535) return Bad("ImageCast.port");
  auto coming = SetFromWire(m->coming(), "ImageCast.coming");
  if (!coming) return coming.error();
  return ImageCast{m->job(), *transfer, m->group(), static_cast<uint16_t>(m->port()),
                   *std::move(coming)};
}

std::string ToWire(const ImageHeard& heard) {
  pb::ImageHeard m;
  m.set_job(heard.job);
  m.set_probe(heard.probe);
  return m.SerializeAsString();
}

template <>
Result<ImageHeard> ImageFromWire<ImageHeard>(const std::string& payload) {
  const auto m = Parse<pb::ImageHeard>(payload, "ImageHeard");
  if (!m) return m.error();
  return ImageHeard{m->job(), m->probe()};
}

std::string ToWire(const ImageGaps& gaps) {
  pb::ImageGaps m;
  m.set_job(gaps.job);
  m.set_window(gaps.window);
  m.set_round(gaps.round);
  for (const auto& [piece, missing] : gaps.missing) {
    m.add_pieces(piece);
    m.add_missing(missing);
  }
  return m.SerializeAsString();
}

template <>
Result<ImageGaps> ImageFromWire<ImageGaps>(const std::string& payload) {
  const auto m = Parse<pb::ImageGaps>(payload, "ImageGaps");
  if (!m) return m.error();
  if (m->pieces_size() != m->missing_size() || m->pieces_size() > static_cast<int>(kMaxGaps)) {
    return Bad("ImageGaps.pieces");
  }
  ImageGaps gaps{m->job(), m->window(), m->round(), {}};
  for (int i = 0; i < m->pieces_size(); ++i) {
    gaps.missing.emplace_back(m->pieces(i), m->missing(i));
  }
  return gaps;
}

std::string ToWire(const ImageFailed& failed) {
  pb::ImageFailed m;
  m.set_job(failed.job);
  m.set_detail(failed.detail);
  m.set_remedy(failed.remedy);
  m.set_no_resources(failed.no_resources);
  if (failed.transfer != TransferId{}) m.set_transfer(Bytes(failed.transfer));
  return m.SerializeAsString();
}

template <>
Result<ImageFailed> ImageFromWire<ImageFailed>(const std::string& payload) {
  const auto m = Parse<pb::ImageFailed>(payload, "ImageFailed");
  if (!m) return m.error();
  if (m->detail().size() > kMaxText) return Bad("ImageFailed.detail");
  if (m->remedy().size() > kMaxText) return Bad("ImageFailed.remedy");
  ImageFailed failed{m->job(), m->detail(), m->remedy(), m->no_resources(), {}};
  if (m->transfer().empty()) return failed;
  auto transfer = TransferFromWire(m->transfer());
  if (!transfer) return transfer.error();
  failed.transfer = *transfer;
  return failed;
}

}  // namespace rex
