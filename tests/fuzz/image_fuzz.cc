// What nodes and head say about images, records of pieces, datagrams, entries of the digest cache,
// and the text of ld.so.cache.
#include "launcher/image/digest_cache.h"
#include "launcher/image/image_messages.h"
#include "launcher/image/ld_cache.h"
#include "launcher/image/seal.h"
#include "launcher/staging/datagram.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {

namespace {
template <typename T>
void Again(const std::string& text) {
  const auto m = ImageFromWire<T>(text);
  if (!m) return;
  const std::string wire = ToWire(*m);
  const auto again = ImageFromWire<T>(wire);
  REX_CHECK(again.has_value() && ToWire(*again) == wire);
}

void TryImage(const std::string& text) {
  Again<Image>(text);
  const auto image = ImageFromWire<Image>(text);
  if (!image) return;
  const Geometry geometry = image->MakeGeometry();
  for (const ImageFile& file : image->files) {
    REX_CHECK(file.place.starts_with('/') && file.place.find("/../") == file.place.npos);
    REX_CHECK(file.digest.blocks.size() == BlocksOf(file.digest.bytes));
  }
  const uint64_t pieces = std::min<uint64_t>(geometry.pieces() + 2, 1000);
  for (uint64_t piece = 0; piece < pieces; ++piece) {
    const auto place = geometry.PiecePlace(piece);
    if (!place) continue;
    REX_CHECK(place->offset + place->bytes <= image->files[place->file].digest.bytes);
  }
}

void TryRecord(const std::string& text) {
  if (text.size() < kPieceHeaderBytes) return;
  const auto header = DecodePieceHeader(text);
  REX_CHECK(!header || header->bytes <= kPieceBytes + kSealBytes);
  std::string content;
  REX_CHECK(!OpenPiece(TransferKey(), TransferId{}, text, &content));
}

void TryDatagram(const std::string& text) {
  TransferId id{};
  for (size_t i = 0; i < 8 && 8 + i < text.size(); ++i) id[i] = static_cast<uint8_t>(text[8 + i]);
  const auto datagram = DecodeDatagram(id, text);
  if (!datagram) return;
  REX_CHECK(datagram->bytes.size() <= kFragmentBytes);
  REX_CHECK(EncodeDatagram(id, *datagram) == text);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t what = in.Byte();
  const std::string text(in.Rest());
  switch (what % 12) {
    case 0:
      TryImage(text);
      break;
    case 1:
      Again<ImageNeed>(text);
      break;
    case 2:
      Again<ImageRoute>(text);
      break;
    case 3:
      Again<ImageRepair>(text);
      break;
    case 4:
      Again<ImageFailed>(text);
      break;
    case 5:
      TryRecord(text);
      break;
    case 6:
      if (const auto entry = DecodeEntry(text)) REX_CHECK(EncodeEntry(*entry) == text);
      break;
    case 8:
      Again<ImageCast>(text);
      break;
    case 9:
      Again<ImageHeard>(text);
      break;
    case 10:
      Again<ImageGaps>(text);
      break;
    case 11:
      TryDatagram(text);
      break;
    default:
      (void)LdCache::Parse(text).Find("libc.so.6", {"x86-64-v3"});
  }
  return 0;
}

}  // namespace rex
