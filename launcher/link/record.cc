#include "launcher/link/record.h"

#include <sodium.h>

#include "launcher/link/little_endian.h"

namespace rex {

namespace {
constexpr size_t kHeaderBytes = crypto_secretstream_xchacha20poly1305_HEADERBYTES;
constexpr size_t kSealBytes = crypto_secretstream_xchacha20poly1305_ABYTES;
constexpr size_t kLengthBytes = 4;
constexpr size_t kLeastSealedBytes = 1 + kSealBytes;
constexpr size_t kMostSealedBytes = kMostRecordBytes - kLengthBytes;
static_assert(kRecordOverhead == kLengthBytes + kLeastSealedBytes);
static_assert(std::tuple_size_v<decltype(Secret::bytes)> ==
              crypto_secretstream_xchacha20poly1305_KEYBYTES);

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
}  // namespace

struct RecordSealer::State {
  crypto_secretstream_xchacha20poly1305_state stream;
  ~State() { sodium_memzero(&stream, sizeof stream); }
};

struct RecordOpener::State {
  crypto_secretstream_xchacha20poly1305_state stream;
  ~State() { sodium_memzero(&stream, sizeof stream); }
};

RecordSealer::RecordSealer(const Secret& key)
    : state_(std::make_unique<State>()), header_(kHeaderBytes, '\0') {
  crypto_secretstream_xchacha20poly1305_init_push(&state_->stream, Bytes(header_),
                                                  key.bytes.data());
}

RecordSealer::~RecordSealer() = default;

void RecordSealer::Seal(RecordType type, std::string_view contents, std::string& out) {
  REX_CHECK(contents.size() <= kMostFrameBytes);
  out += std::exchange(header_, {});
  std::string plain(1, static_cast<char>(type));
  plain += contents;
  AppendLe(out, static_cast<uint32_t>(plain.size() + kSealBytes));
  const size_t at = out.size();
  out.resize(at + plain.size() + kSealBytes);
  crypto_secretstream_xchacha20poly1305_push(&state_->stream, Bytes(out) + at, nullptr,
                                             Bytes(plain), plain.size(), nullptr, 0,
                                             crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
}

RecordOpener::RecordOpener(Secret key) : key_(std::move(key)) {}

RecordOpener::~RecordOpener() = default;

void RecordOpener::Feed(std::string_view bytes) {
  buffer_.erase(0, std::exchange(used_, 0));
  buffer_ += bytes;
}

Result<std::optional<Record>> RecordOpener::Next() {
  if (!state_) {
    if (buffer_.size() < kHeaderBytes) return std::optional<Record>();
    if (const Status taken = TakeHeader(); !taken) return taken.error();
  }
  const std::string_view rest = std::string_view(buffer_).substr(used_);
  if (rest.size() < kLengthBytes) return std::optional<Record>();
  const size_t sealed_bytes = ReadLe<uint32_t>(rest);
  if (sealed_bytes < kLeastSealedBytes || sealed_bytes > kMostSealedBytes) {
    return Error{Errc::kProtocol, "a record of " + std::to_string(sealed_bytes) + " bytes"};
  }
  if (rest.size() < kLengthBytes + sealed_bytes) return std::optional<Record>();
  Result<Record> record = Open(rest.substr(kLengthBytes, sealed_bytes));
  if (!record) return record.error();
  used_ += kLengthBytes + sealed_bytes;
  return std::optional<Record>(std::move(*record));
}

Status RecordOpener::TakeHeader() {
  state_ = std::make_unique<State>();
  used_ = kHeaderBytes;
  if (crypto_secretstream_xchacha20poly1305_init_pull(&state_->stream, Bytes(buffer_),
                                                      key_.bytes.data()) != 0) {
    return Error{Errc::kProtocol, "a bad stream header"};
  }
  return Ok{};
}

Result<Record> RecordOpener::Open(std::string_view sealed) {
  std::string plain(sealed.size() - kSealBytes, '\0');
  unsigned char tag = 0;
  if (crypto_secretstream_xchacha20poly1305_pull(&state_->stream, Bytes(plain), nullptr, &tag,
                                                 Bytes(sealed), sealed.size(), nullptr, 0) != 0) {
    return Error{Errc::kProtocol, "a record that was changed on its way"};
  }
  if (tag != crypto_secretstream_xchacha20poly1305_TAG_MESSAGE ||
      static_cast<unsigned char>(plain[0]) > static_cast<unsigned char>(RecordType::kMoved)) {
    return Error{Errc::kProtocol, "a record of unknown type"};
  }
  return Record{static_cast<RecordType>(plain[0]), plain.substr(1)};
}

}  // namespace rex
